"""One's own table in a csv file.

It is read whole, and refused whole: a cell that isn't what its column holds, a line of another length is an error that
says where it stands. What is made of the columns: `hourglass.data.tables`.
"""

import csv as csv_reader
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from hourglass.data.columns import Table, Values, distinct, few, is_number, name_of, rows_of, sources_of
from hourglass.data.dataset import Category, Dataset
from hourglass.data.labels import Labels
from hourglass.data.ranges import EXTREME
from hourglass.data.splitting import existing_file
from hourglass.data.tables import Rules, TableKeys, table_dataset
from hourglass.system.checks import check_choice

HEADERS = ("auto", "present", "absent")
DELIMITERS = (",", ";", "\t", "|", " ")
DECIMALS = (".", ",")
TAB = "\\t"  # as it is typed
LOOKED_AT = 10_000  # characters of a file whose delimiter is looked for
BLANK = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "?"})
"""Cells that hold nothing, in small letters: what pandas, R, spreadsheets and the UCI repository write."""


class _Malformed(ValueError):  # noqa: N818 - says what is wrong
    """A file that isn't the table it should be: what is wrong, and what to say then."""

    def __str__(self) -> str:
        return "".join(self.args)


class _Cells(Table):
    """The text of a csv file: cells by line."""

    def __init__(
        self, *, file: Path, delimiter: str, decimal: str, names: list[str], named: bool, lines: list[int]
    ) -> None:
        self.file, self.delimiter, self.decimal = file, delimiter, decimal
        self.names, self.named, self.lines = names, named, lines
        self.rows = len(lines)
        self._cells: dict[str, list[str]] = {}
        self._values: dict[str, Values] = {}

    @classmethod
    def read(cls, file: Path, delimiter: str, header: str, decimal: str) -> "_Cells":
        lines, cells = _read_rows(file, "\t" if delimiter == TAB else delimiter)
        first = cells[0] if decimal == "." else [_with_point(cell) for cell in cells[0]]
        named = header == "present" or (header == "auto" and not any(is_number(cell) for cell in first))
        names = distinct(cells[0]) if named else [str(position) for position in range(len(cells[0]))]
        lines, cells = lines[named:], cells[named:]
        if not cells:
            raise ValueError(f"path must hold rows below its header, got {file}")
        table = cls(file=file, delimiter=delimiter, decimal=decimal, names=names, named=named, lines=lines)
        table._cells = {name: [row[at] for row in cells] for at, name in enumerate(names)}
        return table

    @override
    def values(self, name: str) -> Values:
        if name not in self._values:
            self._values[name] = self._of(self._cells[name])
        return self._values[name]

    def _of(self, cells: list[str]) -> Values:
        # With another sign a point is none of a number's: 1.234,5 would be read as if its thousands were its decimals.
        texts = cells if self.decimal == "." else [_with_point(cell) for cell in cells]
        try:
            return np.array(texts, dtype=np.float64)
        except ValueError:
            pass
        blank = [cell.strip().lower() in BLANK for cell in cells]
        try:
            return np.array(
                ["nan" if gone else text for gone, text in zip(blank, texts, strict=True)], dtype=np.float64
            )
        except ValueError:
            return np.array([None if gone else cell for gone, cell in zip(blank, cells, strict=True)], dtype=object)

    @override
    def labels(self, name: str, rows: npt.NDArray[np.intp]) -> Labels:
        cells = [self._cells[name][row] for row in rows]
        for row, cell in zip(rows, cells, strict=True):
            if cell.strip().lower() in BLANK:
                raise ValueError(
                    f"label_column must hold a class in every line, got {cell!r} in {self.where(int(row))}: say"
                    " data.missing=drop to leave out such lines"
                )
        if all(cell.strip().isdecimal() and len(cell) < 19 for cell in cells):  # what int64 holds
            return np.array([int(cell) for cell in cells], dtype=np.int64)
        return np.array(cells)

    @override
    def where(self, row: int) -> str:
        return f"line {self.lines[row]} of {self.file}"

    @override
    def cell(self, name: str, row: int) -> str:
        return self._cells[name][row]

    @override
    def is_number(self, text: str) -> bool:
        return is_number(text if self.decimal == "." else _with_point(text))

    @override
    def malformed(self, message: str, name: str, row: int) -> ValueError:
        cell = self.cell(name, row)
        is_comma = self.decimal == "." and self.delimiter != "," and is_number(_with_point(cell))
        advice = ": say \"data.decimal=','\" for decimal commas" if is_comma else _advice(self.file, self.delimiter)
        if not advice and not self.named and row == 0:
            advice = ": say data.header=present if that line holds names"
        return _Malformed(message, advice or f": leave it out, data.exclude=[{name}]")

    @override
    def check_names(self, name: str) -> None:
        cell = next(cell for cell in self._cells[name] if cell.strip().lower() not in BLANK)
        row = self._cells[name].index(cell)
        is_comma = self.decimal == "." and self.delimiter != "," and is_number(_with_point(cell))
        if is_comma or _advice(self.file, self.delimiter):
            raise self.malformed(f"column {name} must hold numbers, got {cell!r} in {self.where(row)}", name, row)


def csv(
    *,
    path: str,
    delimiter: str,
    header: str,
    decimal: str = ".",
    validation_path: str | None = None,
    test_path: str | None = None,
    **keys: Unpack[TableKeys],
) -> Dataset:
    r"""The rows of a table, (D,) float32.

    path: the file, UTF-8, one row a line.
    delimiter: the one character between cells, `\t` for a tab.
    header: "present", "absent", or "auto": the first line is a header unless a cell of it is a number; one of numbers
        that look like names or lie far from those below is asked about.
    decimal: "." or ",", what stands before the decimals of a number.
    validation_path, test_path: files of their own, of the same columns; None: `validation_size` and `test_share` of the
        rows are set apart.
    The other arguments: `hourglass.data.tables.Rules` and `Splitting`. `label_column` of whole numbers stays what it
    is, other values become 0, 1, 2, ... in alphabetical order. Raises ValueError that names the line and the column.
    """
    rules, splitting = Rules.of(keys)
    check_choice("header", header, HEADERS)
    _check_signs(delimiter, decimal)
    files = {"path": path, "validation_path": validation_path, "test_path": test_path}
    tables = [
        None if each is None else _Cells.read(existing_file(key, each), delimiter, header, decimal)
        for key, each in files.items()
    ]
    table = tables[0]
    assert table is not None
    names = rules.chosen(table)
    if header == "auto" and not table.named:
        _ask_about_first_row(table, names)
    return table_dataset("csv", tables, rules, splitting, notes=(_told(table, names),))


def read_rows(
    path: str,
    *,
    delimiter: str,
    header: str,
    label_column: str | int | None,
    columns: Sequence[str] | None,
    width: int,
    decimal: str = ".",
    chosen: Sequence[str | int] | None = None,
    exclude: Sequence[str | int] = (),
    categories: Sequence[Category] = (),
) -> npt.NDArray[np.float64]:
    """The rows (N, width) of a further csv file with the columns of one that `csv` has read, NaN where one is missing.

    delimiter, header, label_column, decimal: as for `csv`; the label column may be there or not, and so those of
    exclude. columns: the names of what the model takes, where that file had a header. chosen: the `columns` of that
    file, which are picked here too; None: it had no others. categories: which are one-hot. Raises ValueError where the
    columns differ.
    """
    file = existing_file("path", path)
    try:
        table = _Cells.read(file, delimiter, header, decimal)
    except _Malformed as error:  # the advice is for `csv`: here the file must be as that one's was
        raise ValueError(f"{error.args[0]}; the model's own table had delimiter={delimiter!r}") from error
    wanted = sources_of(columns, width, categories)
    names = list(table.names)
    for each in (label_column, *exclude):
        if type(each) is int and each < len(table.names) and len(table.names) > len(wanted):
            names.remove(table.names[each])
        elif each in names and each not in wanted:
            names.remove(str(each))
    if chosen is not None and columns is not None:
        names = [name for name in wanted if name in table.names]
    elif chosen is not None and all(type(each) is int and each < len(table.names) for each in chosen):
        names = [name_of("columns", each, table) for each in chosen]
    if len(names) != len(wanted) or (columns is not None and names != wanted):
        shown = f"{width} columns" if columns is None else f"the columns {', '.join(wanted)}"
        raise ValueError(f"{file} must hold {shown}, got {', '.join(table.names)}")
    try:
        return rows_of(table, names, categories)
    except _Malformed as error:
        raise ValueError(error.args[0]) from error


def column_names(path: str, *, delimiter: str, header: str, decimal: str = ".") -> list[str]:
    """The names of the columns of a file as `csv` reads it; their positions where they have none."""
    return _Cells.read(existing_file("path", path), delimiter, header, decimal).names


def _check_signs(delimiter: str, decimal: str) -> None:
    if type(delimiter) is not str or (len(delimiter) != 1 and delimiter != TAB):
        raise ValueError(f"delimiter must be one character, got {delimiter!r}; {TAB} is a tab")
    check_choice("decimal", decimal, DECIMALS)
    if delimiter == decimal:
        raise ValueError(f"decimal must be another character than delimiter, got {decimal!r} for both")


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


def _ask_about_first_row(table: _Cells, names: Sequence[str]) -> None:
    """Raise ValueError where the first row may be names: 2019, 2020, 2021, or 0, 1, 2, or nothing like the others."""
    held = [values for values in map(table.values, names) if values.dtype != object]
    if not held or table.rows < 3:
        return
    numbers = np.stack(held, axis=1)
    row, rest = numbers[0], numbers[1:]
    counts = len(row) > 2 and (np.diff(row) == 1).all() and not (np.diff(rest) == 1).all(axis=1).any()
    low, high = rest.min(axis=0), rest.max(axis=0)
    outside = np.maximum(low - row, row - high)
    strange = (outside > EXTREME * (high - low)) & (high > low) & (len(rest) >= 10)
    if counts or 2 * strange.sum() > len(row):
        raise ValueError(
            f"header must be present or absent where the first line may be names, {_first(table, names)} in"
            f" {table.file}: say data.header=present if it is, data.header=absent if it is a row"
        )


def _told(table: _Cells, names: Sequence[str]) -> str:
    size = f"{table.rows:,} rows of {len(names)} columns"
    if table.named:
        return f"{size}, named {few(names)}"
    first = _first(table, names)
    return f"{size} without names; the first row is {first} (data.header=present would make names of it)"


def _first(table: _Cells, names: Sequence[str]) -> str:
    return few([table.cell(name, 0) for name in names])


def _with_point(cell: str) -> str:
    return cell.replace(".", "?").replace(",", ".")
