"""One's own table of numbers, in a csv file.

It is read whole, and refused whole: a cell that is no number, a nan, a line of another length is an error that
says where it stands, never a row dropped in silence.
"""

from __future__ import annotations

import csv as csv_reader
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.splitting import SCALINGS, SplitsAndTest, Splitting, check_choice, existing_file

HEADERS = ("auto", "present", "absent")


class _Table(NamedTuple):
    """The text of a csv file: names of the columns (their positions where `named` is false), and cells by line."""

    names: list[str]
    named: bool
    lines: list[int]
    cells: list[list[str]]

    def pop(self, label_column: str | int) -> list[str]:
        """Take one column out."""
        at = _position(label_column, self.names if self.named else [], len(self.names))
        del self.names[at]
        return [row.pop(at) for row in self.cells]


def csv(
    *,
    path: str,
    delimiter: str,
    header: str,
    label_column: str | int | None,
    scaling: str,
    **splits: Unpack[SplitsAndTest],
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
    splitting = Splitting(**splits)
    check_choice("header", header, HEADERS)
    check_choice("scaling", scaling, SCALINGS)
    if type(delimiter) is not str or len(delimiter) != 1:
        raise ValueError(f"delimiter must be one character, got {delimiter!r}")
    file = existing_file("path", path)
    table = _read(file, delimiter, header)
    y = None
    if label_column is not None:
        y = torch.from_numpy(_classes(table.pop(label_column)))
        if not table.names:
            raise ValueError(f"path must hold a column beside label_column={label_column}, got {file}")
    samples = Split(x=torch.from_numpy(_numbers(table, file)), y=y)
    columns = tuple(table.names) if table.named else None
    return splitting.dataset(name="csv", samples=samples, test=None, columns=columns, scaling=scaling)


def read_rows(
    path: str,
    *,
    delimiter: str,
    header: str,
    label_column: str | int | None,
    columns: Sequence[str] | None,
    width: int,
) -> npt.NDArray[np.float64]:
    """The rows (N, width) of a further csv file with the columns of one that `csv` has read.

    delimiter, header, label_column: as for `csv`; the label column may be there or not. columns: their names,
    where that file had a header. Raises ValueError where the columns differ.
    """
    file = existing_file("path", path)
    table = _read(file, delimiter, header)
    if label_column is not None and len(table.names) == width + 1:
        table.pop(label_column)
    if len(table.names) != width or (columns is not None and table.names != list(columns)):
        wanted = f"{width} columns" if columns is None else f"the columns {', '.join(columns)}"
        raise ValueError(f"{file} must hold {wanted}, got {', '.join(table.names)}")
    return _numbers(table, file)


def _read(file: Path, delimiter: str, header: str) -> _Table:
    lines, cells = _read_rows(file, delimiter)
    named = header == "present" or (header == "auto" and not any(_is_number(cell) for cell in cells[0]))
    names = cells[0] if named else [str(position) for position in range(len(cells[0]))]
    lines, cells = lines[named:], cells[named:]
    if not cells:
        raise ValueError(f"path must hold rows below its header, got {file}")
    return _Table(names, named, lines, cells)


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


def _numbers(table: _Table, file: Path) -> npt.NDArray[np.float64]:
    try:
        return np.array(table.cells, dtype=np.float64)
    except ValueError:
        line, name, cell = next(
            (line, name, cell)
            for line, row in zip(table.lines, table.cells, strict=True)
            for name, cell in zip(table.names, row, strict=True)
            if not _is_number(cell)
        )
        raise ValueError(f"column {name} must hold numbers, got {cell!r} in line {line} of {file}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
