"""Pictures as levels: the same of every source, whatever they are stored as."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from hourglass.data import hf, image_folder, torch_dataset
from hourglass.data.pictures import is_grey, levels_of

GREY = np.random.default_rng(0).integers(0, 256, (6, 5), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)
FIRST = np.moveaxis(COLOUR, -1, 0)


def palette() -> Image.Image:
    """30 colours by their numbers 0 to 29."""
    picture = Image.fromarray(np.arange(30, dtype=np.uint8).reshape(6, 5), "L")
    picture.putpalette(COLOUR.flatten().tolist())
    return picture


def deep(mode: str) -> Image.Image:
    """16 bits, all of them beyond what 8 bits hold."""
    levels = GREY.astype(np.uint16) * 257
    return Image.frombytes(mode, (5, 6), levels.astype(">u2" if mode == "I;16B" else "<u2").tobytes())


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.fromarray(GREY > 99), np.where(GREY > 99, 255, 0)),
        (Image.fromarray(GREY), GREY),
        (Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)]), GREY),
        (deep("I;16"), GREY),
        (deep("I;16B"), GREY),
        (palette(), FIRST),
        (Image.fromarray(COLOUR), FIRST),
        (Image.fromarray(np.dstack([COLOUR, GREY])), FIRST),
        (Image.fromarray(255 - COLOUR).convert("CMYK"), 255 - FIRST),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_levels_by_hand(picture: Image.Image, expected: Any) -> None:
    assert is_grey(picture) == (expected.ndim == 2)
    found = levels_of(picture)
    assert found.dtype == np.uint8
    assert found.tolist() == expected.tolist()


def test_levels_in_another_mode() -> None:
    assert levels_of(Image.fromarray(GREY), "RGB").tolist() == [GREY.tolist()] * 3
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert np.unique(levels_of(Image.new("RGB", (5, 6), (200, 100, 50)), "L")).tolist() == [124]


def test_pictures_are_upright() -> None:
    picture = Image.fromarray(np.rot90(GREY).copy())
    picture.getexif()[0x0112] = 6  # stored lying on its left side: to be turned clockwise by 90 degrees
    assert levels_of(picture).tolist() == GREY.tolist()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_levels_of_32_bits_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="its levels have 32 bits, and no range is known for them"):
        levels_of(Image.new(mode, (5, 6), 300))


class Pictures(TorchDataset[Any]):
    """Pictures, as torchvision's data sets without a transform have them."""

    def __init__(self, pictures: list[Image.Image]) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Any:
        return self.pictures[index]


SPLITS: dict[str, Any] = {
    "test_share": 0.2,
    "validation_size": 1,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}
HELD = {
    "bits": Image.fromarray(GREY > 99),
    "grey": Image.fromarray(GREY),
    "transparent": Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)]),
    "deep": deep("I;16"),
    "palette": palette(),
    "colour": Image.fromarray(COLOUR),
    "both": Image.fromarray(np.dstack([COLOUR, GREY])),
}


@pytest.mark.parametrize("name", HELD)
def test_every_source_reads_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture in files, in a data set of Hugging Face's and in one of torch's."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "files").mkdir()
    files = [str(tmp_path / "files" / f"{number}.png") for number in range(5)]
    for file in files:
        HELD[name].save(file)
    held = datasets.Dataset.from_dict({"image": files}, features=datasets.Features({"image": datasets.Image()}))
    held.save_to_disk(tmp_path / "saved")
    grey = is_grey(HELD[name])
    keys: dict[str, Any] = {"scaling": "none", **SPLITS}
    of_folder = image_folder(path=str(tmp_path / "files"), size=[6, 5], colour=not grey, **SPLITS)
    own = {"validation_split": "auto", "test_split": "auto", "label_column": None}
    of_hf = hf(path=str(tmp_path / "saved"), split="auto", **own, **keys)  # type: ignore[arg-type]
    pictures = [Image.open(file) for file in files]
    of_torch = torch_dataset(dataset=Pictures(pictures), validation_dataset=None, test_dataset=None, **keys)
    assert of_folder.shape == (1 if grey else 3, 6, 5)
    assert of_hf.train.x.equal(of_folder.train.x)
    assert of_torch.train.x.equal(of_folder.train.x)
    assert of_torch.range == of_folder.range
    of_one = levels_of(HELD[name])
    assert of_folder.train.x[0].tolist() == (of_one[None] if grey else of_one).tolist()
