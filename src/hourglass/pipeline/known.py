"""Trainings that are recorded already, with all that is to be measured of them: they are not made again."""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf

from hourglass.configuration.build import build
from hourglass.data import Dataset
from hourglass.system.errors import HourglassError
from hourglass.tracking import flatten, search_runs
from hourglass.tracking.machine import CONFIG_HASH

__all__ = ["known_run", "measuring", "warn_of_changed_data"]

log = logging.getLogger("hourglass")


def known_run(uri: str, key: str, callbacks: Mapping[str, Any]) -> Any | None:
    """MLflow's record of the latest finished run of a training; None: there is none.

    Callbacks make no other training, so that a run may lack what others would have measured: it is none, and neither is
    one that a search stopped early.

    Args:
        uri: the resolved tracking URI.
        key: the hash of its configuration (`configuration.identity.config_hash`).
        callbacks: those of its configuration, resolved: the run has all numbers that they would record.
    """
    for run in search_runs(uri, None, f"tags.`{CONFIG_HASH}` = '{key}' AND attributes.status = 'FINISHED'"):
        if "pruned" not in run.data.tags and _has_measured(run.data.params, callbacks):
            return run
    return None


def measuring(callbacks: Iterable[str]) -> set[str]:
    """Those that record numbers."""
    return set(callbacks) - {"progress", "pictures", "checkpoints"}


def warn_of_changed_data(found: Iterable[tuple[Mapping[str, Any], str]]) -> None:
    """Say in one line of each file of one's own that it has changed since runs that are found were trained on it.

    Args:
        found: of each run the node `data` of its configuration, resolved, and the digest that it recorded; empty: none.
    """
    recorded: dict[str, tuple[Mapping[str, Any], set[str]]] = {}
    for data, digest in found:
        if data.get("path") and digest:  # other data are what their configuration says
            recorded.setdefault(json.dumps(data, sort_keys=True), (data, set()))[1].add(digest)
    changed: set[str] = set()
    for data, digests in recorded.values():
        path = str(data["path"])
        if path in changed:
            continue
        try:
            now = build(OmegaConf.create({"data": dict(data)}).data, Dataset).digest
        except HourglassError:  # what has gone can't be compared, and the numbers are still those of what was there
            continue
        if not all(now.startswith(each) for each in digests):
            changed.add(path)
    for path in sorted(changed):
        log.warning(
            "data.path=%s has changed since runs that are taken were trained on it: sweep.rerun=true trains anew", path
        )


def _has_measured(params: Mapping[str, str], callbacks: Mapping[str, Any]) -> bool:
    """Whether a run of these params has what callbacks would record."""
    for name in measuring(callbacks):
        if f"callback.{name}._target_" not in params:
            return False
        if not all(_holds(params, f"callback.{name}.{key}", value) for key, value in callbacks[name].items()):
            return False
    return True


def _holds(params: Mapping[str, str], key: str, asked: Any) -> bool:
    """Whether params have a value, or all entries of a list; a run of before the key measured as it was then."""
    if not isinstance(asked, list):
        return all(params.get(each, text) == text for each, text in flatten({key: asked}).items())
    if key not in params:  # it has all that there is to choose from
        return True
    recorded = yaml.safe_load(params[key])
    return isinstance(recorded, list) and all(each in recorded for each in asked)
