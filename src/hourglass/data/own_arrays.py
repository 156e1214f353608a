"""One's own arrays, rows or images: in an npz file, or in idx files.

They are read whole, and refused whole: an array of an unknown name, type or shape is an error that names it.

    x   (N, D), (N, H, W) or (N, C, H, W): uint8, grey levels 0 to 255 that a model sees as 0 to 1, or float
    y   (N,) whole numbers
"""

import gzip
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data import idx_format
from hourglass.data.dataset import Dataset, Split
from hourglass.data.splitting import SplitsAndTest, Splitting, existing_file

#: The names under which an npz file may hold each array; the second are those of Keras' mnist.npz.
NPZ_KEYS = {
    "x": ("x", "x_train", "train"),
    "y": ("y", "y_train", "train_labels"),
    "x_test": ("x_test", "test"),
    "y_test": ("y_test", "test_labels"),
}


def npz(*, path: str, **splits: Unpack[SplitsAndTest]) -> Dataset:
    """The arrays of a file written by `numpy.savez`.

    path: the file, with the samples `x` and, where there are any, the labels `y` (N,) and the test set
        `x_test`, `y_test`; `NPZ_KEYS` has the other names that are read. x is uint8 (grey levels 0 to
        255, seen by a model as 0 to 1) or float (taken as it is); rows (N, D), images (N, H, W) or
        (N, C, H, W).
    test_share: of the samples, where the file has no `x_test`.
    The other arguments: `Splitting`. Raises ValueError that names the array.
    """
    splitting = Splitting(**splits)
    file = existing_file("path", path)
    if not zipfile.is_zipfile(file):
        raise ValueError(f"path must be an npz file of plain arrays, got {file}")
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        if other := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:  # its bytes
            raise ValueError(f"{', '.join(other)} is no array")
    except (ValueError, OSError, EOFError, MemoryError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"path must be an npz file of plain arrays, got {file}: {error}") from error
    samples = _npz_split(arrays, "x", "y", file)
    test = _npz_split(arrays, "x_test", "y_test", file)
    if samples is None:
        raise ValueError(f"path must hold an array named {' or '.join(NPZ_KEYS['x'])}, got {sorted(arrays)} in {file}")
    if unknown := sorted(set(arrays) - {key for keys in NPZ_KEYS.values() for key in keys}):
        allowed = ", ".join(key for keys in NPZ_KEYS.values() for key in keys)
        raise ValueError(f"path must hold arrays named {allowed}, got {', '.join(unknown)} in {file}")
    check_match("x_test", test, "x", samples, file)
    return splitting.dataset(name="npz", samples=samples, test=test)


def idx(
    *,
    path: str,
    labels: str | None,
    test_path: str | None,
    test_labels: str | None,
    **splits: Unpack[SplitsAndTest],
) -> Dataset:
    """The arrays of idx files, the format of MNIST (LeCun, Cortes and Burges, 1998), each plain or gzipped.

    path: the file of the samples: grey levels (type 0x08) or floats (0x0D, 0x0E); rows (N, D), images (N, H, W)
        or (N, C, H, W).
    labels: the file of their labels (N,), whole numbers; None: no labels.
    test_path, test_labels: the same for a test set; None: `test_share` of the samples are set apart.
    The other arguments: `Splitting`. Raises ValueError that names the file.
    """
    splitting = Splitting(**splits)
    if test_path is None and test_labels is not None:
        raise ValueError(f"test_labels must come with test_path, got {test_labels} alone")
    samples = _idx_split("path", path, "labels", labels)
    test = None if test_path is None else _idx_split("test_path", test_path, "test_labels", test_labels)
    check_match("test_path", test, "path", samples, test_path)
    return splitting.dataset(name="idx", samples=samples, test=test)


def _idx_split(x_key: str, x_path: str, y_key: str, y_path: str | None) -> Split:
    x = _idx_array(x_key, x_path)
    y = None if y_path is None else _idx_array(y_key, y_path)
    return checked_split(x_key, x, y_key, y, x_path if y_path is None else f"{x_path} and {y_path}")


def _idx_array(key: str, path: str) -> npt.NDArray[Any]:
    file = existing_file(key, path)
    content = file.read_bytes()
    if content.startswith(b"\x1f\x8b"):  # gzip's own mark, whatever the name ends in
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{key} must be an idx file, plain or gzipped, got {file}: {error}") from error
    return idx_format.decode(content, source=str(file))


def _npz_split(arrays: Mapping[str, npt.NDArray[Any]], x_key: str, y_key: str, file: Path) -> Split | None:
    found = {key: [name for name in NPZ_KEYS[key] if name in arrays] for key in (x_key, y_key)}
    for names in found.values():
        if len(names) > 1:
            raise ValueError(f"path must hold one of {' and '.join(names)}, got both in {file}")
    if not found[x_key]:
        if found[y_key]:
            raise ValueError(f"path must hold {x_key} beside {found[y_key][0]}, got {sorted(arrays)} in {file}")
        return None
    x_name = found[x_key][0]
    y_name = found[y_key][0] if found[y_key] else None
    y = None if y_name is None else arrays[y_name]
    return checked_split(x_name, arrays[x_name], y_name or y_key, y, file)


def checked_split(x_name: str, x: npt.NDArray[Any], y_name: str, y: npt.NDArray[Any] | None, file: Path | str) -> Split:
    """Arrays as a split; ValueError for another shape or type. file: where they were, for messages."""
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{x_name} must be uint8 or float, got {x.dtype.name} in {file}")
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise ValueError(f"{x_name} must have shape (N, D), (N, H, W) or (N, C, H, W), got {x.shape} in {file}")
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise ValueError(f"{x_name} must have its channels before rows and columns, got {x.shape} in {file}")
    x = x[:, None] if x.ndim == 3 else x
    if y is not None and (y.shape != x.shape[:1] or y.dtype.kind not in "iu"):
        raise ValueError(
            f"{y_name} must be whole numbers of shape {x.shape[:1]}, got {y.dtype.name} {y.shape} in {file}"
        )
    return Split(
        # A copy, since a file may hold the other byte order, which torch doesn't know.
        x=torch.from_numpy(x.astype(np.uint8 if x.dtype == np.uint8 else np.float32)),
        y=None if y is None else torch.from_numpy(y.astype(np.int64)),
    )


def check_match(key: str, test: Split | None, x_key: str, samples: Split, file: Path | str | None) -> None:
    """ValueError where a further split has samples of another shape or type."""
    if test is not None and (test.x.shape[1:] != samples.x.shape[1:] or test.x.dtype != samples.x.dtype):
        raise ValueError(
            f"{key} must match {x_key}, {samples.x.dtype} {tuple(samples.x.shape[1:])} per sample, "
            f"got {test.x.dtype} {tuple(test.x.shape[1:])} in {file}"
        )
