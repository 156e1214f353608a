"""The folder for what is kept between runs: data sets, what is computed from them once, and claims."""

import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hourglass.system.files import draft

log = logging.getLogger("hourglass")

T = TypeVar("T")

DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""What numpy and json raise for a file that is cut off or something else."""


def cache_dir() -> Path:
    """The data folder: `$HOURGLASS_CACHE`, by default `~/.cache/hourglass`."""
    return Path(os.environ.get("HOURGLASS_CACHE") or "~/.cache/hourglass").expanduser()


def kept(path: Path, *, read: Callable[[Path], T], compute: Callable[[], T], write: Callable[[Path, T], object]) -> T:
    """What an earlier call left in a file, else what is computed now and left there.

    Args:
        path: of the file, which appears whole or not at all.
        read: from the file; one that can't be read, by one of `DAMAGE`, is reported and replaced.
        compute: what is kept.
        write: into a file.
    """
    if path.exists():
        try:
            return read(path)
        except DAMAGE as error:
            log.warning("%s is damaged and is computed again: %s", path, error)
    value = compute()
    with draft(path) as part:
        write(part, value)
    return value
