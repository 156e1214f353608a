"""One's own table of numbers, in a csv file.

It is read whole, and refused whole: a cell that is no number, a nan, a line of another length is an error that
says where it stands, never a row dropped in silence.
"""

import csv as csv_reader
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.ranges import EXTREME
from hourglass.data.splitting import SCALINGS, SplitsAndTest, Splitting, existing_file
from hourglass.system.checks import check_choice

HEADERS = ("auto", "present", "absent")
DELIMITERS = (",", ";", "\t", "|", " ")
DECIMALS = (".", ",")
TAB = "\\t"  # as it is typed
LOOKED_AT = 10_000  # characters of a file whose delimiter is looked for
_SHOWN = 5  # names of columns in a message


class _Malformed(ValueError):  # noqa: N818 - says what is wrong
    """A file that isn't the table it should be: what is wrong, and what to say then."""

    def __str__(self) -> str:
        return "".join(self.args)


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
    decimal: str = ".",
    **splits: Unpack[SplitsAndTest],
) -> Dataset:
    r"""The rows of a table of numbers, (D,) float32.

    path: the file, UTF-8, one row a line.
    delimiter: the one character between cells, `\t` for a tab.
    header: "present", "absent", or "auto": the first line is a header unless a cell of it is a number; one of numbers
        that look like names or lie far from those below is asked about.
    label_column: name or position (0 is the first) of the column that becomes y; whole numbers stay what
        they are, other values become 0, 1, 2, ... in alphabetical order. None: no labels.
    scaling: "none", "minmax" (each column of train spans [0, 1]) or "standard" (mean 0, variance 1
        over train); `Dataset.unscaled` undoes it.
    decimal: "." or ",", what stands before the decimals of a number.
    The other arguments: `Splitting`. Raises ValueError that names the line and the column.
    """
    splitting = Splitting(**splits)
    check_choice("header", header, HEADERS)
    check_choice("scaling", scaling, SCALINGS)
    _check_signs(delimiter, decimal)
    file = existing_file("path", path)
    table = _read(file, delimiter, header, decimal)
    first = table.cells[0]
    y = None
    if label_column is not None:
        y = torch.from_numpy(_classes(table.pop(label_column)))
        if not table.names:
            raise ValueError(f"path must hold a column beside label_column={label_column}, got {file}")
    numbers = _numbers(table, file, delimiter, decimal)
    if header == "auto" and not table.named:
        _ask_about_first_row(numbers, first, file)
    samples = Split(x=torch.from_numpy(numbers), y=y)
    columns = tuple(table.names) if table.named else None
    return splitting.dataset(
        name="csv", samples=samples, test=None, columns=columns, scaling=scaling, notes=(_told(table, first),)
    )


def read_rows(
    path: str,
    *,
    delimiter: str,
    header: str,
    label_column: str | int | None,
    columns: Sequence[str] | None,
    width: int,
    decimal: str = ".",
) -> npt.NDArray[np.float64]:
    """The rows (N, width) of a further csv file with the columns of one that `csv` has read.

    delimiter, header, label_column, decimal: as for `csv`; the label column may be there or not. columns: their names,
    where that file had a header. Raises ValueError where the columns differ.
    """
    file = existing_file("path", path)
    try:
        table = _read(file, delimiter, header, decimal)
    except _Malformed as error:  # the advice is for `csv`: here the file must be as that one's was
        raise ValueError(f"{error.args[0]}; the model's own table had delimiter={delimiter!r}") from error
    if label_column is not None and len(table.names) == width + 1:
        table.pop(label_column)
    if len(table.names) != width or (columns is not None and table.names != list(columns)):
        wanted = f"{width} columns" if columns is None else f"the columns {', '.join(columns)}"
        raise ValueError(f"{file} must hold {wanted}, got {', '.join(table.names)}")
    try:
        return _numbers(table, file, delimiter, decimal)
    except _Malformed as error:
        raise ValueError(error.args[0]) from error


def _check_signs(delimiter: str, decimal: str) -> None:
    if type(delimiter) is not str or (len(delimiter) != 1 and delimiter != TAB):
        raise ValueError(f"delimiter must be one character, got {delimiter!r}; {TAB} is a tab")
    check_choice("decimal", decimal, DECIMALS)
    if delimiter == decimal:
        raise ValueError(f"decimal must be another character than delimiter, got {decimal!r} for both")


def _read(file: Path, delimiter: str, header: str, decimal: str) -> _Table:
    lines, cells = _read_rows(file, "\t" if delimiter == TAB else delimiter)
    first = cells[0] if decimal == "." else [_with_point(cell) for cell in cells[0]]
    named = header == "present" or (header == "auto" and not any(_is_number(cell) for cell in first))
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
            raise _Malformed(
                f"path must hold {width} cells a line, got {len(row)} in line {line} of {file}",
                _advice(file, delimiter),
            )
    return [line for line, _ in rows], [row for _, row in rows]


def _advice(file: Path, delimiter: str) -> str:
    """What to say where cells are not what they should be: the delimiter that the file seems to have, if another."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in stream.readlines(LOOKED_AT) if line.strip()]
    try:
        found = csv_reader.Sniffer().sniff("".join(lines), "".join(DELIMITERS)).delimiter
    except csv_reader.Error:
        found = delimiter
    # Decimal commas look like delimiters; between cells there is something else then.
    semicolons = min(line.count(";") for line in lines)
    found = ";" if semicolons and delimiter != ";" else found
    if found == delimiter:
        return ""
    shown = TAB if found == "\t" else found
    comma = (
        ", and \"data.decimal=','\" for decimal commas" if found == ";" and any("," in line for line in lines) else ""
    )
    return f": say \"data.delimiter='{shown}'\", which it looks like{comma}"


def _ask_about_first_row(numbers: npt.NDArray[np.float64], first: Sequence[str], file: Path) -> None:
    """Raise ValueError where the first row may be names: 2019, 2020, 2021, or 0, 1, 2, or nothing like the others."""
    row, rest = numbers[0], numbers[1:]
    if len(rest) < 2:
        return
    counts = len(row) > 2 and (np.diff(row) == 1).all() and not (np.diff(rest) == 1).all(axis=1).any()
    low, high = rest.min(axis=0), rest.max(axis=0)
    outside = np.maximum(low - row, row - high)
    strange = (outside > EXTREME * (high - low)) & (high > low) & (len(rest) >= 10)
    if counts or 2 * strange.sum() > len(row):
        raise ValueError(
            f"header must be present or absent where the first line may be names, {_few(first)} in {file}: say"
            " data.header=present if it is, data.header=absent if it is a row"
        )


def _told(table: _Table, first: Sequence[str]) -> str:
    size = f"{len(table.cells):,} rows of {len(table.names)} columns"
    if table.named:
        return f"{size}, named {_few(table.names)}"
    return f"{size} without names; the first row is {_few(first)} (data.header=present would make names of it)"


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")


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


def _numbers(table: _Table, file: Path, delimiter: str, decimal: str) -> npt.NDArray[np.float64]:
    # With another sign a point is none of a number's: 1.234,5 would be read as if its thousands were its decimals.
    cells = table.cells if decimal == "." else [[_with_point(cell) for cell in row] for row in table.cells]
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        line, name, cell = next(
            (line, name, cell)
            for line, row, converted in zip(table.lines, table.cells, cells, strict=True)
            for name, cell, number in zip(table.names, row, converted, strict=True)
            if not _is_number(number)
        )
        is_comma = decimal == "." and delimiter != "," and _is_number(_with_point(cell))
        advice = ": say \"data.decimal=','\" for decimal commas" if is_comma else _advice(file, delimiter)
        if not advice and not table.named and line == table.lines[0]:
            advice = ": say data.header=present if that line holds names"
        raise _Malformed(f"column {name} must hold numbers, got {cell!r} in line {line} of {file}", advice) from None


def _with_point(cell: str) -> str:
    return cell.replace(".", "?").replace(",", ".")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
