"""Copies of runs' files, in temporary folders that last as long as this process."""

import re
import tempfile
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from hourglass.tracking.patience import PatientClient


def download(client: PatientClient, run_id: str, path: str) -> Path:
    """A copy of the file ``path`` of a run, or of a folder, whose name has no suffix.

    Raises:
        OSError: the store brought no such file, but a folder, a link, or something in another place.
    """
    folder = _folder(run_id)
    found = Path(client.download_artifacts(run_id, path, folder))
    is_it = found.is_file() if found.suffix else found.exists()
    if not is_it or found.is_symlink() or not found.resolve().is_relative_to(Path(folder).resolve()):
        raise OSError(f"{path} is no file")
    return found


@cache
def _folder(run_id: str) -> str:
    begin = re.sub(r"\W", "", run_id[:8])  # the store's word
    folder = tempfile.TemporaryDirectory(prefix=f"hourglass-{begin}-")
    # A child of multiprocessing ends without what `atexit` and `weakref` would run: this removes it there as well.
    Finalize(None, folder.cleanup, exitpriority=0)
    return folder.name
