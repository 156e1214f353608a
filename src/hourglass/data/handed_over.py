"""Arrays in this process's memory, for the processes of its sweep: files that they read, for as long as it takes.

They lie in a temporary folder that a variable of the environment names, so that no configuration and no record holds
the place. A record knows the arrays by their digest.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hourglass.system.environment import restored
from hourglass.system.errors import HourglassError
from hourglass.system.temporary import temporary_folder

VARIABLE = "HOURGLASS_GIVEN"

Part = tuple[npt.NDArray[Any], npt.NDArray[Any] | None, tuple[str, ...] | None]
"""Samples, labels and the names of the columns."""


@contextmanager
def hand_over(parts: Mapping[str, Part]) -> Iterator[str]:
    """Within, this process and those of its sweeps find these arrays; what it gives is their digest.

    Args:
        parts: by name, as `samples`.

    Raises:
        HourglassError: there is no room for them.
    """
    folder = Path(tempfile.mkdtemp(dir=temporary_folder()))
    try:
        try:
            digest = _written(parts, folder)
        except OSError as error:
            reason = f"the arrays can't be written to {folder.parent} for the jobs: {error.strerror}"
            raise HourglassError(reason) from error
        with restored(VARIABLE):
            os.environ[VARIABLE] = str(folder)
            yield digest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(parts: Mapping[str, Part], folder: Path) -> str:
    total = hashlib.sha256()
    for name, (x, y, columns) in parts.items():
        total.update(json.dumps([name, columns]).encode())
        for key, array in (("x", x), ("y", y)):
            if array is not None:
                # Names in columns are objects of Python, pickled: the folder is nobody's but this user's.
                np.save(folder / f"{name}.{key}.npy", array, allow_pickle=True)
                total.update(f"{key} {array.dtype} {array.shape}".encode())
                total.update(_bytes(array))
    (folder / "parts.json").write_text(json.dumps({name: part[2] for name, part in parts.items()}))
    return total.hexdigest()


def _bytes(array: npt.NDArray[Any]) -> Any:
    if array.dtype == object:
        return repr(array.tolist()).encode()
    return np.ascontiguousarray(array).view(np.uint8).data if array.size else b""


def found() -> dict[str, Part] | None:
    """What was handed over to this process, mapped from its files; None: nothing was."""
    place = os.environ.get(VARIABLE)
    if not place or not (list_of_parts := Path(place) / "parts.json").is_file():
        return None

    def array(name: str) -> Any:
        file = Path(place) / f"{name}.npy"
        if not file.is_file():
            return None
        try:
            return np.load(file, mmap_mode="r", allow_pickle=False)
        except ValueError:  # objects
            return np.load(file, allow_pickle=True)

    held = json.loads(list_of_parts.read_text())
    return {
        name: (array(f"{name}.x"), array(f"{name}.y"), None if columns is None else tuple(columns))
        for name, columns in held.items()
    }
