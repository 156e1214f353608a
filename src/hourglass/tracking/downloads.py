"""Copies of runs' files, in temporary folders that last as long as this process."""

import tempfile
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from hourglass.tracking.patience import PatientClient


def download(client: PatientClient, run_id: str, path: str) -> Path:
    """A copy of the file ``path`` of a run."""
    return Path(client.download_artifacts(run_id, path, _folder(run_id)))


def held(client: PatientClient, run_id: str) -> str:
    """The files of a run in words; where there are none, the place that was looked in."""
    files = ", ".join(file.path for file in client.list_artifacts(run_id))
    return files or f"nothing in {client.get_run(run_id).info.artifact_uri.removeprefix('file://')}"


@cache
def _folder(run_id: str) -> str:
    folder = tempfile.TemporaryDirectory(prefix=f"hourglass-{run_id[:8]}-")
    # A child of multiprocessing ends without what `atexit` and `weakref` would run: this removes it there as well.
    Finalize(None, folder.cleanup, exitpriority=0)
    return folder.name
