"""Tags that are for programs, not for a reader: they stand under one prefix, at one place of a run's page.

Runs of earlier versions carry the first three without it.
"""

from collections.abc import Mapping

__all__ = ["CONFIG_HASH", "GIT_DIRTY", "GIT_SHA", "HOST", "IDENTITY", "PID", "PROCESS_START", "STUDY_ID", "machine_tag"]

_PREFIX = "machine."
HOST = f"{_PREFIX}host"
"""The machine that writes the run."""
PID = f"{_PREFIX}pid"
"""Its process there."""
PROCESS_START = f"{_PREFIX}process_start"
"""When that began, in seconds since 1970."""
CONFIG_HASH = f"{_PREFIX}config_hash"
"""See `configuration.identity.config_hash`."""
STUDY_ID = f"{_PREFIX}study_id"
"""Hash of what all jobs of a study share."""
GIT_SHA = f"{_PREFIX}git_sha"
"""The commit of the code that ran."""
GIT_DIRTY = f"{_PREFIX}git_dirty"
"""Whether files differed from it: true or false."""

IDENTITY = (HOST, PID, PROCESS_START, *(name.removeprefix(_PREFIX) for name in (HOST, PID, PROCESS_START)))
"""Which process writes a run, by the names of today and of earlier versions."""


def machine_tag(tags: Mapping[str, str], name: str) -> str | None:
    """One of a run's tags by its name of today; None where it has neither that nor the earlier one."""
    return tags.get(name, tags.get(name.removeprefix(_PREFIX)))
