"""Files that are there whole or not at all, whoever else writes them and whatever ends this process."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
