"""The files of a run, each whole or not there.

Where the store keeps them in a folder of this machine, they are read in place, and written beside the file that they
replace and renamed. So however a process ends, the earlier file is valid, and nothing is left outside the run's own
folder. Elsewhere MLflow carries them, through a folder of this process (see `temporary`).
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hourglass.system.errors import HourglassError
from hourglass.system.temporary import temporary_folder
from hourglass.tracking.mlflow_internals import UNFINISHED
from hourglass.tracking.retries import RetryingClient, retried

T = TypeVar("T")


class Files:
    """What a run keeps besides params, tags and points.

    Args:
        client: of the store; None where that is the folder itself.
        uri: of the store, for messages.
        run_id: whose files they are.
        name: of the run, for messages.
        place: where they are, as MLflow's record of the run says.
    """

    def __init__(self, *, client: RetryingClient | None, uri: str, run_id: str, name: str, place: str) -> None:
        self._client = client
        self._uri = uri
        self._run_id = run_id
        self._name = f"run {name} ({run_id})"
        self._place = place
        self.folder = local_folder(place)
        """Where they are on this machine; None where MLflow must carry them."""

    def put(self, contents: Mapping[str, bytes | memoryview]) -> None:
        """Write files by their paths in the run; waits for room as for the store.

        Raises:
            TrackingUnavailable: there is no room, or the store is away, for too long.
        """
        for path, content in contents.items():
            retried(partial(self._write if self.folder else self._send, path, content), self._uri)

    def get(self, path: str) -> Path:
        """A file or folder of the run, to be read only: the run's own, or a copy for as long as this process lasts.

        Raises:
            HourglassError: the run holds no such file; the message lists what it holds.
        """
        from mlflow.exceptions import MlflowException

        try:
            if self.folder is not None:
                folder, found = self.folder, self.folder / path
            else:
                folder = temporary_folder() / re.sub(r"\W", "", self._run_id)  # the store's word
                folder.mkdir(exist_ok=True)
                assert self._client is not None
                found = Path(self._client.download_artifacts(self._run_id, path, str(folder)))
            # A stranger's link may lead anywhere.
            if found.is_symlink() or not found.resolve(strict=True).is_relative_to(folder.resolve()):
                raise OSError(f"{path} is no file of the run")
        except (OSError, MlflowException) as error:
            held = ", ".join(self._names())
            held = held or f"nothing in {self._place.removeprefix('file://')}"
            raise HourglassError(f"{self._name} holds no {path!r}, it holds {held}") from error
        return found

    def read(self, path: str, read: Callable[[Path], T]) -> T:
        """What `read` makes of a file.

        Raises:
            HourglassError: the run holds no such file, or one that is cut off, empty or something else.
        """
        file = self.get(path)
        try:
            return read(file)
        except HourglassError:
            raise
        except Exception as error:
            why = error.strerror if isinstance(error, OSError) else None
            why = why or "it is cut off, damaged or something else"
            raise HourglassError(f"{self._name}: its {path} can't be read, {why} ({file})") from error

    def _names(self) -> list[str]:
        if self._client is not None:
            return [file.path for file in self._client.list_artifacts(self._run_id)]
        return [] if self.folder is None else sorted(file.name for file in self.folder.iterdir())

    def sweep(self) -> None:
        """Take away what a process that was killed had not finished; to be called where no other writes the run."""
        for leftover in [] if self.folder is None else list(self.folder.rglob(f"{UNFINISHED}*")):
            leftover.unlink(missing_ok=True)

    def _write(self, path: str, content: bytes | memoryview) -> None:
        assert self.folder is not None
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{UNFINISHED}{target.name}.{os.getpid()}")
        try:
            draft.write_bytes(content)
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def _send(self, path: str, content: bytes | memoryview) -> None:
        folder, _, name = path.rpartition("/")
        draft = temporary_folder() / name
        assert self._client is not None
        try:
            draft.write_bytes(content)
            self._client.once.log_artifact(self._run_id, str(draft), folder or None)
        finally:
            draft.unlink(missing_ok=True)


def local_folder(place: str) -> Path | None:
    """`file:///a/b` or `/a/b` as a path; None for what is not on this machine."""
    parts = urlsplit(place)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    return Path(place) if not parts.scheme and Path(place).is_absolute() else None
