"""Claims: which process runs a job, so that two terminals with the same sweep don't run it twice.

A claim is a lock on a file, which the system lets go of when the process ends, however it ends.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from hourglass.cache import cache_dir


@contextmanager
def claim(key: str, *, place: str, wait: bool) -> Iterator[bool]:
    """Within, whether this process has claimed the job `key`.

    Args:
        key: the job's.
        place: where it is recorded: claims of different places have nothing to do with each other.
        wait: until another process lets go of it; otherwise the answer comes at once.
    """
    folder = cache_dir() / "claims" / hashlib.sha256(place.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / key).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
