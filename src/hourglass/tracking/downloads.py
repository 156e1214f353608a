"""Copies of runs' files, in temporary folders that last as long as this process."""

import tempfile
from functools import cache
from pathlib import Path

from hourglass.tracking.patience import PatientClient


def download(client: PatientClient, run_id: str, path: str) -> Path:
    """A copy of the file ``path`` of a run."""
    return Path(client.download_artifacts(run_id, path, _folder(run_id).name))


@cache  # which also keeps the folder until Python ends and removes it
def _folder(run_id: str) -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix=f"hourglass-{run_id[:8]}-")
