"""What is made of the columns of a table, whatever file it lies in: numbers, one-hot names, missing entries."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from hourglass.data import Dataset, csv, parquet
from hourglass.data.own_tables import read_rows

COMMON: dict[str, Any] = {
    "test_share": 0.25,
    "validation_size": 1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
    "label_column": None,
    "scaling": "none",
}
TABLE = (
    "id,size,kind,day\n1,10,a,2024-01-05\n2,20,b,2024-01-06\n3,NA,a,2024-01-07\n4,40,,2024-01-08\n5,50,b,2024-02-01\n"
)
TABLE += "6,60,a,2024-02-02\n7,70,a,2024-02-03\n8,80,b,2024-02-04\n"


def from_csv(folder: Path, text: str = TABLE, **changes: Any) -> Dataset:
    (folder / "table.csv").write_text(text)
    return csv(path=str(folder / "table.csv"), delimiter=",", header="auto", **{**COMMON, **changes})


def from_parquet(folder: Path, text: str = TABLE, **changes: Any) -> Dataset:
    (folder / "t.csv").write_text(text)
    pd.read_csv(folder / "t.csv", parse_dates=["day"]).to_parquet(folder / "table.parquet")
    given = {"path": str(folder / "table.parquet"), "validation_path": None, "test_path": None}
    return parquet(**{**given, **COMMON, **changes})


def rows(data: Dataset) -> dict[float, list[float]]:
    parts = torch.cat([split.x for split in (data.train, data.validation, data.test)])
    return {row[0]: row[1:] for row in parts.tolist()}


@pytest.mark.parametrize("read", [from_csv, from_parquet])
def test_columns_are_chosen_left_out_and_put_in_order(tmp_path: Path, read: Any) -> None:
    data = read(tmp_path, columns=["size", "id"], missing="drop")
    assert data.columns == ("size", "id")
    assert rows(data)[10] == [1]
    assert len(rows(data)) == 7
    assert read(tmp_path, exclude=["day", "size"], missing="drop", label_column="kind").columns == ("id",)
    assert read(tmp_path, columns=[0, 1], missing="drop").columns == ("id", "size")
    labelled = read(tmp_path, columns=["id"], missing="drop", label_column="kind")
    assert labelled.classes == ("a", "b")
    assert sum(labelled.sizes.values()) == 7  # one has no class


@pytest.mark.parametrize("read", [from_csv, from_parquet])
def test_names_become_one_hot_columns(tmp_path: Path, read: Any) -> None:
    data = read(tmp_path, exclude=["day"], missing="drop", scaling="standard")
    assert data.columns == ("id", "size", "kind=a", "kind=b")
    ((column, start, values),) = data.categories
    assert (column, start, values) == ("kind", 2, ("a", "b"))
    assert data.train.x[:, 2:].sum(1).eq(1).all()
    assert set(data.train.x[:, 2:].flatten().tolist()) == {0, 1}  # not scaled
    # Numbers that are names, as codes of places are.
    coded = read(tmp_path, columns=["id", "size"], categorical=["size"], missing="drop")
    assert coded.columns is not None
    assert coded.columns[:3] == ("id", "size=10", "size=20")


@pytest.mark.parametrize("read", [from_csv, from_parquet])
def test_numbers_that_are_names_are_never_merged(tmp_path: Path, read: Any) -> None:
    """They were written with six digits, so that 1000001 and 1000002 were one name."""
    codes = ["1000001", "1000002", "0.1234567", "0.1234568", "-3", "1e-7"]
    text = "code,kind,day\n" + "".join(f"{codes[row % 6]},{row},2024-01-05\n" for row in range(12))
    data = read(tmp_path, text, columns=["kind", "code"], categorical=["code"])
    ((_, _, names),) = data.categories
    assert names == ("-3", "1e-07", "0.1234567", "0.1234568", "1000001", "1000002")
    for kind, hot in rows(data).items():
        assert names[hot.index(1)] == codes[int(kind) % 6].replace("1e-7", "1e-07")


def test_labels_that_are_no_whole_numbers_are_never_merged(tmp_path: Path) -> None:
    text = "x,dose,day\n" + "".join(f"{row},{(0.1234567, 0.1234568, 2)[row % 3]},2024-01-05\n" for row in range(12))
    data = from_parquet(tmp_path, text, columns=["x"], label_column="dose")
    assert data.classes == ("0.1234567", "0.1234568", "2")


@pytest.mark.parametrize("read", [from_csv, from_parquet])
def test_what_stands_for_missing_entries(tmp_path: Path, read: Any) -> None:
    dropped = read(tmp_path, exclude=["day"], missing="drop")
    assert sorted(rows(dropped)) == [1, 2, 5, 6, 7, 8]
    assert dropped.fill is None
    mean, masked = (read(tmp_path, exclude=["day"], missing=each) for each in ("mean", "mask"))
    assert mean.fill is not None
    assert masked.fill is not None
    assert masked.masked
    assert not mean.masked
    assert not mean.train.x.isnan().any()
    known = masked.train.x.double().nanmean(0).float()
    assert masked.fill.equal(known)
    hidden = {row: values for row, values in rows(masked).items() if values[0] != values[0]}
    assert list(hidden) == [3]
    (seen,) = masked.scaled(torch.tensor([[3.0, torch.nan, 1.0, 0.0]])).tolist()
    assert seen == [3, known[1].item(), 1, 0]
    assert rows(mean)[3][0] == pytest.approx(known[1].item())
    assert sum(rows(mean)[4][1:]) == pytest.approx(1)  # of names the share of each
    assert masked.notes[-1].startswith(
        "missing entries in 2 rows, in size, kind: the mean of its column stands for each"
    )
    assert masked.range == (
        min(masked.train.x.nan_to_num(0).min().item(), 0),
        masked.train.x.nan_to_num(0).max().item(),
    )


@pytest.mark.parametrize("scaling", ["unit", "minmax", "standard"])
def test_missing_entries_do_not_move_the_scaling(tmp_path: Path, scaling: str) -> None:
    data = from_csv(tmp_path, exclude=["day", "kind"], missing="mask", scaling=scaling)
    assert data.scaling is not None
    raw = data.unscaled(data.train.x)
    there = raw[~raw[:, 1].isnan(), 1]
    if scaling == "minmax":
        assert data.scaling.offset[1] == pytest.approx(there.min().item())
    if scaling == "standard":
        assert data.scaling.offset[1] == pytest.approx(there.mean().item())
    if scaling == "unit":  # one for all columns
        assert data.scaling.scale[0] == data.scaling.scale[1]


def test_own_validation_and_test_files(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("size,id,kind\n1,2,a\n3,4,b\n")
    (tmp_path / "test.csv").write_text("id,size,kind,more\n5,6,b,0\n")
    paths = {"validation_path": str(tmp_path / "val.csv"), "test_path": str(tmp_path / "test.csv")}
    data = from_csv(tmp_path, columns=["id", "size"], missing="drop", label_column="kind", **paths)
    assert data.sizes == {"train": 6, "validation": 2, "test": 1}
    assert data.validation.x.tolist() == [[2, 1], [4, 3]]
    assert data.test.y is not None
    assert data.test.y.tolist() == [1]
    (tmp_path / "test.csv").write_text("id,size,kind\n5,6,c\n")
    with pytest.raises(ValueError, match=r"column kind must hold one of a, b, got 'c' in line 2 of .*test\.csv"):
        from_csv(tmp_path, exclude=["day"], missing="drop", test_path=paths["test_path"])
    (tmp_path / "test.csv").write_text("id,kind\n5,a\n")
    with pytest.raises(ValueError, match=r"test_path must have the columns of path, id, size, kind, got id, kind in"):
        from_csv(tmp_path, "id,size,kind\n1,2,a\n3,4,b\n5,6,a\n", test_path=paths["test_path"])


@pytest.mark.parametrize("read", [from_csv, from_parquet])
def test_a_file_is_no_test_set_of_itself(tmp_path: Path, read: Any) -> None:
    kept: dict[str, Any] = {"columns": ["id"]}
    read(tmp_path, **kept)
    file = next(each for each in (tmp_path / "table.parquet", tmp_path / "table.csv") if each.exists())
    (tmp_path / "link").symlink_to(file)
    for key in ("validation_path", "test_path"):
        for path in (file, tmp_path / "." / "link"):
            with pytest.raises(ValueError, match=rf"^{key} must be another file than path, got .* for both: null sets"):
                read(tmp_path, **kept, **{key: str(path)})
    (tmp_path / "other").write_bytes(file.read_bytes())
    both = dict.fromkeys(("validation_path", "test_path"), str(tmp_path / "other"))
    with pytest.raises(ValueError, match=r"^test_path must be another file than validation_path, .*data\.validation"):
        read(tmp_path, **kept, **both)


@pytest.mark.parametrize("read", [from_csv, from_parquet])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"column day must hold numbers, got the date '2024-01-05.*' in (line 2|row 0).*data.exclude=\[day\]"),
        ({"exclude": ["day"]}, r"column size must hold numbers, got .* in (line 4|row 2) of .*: say data.missing=drop"),
        ({"columns": ["kind"]}, r"column kind must hold a name, got .* in (line 5|row 3) of .*: say data.missing=drop"),
        ({"columns": ["id", "weight"]}, "columns must be a position from 0 to 3 or one of id, size, .*, got 'weight'"),
        ({"exclude": [9]}, "exclude must be a position from 0 to 3 .*, got 9"),
        ({"columns": []}, r"columns must name one or more, or be null for all, got \[\]"),
        ({"columns": ["id", "id"]}, "columns must not name id, which is named twice"),
        ({"columns": ["id"], "exclude": ["id"]}, "columns must not name id, which is named exclude too"),
        ({"columns": ["kind"], "label_column": "kind"}, "columns must not name kind, which is named label_column too"),
        ({"exclude": ["id", "size", "kind", "day"]}, "path must hold a column and exclude|path must hold a column"),
        ({"missing": "zero"}, "missing must be one of refuse, drop, mean, mask, got 'zero'"),
        ({"columns": ["id"], "categorical": ["kind"]}, "categorical must name columns that are used, got kind"),
        ({"exclude": ["day"], "categorical": []}, r"column kind must hold numbers, got 'a' in .* data.categorical"),
        (
            {"columns": ["id"], "label_column": "kind"},
            "label_column must hold a class in every .* say data.missing=drop",
        ),
    ],
)
def test_what_is_refused_is_named(tmp_path: Path, read: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)


def test_texts_that_are_no_categories_are_named(tmp_path: Path) -> None:
    names = "name,n\n" + "".join(f"person {number},{number}\n" for number in range(20))
    with pytest.raises(ValueError, match=r"column name must hold numbers or a few names, got 20 different texts, each"):
        from_csv(tmp_path, names)
    assert len(from_csv(tmp_path, names, categorical=["name"]).categories[0].values) == 20
    with pytest.raises(ValueError, match="column a must hold numbers, got 'x' in line 3"):  # numbers, mistyped once
        from_csv(tmp_path, "a,b\n1,2\nx,3\n5,4\n")
    pd.DataFrame({"a": [[1, 2]], "b": [0]}).to_parquet(tmp_path / "lists.parquet")
    given = {"path": str(tmp_path / "lists.parquet"), "validation_path": None, "test_path": None}
    with pytest.raises(ValueError, match=r"column a must hold numbers or texts, got ndarray .* data.exclude=\[a\]"):
        parquet(**given, **COMMON)
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"path must be a parquet file, got .*bad\.parquet"):
        parquet(**{**given, "path": str(tmp_path / "bad.parquet")}, **COMMON)


def test_csv_and_parquet_hold_the_same(tmp_path: Path) -> None:
    one, other = (
        read(tmp_path, exclude=["day"], missing="mask", scaling="minmax") for read in (from_csv, from_parquet)
    )
    assert one.digest == other.digest
    assert (one.columns, one.categories) == (other.columns, other.categories)


def test_further_rows_are_encoded_alike(tmp_path: Path) -> None:
    data = from_csv(tmp_path, exclude=["day"], missing="mask")
    (tmp_path / "more.csv").write_text("id,size,kind,day\n9,,b,2025-01-01\n")
    reading = {"delimiter": ",", "header": "auto", "label_column": None, "columns": data.columns, "width": 4}
    found = read_rows(str(tmp_path / "more.csv"), **reading, exclude=["day"], categories=data.categories)
    assert np.array_equal(found, [[9, np.nan, 0, 1]], equal_nan=True)
    (tmp_path / "more.csv").write_text("id,size,kind\n9,1,z\n")
    with pytest.raises(ValueError, match="column kind must hold one of a, b, got 'z' in line 2"):
        read_rows(str(tmp_path / "more.csv"), **reading, exclude=["day"], categories=data.categories)
