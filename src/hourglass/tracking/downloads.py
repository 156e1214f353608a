"""Copies of runs' files, in temporary folders that last as long as this process."""

import tempfile
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from hourglass.tracking.patience import PatientClient


def download(client: PatientClient, run_id: str, path: str) -> Path:
    """A copy of the file ``path`` of a run."""
    return Path(client.download_artifacts(run_id, path, _folder(run_id)))


@cache
def _folder(run_id: str) -> str:
    folder = tempfile.TemporaryDirectory(prefix=f"hourglass-{run_id[:8]}-")
    # A child of multiprocessing ends without what `atexit` and `weakref` would run: this removes it there as well.
    Finalize(None, folder.cleanup, exitpriority=0)
    return folder.name
