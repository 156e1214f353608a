"""One's own data: a table in a csv file, arrays in an npz file.

Both are read whole, and refused whole: a cell that is no number, a nan, an array of an unknown name or shape
is an error that says where it stands, never a row dropped in silence.
"""

from __future__ import annotations

import csv as csv_reader
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.splitting import SCALINGS, Splitting, check_choice

HEADERS = ("auto", "present", "absent")

#: The names under which an npz file may hold each array; the second are those of Keras' mnist.npz.
NPZ_KEYS = {
    "x": ("x", "x_train", "train"),
    "y": ("y", "y_train", "train_labels"),
    "x_test": ("x_test", "test"),
    "y_test": ("y_test", "test_labels"),
}


def csv(
    *,
    path: str,
    delimiter: str,
    header: str,
    label_column: str | int | None,
    scaling: str,
    test_share: float,
    validation_size: int | float,
    validation: str,
    split_seed: int,
    train_size: int | None,
    test_size: int | None,
    order_seed: int,
    resident: str,
) -> Dataset:
    """The rows of a table of numbers, (D,) float32.

    path: the file, UTF-8, one row a line.
    delimiter: the one character between cells.
    header: "present", "absent", or "auto": the first line is a header unless a cell of it is a number.
    label_column: name or position (0 is the first) of the column that becomes y; whole numbers stay what
        they are, other values become 0, 1, 2, ... in alphabetical order. None: no labels.
    scaling: "none", "minmax" (each column of train spans [0, 1]) or "standard" (mean 0, variance 1
        over train); `Dataset.unscaled` undoes it.
    The other arguments: `Splitting`. Raises ValueError that names the line and the column.
    """
    splitting = Splitting(
        validation_size=validation_size,
        validation=validation,
        split_seed=split_seed,
        train_size=train_size,
        test_size=test_size,
        order_seed=order_seed,
        resident=resident,
        test_share=test_share,
    )
    check_choice("header", header, HEADERS)
    check_choice("scaling", scaling, SCALINGS)
    if type(delimiter) is not str or len(delimiter) != 1:
        raise ValueError(f"delimiter must be one character, got {delimiter!r}")
    file = _existing(path)
    lines, cells = _read_rows(file, delimiter)
    has_header = header == "present" or (header == "auto" and not any(_is_number(cell) for cell in cells[0]))
    names = cells[0] if has_header else [str(position) for position in range(len(cells[0]))]
    lines, cells = lines[has_header:], cells[has_header:]
    if not cells:
        raise ValueError(f"path must hold rows below its header, got {file}")
    y = None
    if label_column is not None:
        at = _position(label_column, names if has_header else [], len(names))
        y = torch.from_numpy(_classes([row.pop(at) for row in cells]))
        names = names[:at] + names[at + 1 :]
        if not names:
            raise ValueError(f"path must hold a column beside label_column={label_column}, got {file}")
    samples = Split(x=torch.from_numpy(_numbers(cells, lines, names, file)), y=y)
    columns = tuple(names) if has_header else None
    return splitting.dataset(name="csv", samples=samples, test=None, columns=columns, scaling=scaling)


def npz(
    *,
    path: str,
    test_share: float,
    validation_size: int | float,
    validation: str,
    split_seed: int,
    train_size: int | None,
    test_size: int | None,
    order_seed: int,
    resident: str,
) -> Dataset:
    """The arrays of a file written by `numpy.savez`.

    path: the file, with the samples `x` and, where there are any, the labels `y` (N,) and the test set
        `x_test`, `y_test`; `NPZ_KEYS` has the other names that are read. x is uint8 (grey levels 0 to
        255, seen by a model as 0 to 1) or float (taken as it is); rows (N, D), images (N, H, W) or
        (N, C, H, W).
    test_share: of the samples, where the file has no `x_test`.
    The other arguments: `Splitting`. Raises ValueError that names the array.
    """
    splitting = Splitting(
        validation_size=validation_size,
        validation=validation,
        split_seed=split_seed,
        train_size=train_size,
        test_size=test_size,
        order_seed=order_seed,
        resident=resident,
        test_share=test_share,
    )
    file = _existing(path)
    if not zipfile.is_zipfile(file):
        raise ValueError(f"path must be an npz file of plain arrays, got {file}")
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"path must be an npz file of plain arrays, got {file}: {error}") from error
    samples = _npz_split(arrays, "x", "y", file)
    test = _npz_split(arrays, "x_test", "y_test", file)
    if samples is None:
        raise ValueError(f"path must hold an array named {' or '.join(NPZ_KEYS['x'])}, got {sorted(arrays)} in {file}")
    if unknown := sorted(set(arrays) - {key for keys in NPZ_KEYS.values() for key in keys}):
        allowed = ", ".join(key for keys in NPZ_KEYS.values() for key in keys)
        raise ValueError(f"path must hold arrays named {allowed}, got {', '.join(unknown)} in {file}")
    if test is not None and (test.x.shape[1:] != samples.x.shape[1:] or test.x.dtype != samples.x.dtype):
        raise ValueError(
            f"x_test must match x, {samples.x.dtype} {tuple(samples.x.shape[1:])} per sample, "
            f"got {test.x.dtype} {tuple(test.x.shape[1:])} in {file}"
        )
    return splitting.dataset(name="npz", samples=samples, test=test)


def _existing(path: str) -> Path:
    file = Path(str(path)).expanduser()  # data.path=2024 arrives as a number
    if not file.is_file():
        raise ValueError(f"path must be an existing file, got {path}")
    return file


def _read_rows(file: Path, delimiter: str) -> tuple[list[int], list[list[str]]]:
    """The line number and the cells of every line that isn't empty, all of one length."""
    try:
        # utf-8-sig, because spreadsheets open their exports with a byte order mark.
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv_reader.reader(stream, delimiter=delimiter, skipinitialspace=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv_reader.Error) as error:
        raise ValueError(f"path must be a csv file in UTF-8, got {file}: {error}") from error
    if not rows:
        raise ValueError(f"path must hold rows, got the empty file {file}")
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise ValueError(f"path must hold {width} cells a line, got {len(row)} in line {line} of {file}")
    return [line for line, _ in rows], [row for _, row in rows]


def _position(label_column: str | int, names: Sequence[str], width: int) -> int:
    if type(label_column) is int and 0 <= label_column < width:
        return label_column
    if label_column in names:
        return names.index(str(label_column))
    allowed = f"a position from 0 to {width - 1}" + (f" or one of {', '.join(names)}" if names else "")
    raise ValueError(f"label_column must be {allowed}, got {label_column!r}")


def _classes(labels: Sequence[str]) -> npt.NDArray[np.int64]:
    if all(label.strip().isdecimal() and len(label) < 19 for label in labels):  # what int64 holds
        return np.array([int(label) for label in labels], dtype=np.int64)
    return np.unique(np.array(labels), return_inverse=True)[1].astype(np.int64)


def _numbers(cells: list[list[str]], lines: Sequence[int], names: Sequence[str], file: Path) -> npt.NDArray[np.float64]:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        line, name, cell = next(
            (line, name, cell)
            for line, row in zip(lines, cells, strict=True)
            for name, cell in zip(names, row, strict=True)
            if not _is_number(cell)
        )
        raise ValueError(f"column {name} must hold numbers, got {cell!r} in line {line} of {file}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


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
    x = arrays[x_name]
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{x_name} must be uint8 or float, got {x.dtype} in {file}")
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise ValueError(f"{x_name} must have shape (N, D), (N, H, W) or (N, C, H, W), got {x.shape} in {file}")
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise ValueError(f"{x_name} must have its channels before rows and columns, got {x.shape} in {file}")
    x = x[:, None] if x.ndim == 3 else x
    y = arrays[found[y_key][0]] if found[y_key] else None
    if y is not None and (y.shape != x.shape[:1] or y.dtype.kind not in "iu"):
        raise ValueError(
            f"{found[y_key][0]} must be whole numbers of shape {x.shape[:1]}, got {y.dtype} {y.shape} in {file}"
        )
    return Split(
        # A copy, since a file may hold the other byte order, which torch doesn't know.
        x=torch.from_numpy(x.astype(np.uint8 if x.dtype == np.uint8 else np.float32)),
        y=None if y is None else torch.from_numpy(y.astype(np.int64)),
    )
