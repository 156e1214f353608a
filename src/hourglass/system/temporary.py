"""A temporary folder of this process, which the next one sweeps up if this one is killed.

Beside each folder lies a file that its process holds a lock on. The system lets go of the lock however the process
ends, so a folder whose lock is free is nobody's any more.
"""

import fcntl
import os
import shutil
import tempfile
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

_PREFIX, _LOCK = "hourglass-", ".lock"


def temporary_folder() -> Path:
    """The folder: made when first asked for, gone when the process ends."""
    return _folder(os.getpid())  # a forked process has its own


@cache
def _folder(_process: int) -> Path:
    root = Path(tempfile.gettempdir())
    _sweep(root)
    descriptor, name = tempfile.mkstemp(dir=root, prefix=_PREFIX, suffix=_LOCK)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # and held: the descriptor stays open
    lock = Path(name)
    folder = lock.with_suffix("")
    folder.mkdir(mode=0o700)
    # A child of multiprocessing ends without what `atexit` and `weakref` would run: this removes it there as well.
    Finalize(None, _remove, args=(lock,), exitpriority=-200)  # after multiprocessing has removed what is below
    return folder


def _sweep(root: Path) -> None:
    """Remove what processes of this user that have ended left."""
    for lock in root.glob(f"{_PREFIX}*{_LOCK}"):
        try:
            with lock.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = os.fstat(file.fileno()).st_uid == os.getuid()
                if mine and lock.with_suffix("").is_dir():  # without a folder it is being made at this moment
                    _remove(lock)
        except OSError:  # in use, somebody else's, or swept up by another
            continue


def _remove(lock: Path) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
