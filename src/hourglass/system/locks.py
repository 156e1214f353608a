"""Claims: which process runs a job, so that two terminals with the same sweep don't run it twice.

A claim is a lock on a file, which the system lets go of when the process ends, however it ends; the file's time says
when that was. `filelock` promises neither: before its version 4 each attempt empties the file, which changes its time,
and on a file system without such locks it makes do with a file that a killed process leaves behind.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hourglass.system.cache import cache_dir


class Claim(NamedTuple):
    """What asking for a job brought; true if it is this process that has it."""

    mine: bool
    before: float
    """When another let go of it, or claimed it and was killed, in seconds since the epoch; minus infinity: never."""

    def __bool__(self) -> bool:
        return self.mine


@contextmanager
def claim(key: str, *, place: str, wait: bool) -> Iterator[Claim]:
    """Within, whether this process has claimed the job `key`.

    Args:
        key: the job's.
        place: where it is recorded: claims of different places have nothing to do with each other.
        wait: until another process lets go of it; otherwise the answer comes at once.
    """
    folder = cache_dir() / "claims" / hashlib.sha256(place.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / key).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Claim(False, float("-inf"))
            return
        found = os.fstat(file.fileno())
        file.truncate(0)
        file.write(f"{os.getpid()}\n")  # an empty file was never claimed
        file.flush()
        try:
            yield Claim(True, found.st_mtime if found.st_size else float("-inf"))
        finally:
            os.utime(file.fileno())
