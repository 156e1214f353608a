"""Messages: what is said while a command works, without passwords, and without a word about every word that is lost.

Python's own handlers answer a message that can't be written, as on a full disk, with its traceback on the terminal, and
so again for each.
"""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from typing_extensions import override

from hourglass.system.passwords import without_passwords


class Formatter(logging.Formatter):
    """Python's own, without the passwords of addresses."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return without_passwords(super().format(record))


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to a stream; what can't be written is left out."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class File(logging.FileHandler):
    """Writes to a file; that a message can't be written is told once, in one line, and those messages are left out."""

    _told = False

    def _open(self) -> io.TextIOWrapper:
        # Each message at once or never: what waits in memory would fail again at the end.
        return io.TextIOWrapper(io.FileIO(self.baseFilename, "a"), encoding="utf-8", write_through=True)

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            with suppress(OSError):
                where = Path(self.baseFilename)
                print(f"{where} can't be written ({error.strerror}): messages are missing there", file=sys.stderr)  # noqa: T201


@contextmanager
def heard() -> Iterator[None]:
    """Within, the package's own messages are seen, unless the program has set what is."""
    log = logging.getLogger("hourglass")
    if log.level != logging.NOTSET:
        yield
        return
    log.setLevel(logging.INFO)
    console = Console()
    console.setFormatter(Formatter("%(message)s"))
    if not log.hasHandlers():
        log.addHandler(console)
    try:
        yield
    finally:
        log.removeHandler(console)
        log.setLevel(logging.NOTSET)
