"""Data sets of the library `datasets`, from where they lie on this machine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hourglass.data import Dataset, hf

datasets = pytest.importorskip("datasets")

COMMON: dict[str, Any] = {
    "split": "auto",
    "validation_split": "auto",
    "test_split": "auto",
    "label_column": None,
    "scaling": "none",
    "test_share": 0.2,
    "validation_size": 1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}
GREY = np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def read(path: Path | str, **changes: Any) -> Dataset:
    return hf(path=str(path), **{**COMMON, **changes})


def pictures(count: int, mode: str = "L") -> Any:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    images = [Image.fromarray(each).convert(mode) for each in GREY[:count]]
    return datasets.Dataset.from_dict({"image": images, "label": [at % 2 for at in range(count)]}, features=features)


def test_saved_images_with_their_splits_and_classes(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": pictures(12), "test": pictures(3)}).save_to_disk(tmp_path / "saved")
    data = read(tmp_path / "saved")
    assert data.sizes == {"train": 11, "validation": 1, "test": 3}
    assert data.test.x[:, 0].numpy().tolist() == GREY[:3].tolist()
    assert data.classes == ("cat", "dog")
    assert data.test.y is not None
    assert data.test.y.tolist() == [0, 1, 0]
    assert data.notes == ("labels are those of label",)
    assert read(tmp_path / "saved", test_split=None).sizes["test"] == 2
    assert set(read(tmp_path / "saved", binarize="static").train.x.unique().tolist()) == {0, 255}
    pictures(4, "RGB").save_to_disk(tmp_path / "colour")
    assert read(tmp_path / "colour", test_share=0.5).shape == (3, 6, 5)


def test_pictures_are_levels_whatever_they_are_stored_as(tmp_path: Path) -> None:
    """16 bits are scaled, not cut off; levels of 32 bits have no known range."""
    features = datasets.Features({"image": datasets.Image()})

    def saved(name: str, images: list[Image.Image]) -> Path:
        datasets.Dataset.from_dict({"image": images}, features=features).save_to_disk(tmp_path / name)
        return tmp_path / name

    deep = saved("deep", [Image.fromarray(each.astype(np.uint16) * 257) for each in GREY])
    plain = saved("plain", [Image.fromarray(each) for each in GREY])
    assert read(deep).train.x.equal(read(plain).train.x)
    both = [Image.fromarray(GREY[0].astype(np.uint16) * 257), *(Image.new("RGB", (5, 6), (1, 2, 3)) for _ in range(9))]
    colour = read(saved("both", both))
    parts = np.concatenate([part.x.numpy() for part in (colour.train, colour.validation, colour.test)])
    assert sorted(np.unique(parts[:, 0, 0, 0]).tolist()) == sorted({1, int(GREY[0, 0, 0])})
    for mode in ("I", "F"):
        with pytest.raises(ValueError, match=r"^columns must hold pictures whose levels are known, got .* 32 bits"):
            read(saved(mode, [Image.new(mode, (5, 6), 300)] * 4))


def test_no_split_is_taken_twice(tmp_path: Path) -> None:
    """A split that is the samples is no test set unasked."""

    def read_of(splits: dict[str, int], **changes: Any) -> tuple[dict[str, int], int]:
        """The sizes, and how many different pictures there are."""
        held = datasets.DatasetDict({name: pictures(count) for name, count in splits.items()})
        place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        held.save_to_disk(place)
        data = read(place, **changes)
        parts = (data.train, data.validation, data.test)
        return data.sizes, len({x.numpy().tobytes() for part in parts for x in part.x})

    apart = {"train": 9, "validation": 1, "test": 2}
    assert read_of({"test": 12}) == (apart, 12)
    assert read_of({"validation": 12}) == (apart, 12)
    assert read_of({"train": 5, "test": 12}, split="test") == (apart, 12)
    assert read_of({"train": 5, "test": 12}, split="test", test_split="train")[0]["test"] == 5
    # what is named goes before what is found
    three = {"train": 6, "validation": 3, "test": 2}
    assert read_of(three)[0] == three
    assert read_of(three, test_split="validation")[0] == {"train": 5, "validation": 1, "test": 3}
    assert read_of(three, validation_split="test")[0] == {"train": 5, "validation": 2, "test": 1}


def test_arrays_and_tables(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    names = ["ab"[at % 2] for at in range(20)]
    held = datasets.Dataset.from_dict({"embedding": x.tolist(), "a": x[:, 0].tolist(), "kind": names})
    held.save_to_disk(tmp_path / "saved")
    data = read(tmp_path / "saved", label_column="kind", scaling="standard")
    assert data.shape == (4,)
    assert data.classes == ("a", "b")
    table = read(tmp_path / "saved", columns=["a", "kind"])
    assert table.columns == ("a", "kind=a", "kind=b")
    held.remove_columns("embedding").to_parquet(str(tmp_path / "table.parquet"))
    assert read(tmp_path / "table.parquet").columns == table.columns


def test_what_is_refused(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": pictures(6), "test": pictures(3)}).save_to_disk(tmp_path / "saved")
    mixed = [Image.fromarray(GREY[0]), Image.fromarray(GREY[0, :4])] * 3
    datasets.Dataset.from_dict({"image": mixed}, features=datasets.Features({"image": datasets.Image()})).save_to_disk(
        tmp_path / "mixed"
    )
    (tmp_path / "a.txt").write_text("no")
    for path, changes, message in (
        ("saved", {"split": "all"}, "split must be one of train, test, got 'all'"),
        ("saved", {"split": None}, "split must be one of train, test, got None"),
        ("saved", {"test_split": "train"}, "test_split must be another split than split, got train for both: null"),
        ("saved", {"split": "test", "validation_split": "test"}, "validation_split must be another split than split"),
        (
            "saved",
            {"validation_split": "test", "test_split": "test"},
            r"test_split must be another split than validation_split, got test for both: data\.validation=test",
        ),
        ("saved", {"label_column": "sort"}, "label_column must be one of image, label, got 'sort'"),
        ("saved", {"columns": ["pixels"]}, "columns must be of image, label, got 'pixels'"),
        ("saved", {"columns": ["image", "label"]}, "columns must be image alone, which holds a whole sample"),
        ("saved", {"missing": "mean"}, "missing must be refuse for images and arrays, which image holds, got mean"),
        ("mixed", {}, "columns must hold images of one size, got 5x4 and 5x6 in image"),
        ("a.txt", {}, r"path must be a folder that save_to_disk wrote, .*a file that ends in \.txt, allowed are"),
        ("nowhere", {}, "path must be a folder that save_to_disk wrote, a data file, or the name of a data set in"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            read(tmp_path / path, **changes)
        assert "\n" not in str(error.value)
