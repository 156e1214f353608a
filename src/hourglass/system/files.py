"""Files that are there whole or not at all, whoever else writes them and whatever ends this process."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hourglass.system.errors import HourglassError

_PART = ".part"


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Within, a path to write a file or a folder to; at the end it is renamed to `path`, in one step.

    After an error nothing is left of it. What a killed process leaves, `remove_drafts` takes away.

    Args:
        path: what appears; its folder is made. The draft has the same name, in a hidden folder beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=_PART) as folder:
        part = Path(folder) / path.name
        yield part
        part.replace(path)


def remove_drafts(path: Path) -> None:
    """Remove what killed processes left of drafts of `path`; to be called where nobody else writes it."""
    for left in path.parent.glob(f".{path.name}.*{_PART}"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def drafts(folder: Path) -> Iterator[Path]:
    """Within, a folder to write files to; at the end each replaces the one of its name in `folder`.

    After an error nothing is left of them.

    Args:
        folder: where they appear; it is made.

    Raises:
        HourglassError: it can't be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=_PART)
    except OSError as error:
        raise HourglassError(f"{folder} can't be written: {error.strerror}") from error
    with held as place:
        yield Path(place)
        for file in sorted(Path(place).iterdir()):
            file.replace(folder / file.name)
