"""One's own table in a csv file: what is read from it, and what is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hourglass.data import Dataset, Split, csv
from hourglass.data.own_tables import read_rows

COMMON: dict[str, Any] = {
    "test_share": 0.2,
    "validation_size": 1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}
TABLE = "age,kind,income\n31,b,1e3\n42,a,2000\n53,b,-3\n\n64,c,4.5\n75,a,0\n"


def read(folder: Path, text: str | bytes, **changes: Any) -> Dataset:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    options = {"delimiter": ",", "header": "auto", "label_column": None, "scaling": "none", **COMMON}
    return csv(path=str(path), **{**options, **changes})


def rows(data: Dataset) -> dict[float, list[float]]:
    """All rows of all splits, by their first cell, in the file's own units."""
    parts = torch.cat([data.unscaled(split.x) for split in (data.train, data.validation, data.test)])
    return {row[0]: row[1:] for row in parts.tolist()}


def labels(data: Dataset) -> dict[float, int]:
    def of(split: Split) -> dict[float, int]:
        assert split.y is not None
        return dict(zip(split.x[:, 0].tolist(), split.y.tolist(), strict=True))

    return of(data.train) | of(data.validation) | of(data.test)


def test_table_with_names_and_classes(tmp_path: Path) -> None:
    data = read(tmp_path, TABLE, label_column="kind")
    assert data.columns == ("age", "income")
    assert (data.shape, data.is_image, data.sizes) == ((2,), False, {"train": 3, "validation": 1, "test": 1})
    assert data.train.x.dtype == torch.float32
    assert rows(data) == {31: [1000], 42: [2000], 53: [-3], 64: [4.5], 75: [0]}
    assert labels(data) == {31: 1, 42: 0, 53: 1, 64: 2, 75: 0}  # a, b, c are 0, 1, 2


def test_table_of_numbers_alone(tmp_path: Path) -> None:
    data = read(tmp_path, "1;2;7\n3;4;8\n5;6;7\n7;8;12\n", delimiter=";", label_column=2)
    assert data.columns is None
    assert rows(data) == {1: [2], 3: [4], 5: [6], 7: [8]}
    assert labels(data) == {1: 7, 3: 8, 5: 7, 7: 12}  # whole numbers stay what they are


@pytest.mark.parametrize(("header", "count"), [("auto", 5), ("present", 4), ("absent", 5)])
def test_header_of_numbers_needs_to_be_named(tmp_path: Path, header: str, count: int) -> None:
    data = read(tmp_path, "0,1\n1,2\n3,4\n5,6\n7,8\n", header=header)
    assert sum(data.sizes.values()) == count
    assert data.columns == (("0", "1") if header == "present" else None)


def lines_of(rows: Any, delimiter: str = ",", decimal: str = ".") -> str:
    return "\n".join(delimiter.join(f"{cell:.2f}".replace(".", decimal) for cell in row) for row in rows)


NUMBERS = np.random.default_rng(0).uniform(0, 100, (30, 4))


def test_what_was_read_is_said(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b,c,d\n" + lines_of(NUMBERS)).notes == ("30 rows of 4 columns, named a, b, c, d",)
    (note,) = read(tmp_path, lines_of(NUMBERS)).notes
    assert note.startswith(
        "30 rows of 4 columns without names; the first row is 63.70, 26.98, 4.10, 1.65 (data.header="
    )


@pytest.mark.parametrize("names", ["2019,2020,2021,2022", "0,1,2,3", "2019,1950,2021,2007"])
def test_a_first_line_of_numbers_that_may_be_names_is_asked_about(tmp_path: Path, names: str) -> None:
    text = f"{names}\n{lines_of(NUMBERS)}"
    first = re.escape(names.replace(",", ", "))
    with pytest.raises(
        ValueError, match=rf"^header must be present or absent .* {first} in .*say data\.header=present"
    ):
        read(tmp_path, text)
    assert read(tmp_path, text, header="present").columns == tuple(names.split(","))
    assert sum(read(tmp_path, text, header="absent").sizes.values()) == 31


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    plain = read(tmp_path, "a,b,c,d\n" + lines_of(NUMBERS))
    for delimiter in (";", "\t"):
        text = "\n".join([delimiter.join("abcd"), lines_of(NUMBERS, delimiter, ",")])
        typed = "\\t" if delimiter == "\t" else delimiter
        data = read(tmp_path, text, delimiter=typed, decimal=",")
        assert data.columns == ("a", "b", "c", "d")
        assert torch.equal(data.train.x, plain.train.x)
        assert read(tmp_path, lines_of(NUMBERS, delimiter, ","), delimiter=typed, decimal=",").columns is None


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("a;b\n" + lines_of(NUMBERS[:, :2], ";"), {}, "must hold numbers, .*: say \"data.delimiter=';'\", which"),
        (lines_of(NUMBERS, "\t"), {}, r"must hold numbers, .*: say \"data.delimiter='\\t'\", which"),
        ("a|b\n" + lines_of(NUMBERS[:, :2], "|"), {}, "must hold numbers, .*: say \"data.delimiter='|'\", which"),
        (
            lines_of(NUMBERS, ";", ","),
            {},
            ": say \"data.delimiter=';'\", .* and \"data.decimal=','\" for decimal commas",
        ),
        (
            "a;b\n" + lines_of(NUMBERS[:, :2], ";", ","),
            {},
            'cells a line, .*: say "data.delimiter=\';\'", .* and "data',
        ),
        (lines_of(NUMBERS, ";", ","), {"delimiter": ";"}, "got '81,33' in line 2 .*: say \"data.decimal=','\" for"),
        ("1.234,5;2\n1;2\n", {"delimiter": ";", "decimal": ","}, r"must hold numbers, got '1\.234,5' in line 1"),
        ("id,2019\n1,2\n3,4\n", {}, "must hold numbers, got 'id' in line 1 .*: say data.header=present if that line"),
        ("1,2\n", {"decimal": ","}, "decimal must be another character than delimiter, got ','"),
        ("1,2\n", {"decimal": "'"}, "decimal must be one of"),
    ],
)
def test_other_signs_are_named(tmp_path: Path, text: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **changes)


def test_spreadsheet_export(tmp_path: Path) -> None:
    data = read(tmp_path, b'\xef\xbb\xbf"height, cm","weight"\r\n1,2\r\n3,4\r\n5,6\r\n7,8\r\n')
    assert data.columns == ("height, cm", "weight")
    assert rows(data) == {1: [2], 3: [4], 5: [6], 7: [8]}


def test_scaled_table_is_undone(tmp_path: Path) -> None:
    data = read(tmp_path, TABLE, label_column="kind", scaling="minmax")
    assert data.range == (0.0, 1.0)
    assert data.scaled(data.train.x) is data.train.x  # a model sees it as it is
    undone = {round(key): value for key, value in rows(data).items()}
    assert undone.keys() == {31, 42, 53, 64, 75}
    assert undone[42] == pytest.approx([2000], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("", {}, "path must hold rows, got the empty file"),
        ("a,b\n", {}, "path must hold rows below its header"),
        ("a,b\n1,2\n3\n", {}, r"path must hold 2 cells a line, got 1 in line 3 of .*table\.csv"),
        ("a,b\n1,2\n3,\n", {}, "column b must hold numbers, got '' in line 3"),
        ("a,b\n1,2\n\nx,3\n", {}, "column a must hold numbers, got 'x' in line 4"),
        ("1,2\n3,four\n", {}, "column 1 must hold numbers, got 'four' in line 2"),
        (
            "a\n1\nnan\n3\n4\n",
            {},
            "column a must hold numbers, got 'nan' in line 3 of .*: say data.missing=drop, mean or",
        ),
        ("a\n1\n1e300\n3\n4\n", {}, "finite numbers, got nan or infinity in sample 1 of 4"),
        (b"a,b\n1,\xff\n", {}, "path must be a csv file in UTF-8"),
        (TABLE, {"label_column": "sort"}, "label_column must be .* one of age, kind, income, got 'sort'"),
        (TABLE, {"label_column": 3}, "label_column must be a position from 0 to 2 .*, got 3"),
        ("1\n2\n3\n", {"label_column": 0}, "path must hold a column beside label_column=0"),
        (TABLE, {"header": "yes"}, "header must be one of auto, present, absent, got 'yes'"),
        (TABLE, {"scaling": "log"}, "scaling must be one of none, unit, minmax, standard, got 'log'"),
        (TABLE, {"delimiter": ", "}, "delimiter must be one character, got ', '"),
        ("1\n2\n", {}, "validation_size must be at most|test_share must leave"),
    ],
)
def test_csv_errors(tmp_path: Path, text: str | bytes, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **changes)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must be an existing file, got .*nothing\.csv"):
        csv(
            path=str(tmp_path / "nothing.csv"),
            delimiter=",",
            header="auto",
            label_column=None,
            scaling="none",
            **COMMON,
        )


def further(
    folder: Path,
    text: str,
    columns: tuple[str, ...] | None,
    label_column: str | int | None = None,
    chosen: list[str | int] | None = None,
) -> Any:
    (folder / "more.csv").write_text(text)
    return read_rows(
        str(folder / "more.csv"),
        delimiter=",",
        header="auto",
        label_column=label_column,
        columns=columns,
        width=2,
        chosen=chosen,
    ).tolist()


def test_further_rows_have_the_same_columns_with_or_without_the_label(tmp_path: Path) -> None:
    assert further(tmp_path, "a,b\n1,2\n", ("a", "b")) == [[1, 2]]
    assert further(tmp_path, "a,kind,b\n1,x,2\n", ("a", "b"), "kind") == [[1, 2]]
    assert further(tmp_path, "a,b\n1,2\n", ("a", "b"), "kind") == [[1, 2]]
    assert further(tmp_path, "7,1,2\n", None, 0) == [[1, 2]]


def test_of_further_rows_the_chosen_columns_are_picked(tmp_path: Path) -> None:
    for text in ("a,b,c\n1,2,3\n", "c,a\n3,1\n", "a,c\n1,3\n"):
        assert further(tmp_path, text, ("c", "a"), chosen=["c", "a"]) == [[3, 1]]
    assert further(tmp_path, "kind,a,c\nx,1,3\n", ("c", "a"), "kind", [2, 1]) == [[3, 1]]
    assert further(tmp_path, "1,2,3\n", None, chosen=[2, 0]) == [[3, 1]]
    assert further(tmp_path, "3,1\n", None, chosen=[2, 0]) == [[3, 1]]  # these alone, as they were chosen
    with pytest.raises(ValueError, match=r"more\.csv must hold the columns c, a, got a, b$"):
        further(tmp_path, "a,b\n1,2\n", ("c", "a"), chosen=["c", "a"])
    with pytest.raises(ValueError, match=r"more\.csv must hold 2 columns, got 0$"):
        further(tmp_path, "3\n", None, chosen=[2, 0])


@pytest.mark.parametrize(
    ("text", "columns"),
    [("b,a\n1,2\n", ("a", "b")), ("1,2\n", ("a", "b")), ("a,b,c\n1,2,3\n", ("a", "b")), ("1\n", None)],
)
def test_further_rows_of_other_columns_are_refused(tmp_path: Path, text: str, columns: tuple[str, ...] | None) -> None:
    with pytest.raises(ValueError, match=r"more\.csv must hold (the columns a, b|2 columns), got "):
        further(tmp_path, text, columns)
