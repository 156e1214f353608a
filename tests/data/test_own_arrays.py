"""One's own arrays in npz and idx files: what is read from them, and what is refused."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hourglass.data import Dataset, idx, idx_format, npy, npz

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
        ({"images": GREY}, r"array named x or x_train or train or train_images, got \['images'\]"),
        ({"x": GREY, "train": GREY}, "one of x and train, got both"),
        ({"x": GREY.astype(np.int64)}, "x must be uint8 or float, got int64"),
        ({"x": np.zeros(5)}, r"x must have shape \(N, D\), .*, got \(5,\)"),
        ({"x": np.zeros((0, 5))}, r"x must have shape .*, got \(0, 5\)"),
        ({"x": np.zeros((9, 28, 28, 3))}, r"x must have its channels before .*, got \(9, 28, 28, 3\)"),
        (
            {"x": GREY, "y": np.zeros(9, dtype=int)},
            r"y must be whole numbers or texts of shape \(10,\), got int64 \(9,\)",
        ),
        ({"x": GREY, "y": np.zeros(10)}, r"y must be whole numbers or texts of shape \(10,\), got float64"),
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
    with pytest.raises(
        ValueError, match=r"path must be an npz file of plain arrays, got .*: say data=npy for a single"
    ):
        npz(path=str(tmp_path / "a.npy"), **COMMON)


@pytest.mark.parametrize(
    "keys",
    [
        ("X", "Y", "X_val", "Y_val", "X_test", "Y_test"),
        ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
    ],
)
def test_npz_with_all_of_its_own_sets(tmp_path: Path, keys: tuple[str, ...]) -> None:
    names = np.array(["dog", "cat"] * 5)
    data = saved(
        tmp_path, **dict(zip(keys, (GREY, names, GREY[:4], names[:4, None], GREY[:3], names[:3]), strict=True))
    )
    assert data.sizes == {"train": 10, "validation": 4, "test": 3}
    assert data.classes == ("cat", "dog")
    assert data.validation.y is not None
    assert data.validation.y.tolist() == [1, 0, 1, 0]
    assert data.metadata["classes"] == '["cat", "dog"]'
    assert "classes: 0 cat, 1 dog" in data.notes


def test_arrays_that_are_not_used_are_named(tmp_path: Path) -> None:
    data = saved(tmp_path, x=GREY, weights=GREY, names=np.array([{}]))  # an object that is not read is no matter
    assert data.notes == ("arrays that are not used: names, weights",)


@pytest.mark.parametrize(
    ("x", "cast"),
    [
        (GREY.astype(np.int64), r"x\.astype\(numpy\.uint8\) for grey levels 0 to 255, x\.astype\(numpy\.float32\) for"),
        (GREY.astype(np.int16) - 9, r"x\.astype\(numpy\.float32\)$"),
        (GREY > 9, r"x\.astype\(numpy\.float32\), of 0 and 1"),
        (GREY.astype(complex), r"give numpy\.abs\(x\), or"),
    ],
)
def test_the_cast_to_make_is_said(tmp_path: Path, x: Any, cast: str) -> None:
    with pytest.raises(ValueError, match=rf"x must be uint8 or float, got {x.dtype} in .*: .*{cast}"):
        saved(tmp_path, x=x)


@pytest.mark.parametrize("scaling", ["unit", "minmax", "standard"])
@pytest.mark.parametrize("shape", [(10, 24), (10, 2, 4, 3)])
def test_floats_of_any_range_are_scaled(tmp_path: Path, scaling: str, shape: tuple[int, ...]) -> None:
    raw = np.random.default_rng(0).normal(100, 40, shape)
    np.savez(tmp_path / "a.npz", x=raw, x_test=raw)
    data = npz(path=str(tmp_path / "a.npz"), scaling=scaling, **COMMON)
    assert data.scaling is not None
    assert data.scaling.offset.shape == (shape[1], *[1] * (len(shape) - 2))
    np.testing.assert_allclose(data.unscaled(data.test.x), raw, rtol=1e-5, atol=1e-4)
    x = data.train.x if len(shape) == 2 else data.train.x.movedim(1, -1).flatten(0, -2)
    if scaling == "standard":
        assert x.mean(0).abs().max() < 1e-5
        assert x.std(0, correction=0).sub(1).abs().max() < 1e-5
    else:
        assert data.range == (0.0, 1.0)
    if scaling == "minmax":
        assert x.amin(0).tolist() == [0] * x.shape[1]
        assert x.amax(0).tolist() == [1] * x.shape[1]


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 255)])
def test_a_usual_range_becomes_0_to_1(tmp_path: Path, low: float, high: float) -> None:
    raw = np.linspace(low, high * 0.9, 240).reshape(10, 24)
    np.savez(tmp_path / "a.npz", x=raw)
    data = npz(path=str(tmp_path / "a.npz"), scaling="unit", **COMMON)
    assert data.scaling is not None
    assert set(data.scaling.offset.tolist()) == {low}
    assert set(data.scaling.scale.tolist()) == {high - low}
    np.savez(tmp_path / "a.npz", x=GREY)
    assert npz(path=str(tmp_path / "a.npz"), scaling="unit", **COMMON).scaling is None  # seen as 0 to 1 already


def test_npy_files(tmp_path: Path) -> None:
    for name, array in {"x": GREY, "y": np.array(list("abababababa"[:10])), "t": GREY[:2], "v": GREY[:3]}.items():
        np.save(tmp_path / f"{name}.npy", array)

    def read(**paths: str | None) -> Dataset:
        keys = ("path", "labels", "validation_path", "validation_labels", "test_path", "test_labels")
        places = {key: paths.get(key) and str(tmp_path / f"{paths[key]}.npy") for key in keys}
        return npy(**places, scaling="none", **COMMON)  # type: ignore[arg-type]

    data = read(path="x", labels="y", validation_path="v", test_path="t")
    assert data.sizes == {"train": 10, "validation": 3, "test": 2}
    assert data.classes == ("a", "b")
    with pytest.raises(ValueError, match=r"validation_labels must come with validation_path, got .* alone"):
        read(path="x", validation_labels="y")
    with pytest.raises(
        ValueError, match=r"labels must be whole numbers or texts of shape \(2,\), got texts \(10,\) in"
    ):
        read(path="t", labels="y")
    with pytest.raises(ValueError, match=r"test_path must be another file than path, got .*x\.npy for both: null sets"):
        read(path="x", test_path="x")
    (tmp_path / "n.npy").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"path must be an npy file, which numpy\.save writes, got .*n\.npy"):
        read(path="n")


def test_missing_npz(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must be an existing file, got .*nothing\.npz"):
        npz(path=str(tmp_path / "nothing.npz"), **COMMON)


# -- idx --------------------------------------------------------------------------------------------------------------


def read_idx(folder: Path, packed: bool = False, **arrays: Any) -> Dataset:
    """Every array in a file of its own, as the argument of its name."""
    paths: dict[str, str | None] = dict.fromkeys(("path", "labels", "test_path", "test_labels"))
    for key, array in arrays.items():
        content = idx_format.encode(array)
        (folder / key).write_bytes(gzip.compress(content) if packed else content)
        paths[key] = str(folder / key)
    return idx(**paths, **COMMON)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_with_labels_and_a_test_set(tmp_path: Path, packed: bool) -> None:
    data = read_idx(
        tmp_path,
        packed,
        path=GREY,
        labels=np.arange(10, dtype=np.int32),
        test_path=GREY[:3] + 1,
        test_labels=np.array([7, 8, 9], dtype=np.uint8),
    )
    assert (data.shape, data.sizes) == ((1, 4, 6), {"train": 9, "validation": 1, "test": 3})
    assert data.test.x.equal(torch.from_numpy(GREY[:3] + 1).unsqueeze(1))
    assert data.test.y is not None
    assert data.test.y.tolist() == [7, 8, 9]
    assert data.train.y is not None
    assert data.train.x.equal(torch.from_numpy(GREY)[data.train.y].unsqueeze(1))


def test_an_idx_file_is_no_test_set_of_itself(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(idx_format.encode(GREY))
    path = str(tmp_path / "x")
    with pytest.raises(ValueError, match=r"test_path must be another file than path, got .*x for both: null sets"):
        idx(path=path, labels=None, test_path=path, test_labels=None, **COMMON)


def test_idx_rows_and_floats(tmp_path: Path) -> None:
    rows = read_idx(tmp_path, path=GREY.reshape(10, 24))
    assert (rows.shape, rows.train.x.dtype, rows.train.y) == ((24,), torch.uint8, None)
    floats = read_idx(tmp_path, path=np.full((10, 3), -1.5))
    assert (floats.shape, floats.train.x.dtype, floats.range) == ((3,), torch.float32, (-1.5, -1.5))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"path": GREY.astype(np.int16)}, "path must be uint8 or float, got int16"),
        ({"path": GREY[0, 0]}, r"path must have shape \(N, D\), .*, got \(6,\)"),
        (
            {"path": GREY, "labels": GREY},
            r"labels must be whole numbers or texts of shape \(10,\), got uint8 \(10, 4, 6\)",
        ),
        (
            {"path": GREY, "labels": np.zeros(10)},
            r"labels must be whole numbers or texts of shape \(10,\), got float64",
        ),
        ({"path": GREY, "test_path": GREY[:, :3]}, r"test_path must match path, .*, got torch.uint8 \(1, 3, 6\)"),
        ({"path": GREY, "test_labels": np.arange(9)}, "test_labels must come with test_path, got .* alone"),
    ],
)
def test_idx_errors(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    arrays = {key: array.astype(np.int32) if array.dtype == np.int64 else array for key, array in arrays.items()}
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path, **arrays)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b broken", "path must be an idx file, plain or gzipped, got"),
        (b"no", "must start with two zero bytes"),
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        idx(path=str(tmp_path / "a"), labels=None, test_path=None, test_labels=None, **COMMON)
