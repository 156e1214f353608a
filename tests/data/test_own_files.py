"""One's own csv and npz files: what is read from them, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hourglass.data import Dataset, Split, csv, npz

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
        ("a\n1\nnan\n3\n4\n", {}, "finite numbers, got nan or infinity in sample 1 of 4"),
        ("a\n1\n1e300\n3\n4\n", {}, "finite numbers, got nan or infinity in sample 1 of 4"),
        (b"a,b\n1,\xff\n", {}, "path must be a csv file in UTF-8"),
        (TABLE, {"label_column": "sort"}, "label_column must be .* one of age, kind, income, got 'sort'"),
        (TABLE, {"label_column": 3}, "label_column must be a position from 0 to 2 .*, got 3"),
        ("1\n2\n3\n", {"label_column": 0}, "path must hold a column beside label_column=0"),
        (TABLE, {"header": "yes"}, "header must be one of auto, present, absent, got 'yes'"),
        (TABLE, {"scaling": "log"}, "scaling must be one of none, minmax, standard, got 'log'"),
        (TABLE, {"delimiter": ", "}, "delimiter must be one character, got ', '"),
        ("1\n2\n", {}, "validation_size must be at most|test_share must leave"),
    ],
)
def test_csv_errors(tmp_path: Path, text: str | bytes, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **changes)


@pytest.mark.parametrize("source", [csv, npz])
def test_missing_file(tmp_path: Path, source: Any) -> None:
    table = {"delimiter": ",", "header": "auto", "label_column": None, "scaling": "none"} if source is csv else {}
    with pytest.raises(ValueError, match=r"path must be an existing file, got .*nothing\.npz"):
        source(path=str(tmp_path / "nothing.npz"), **table, **COMMON)


def saved(folder: Path, **arrays: Any) -> Dataset:
    np.savez(folder / "arrays.npz", **arrays)
    return npz(path=str(folder / "arrays.npz"), **COMMON)


GREY = np.arange(10 * 4 * 6, dtype=np.uint8).reshape(10, 4, 6)


@pytest.mark.parametrize(
    ("x", "shape", "limits"),
    [
        (GREY.reshape(10, 24), (24,), (0.0, 1.0)),
        (GREY, (1, 4, 6), (0.0, 1.0)),
        (GREY.reshape(10, 3, 4, 2), (3, 4, 2), (0.0, 1.0)),
        (np.full((10, 2), 0.5), (2,), (0.5, 0.5)),
        (np.full((10, 2, 2), -1.5, dtype=">f4"), (1, 2, 2), (-1.5, -1.5)),
    ],
)
def test_npz_shapes(tmp_path: Path, x: Any, shape: tuple[int, ...], limits: tuple[float, float]) -> None:
    data = saved(tmp_path, x=x)
    assert (data.shape, data.range) == (shape, limits)
    assert data.sizes == {"train": 7, "validation": 1, "test": 2}
    assert data.train.y is None
    assert data.train.x.dtype == (torch.uint8 if x.dtype == np.uint8 else torch.float32)


@pytest.mark.parametrize(
    "keys",
    [
        ("x", "y", "x_test", "y_test"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("train", "train_labels", "test", "test_labels"),
    ],
)
def test_npz_with_its_own_test_set(tmp_path: Path, keys: tuple[str, ...]) -> None:
    arrays = (GREY, np.arange(10), GREY[:3] + 1, np.array([7, 8, 9], dtype=np.uint8))
    data = saved(tmp_path, **dict(zip(keys, arrays, strict=True)))
    assert data.sizes == {"train": 9, "validation": 1, "test": 3}
    assert data.test.x.equal(torch.from_numpy(GREY[:3] + 1).unsqueeze(1))
    assert data.test.y is not None
    assert data.test.y.tolist() == [7, 8, 9]
    assert data.test.y.dtype == torch.int64
    assert data.train.y is not None
    assert data.train.x.equal(torch.from_numpy(GREY)[data.train.y].unsqueeze(1))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GREY}, r"array named x or x_train or train, got \['images'\]"),
        ({"x": GREY, "weights": GREY}, "arrays named x, x_train, .*, got weights"),
        ({"x": GREY, "train": GREY}, "one of x and train, got both"),
        ({"x": GREY.astype(np.int64)}, "x must be uint8 or float, got int64"),
        ({"x": np.zeros(5)}, r"x must have shape \(N, D\), .*, got \(5,\)"),
        ({"x": np.zeros((0, 5))}, r"x must have shape .*, got \(0, 5\)"),
        ({"x": np.zeros((9, 28, 28, 3))}, r"x must have its channels before .*, got \(9, 28, 28, 3\)"),
        ({"x": GREY, "y": np.zeros(9, dtype=int)}, r"y must be whole numbers of shape \(10,\), got int64 \(9,\)"),
        ({"x": GREY, "y": np.zeros(10)}, r"y must be whole numbers of shape \(10,\), got float64"),
        ({"x": GREY, "x_test": GREY[:, :3]}, r"x_test must match x, .*, got torch.uint8 \(1, 3, 6\)"),
        ({"x": GREY, "x_test": GREY / 255}, "x_test must match x, torch.uint8 .*, got torch.float32"),
        ({"x": GREY, "y_test": np.arange(10)}, "path must hold x_test beside y_test"),
        ({"x": np.array([[1.0, np.inf]] * 9)}, "npz must hold finite numbers, got nan or infinity in sample 0 of 9"),
        ({"x": np.array([[{}]])}, "path must be an npz file of plain arrays"),
    ],
)
def test_npz_errors(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        saved(tmp_path, **arrays)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_what_is_no_npz_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="path must be an npz file of plain arrays, got"):
        npz(path=str(tmp_path / "a.npz"), **COMMON)


def test_a_single_npy_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    with pytest.raises(ValueError, match="path must be an npz file of plain arrays, got"):
        npz(path=str(tmp_path / "a.npy"), **COMMON)
