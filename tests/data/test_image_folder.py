"""A folder of images: decoded once, mapped, never read whole."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hourglass.data import DataCorruptError, Dataset, DataUnavailableError, image_folder
from hourglass.data.image_folder import mapped

COMMON: dict[str, Any] = {
    "test_share": 0.2,
    "validation_size": 2,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 0,
    "resident": "auto",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOURGLASS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "image_folder"


def made(folder: Path, **changes: Any) -> Dataset:
    return image_folder(path=str(folder), **{"size": 4, "colour": True, **COMMON, **changes})


def save(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, **options)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Ten 4x4 images, number n all of the colour (n, 2 n, 3 n)."""
    for number in range(10):
        save(tmp_path / "flat" / f"{number}.png", np.full((4, 4, 3), [number, 2 * number, 3 * number]))
    return tmp_path / "flat"


def everything(data: Dataset) -> torch.Tensor:
    return torch.cat([split.x for split in (data.train, data.validation, data.test)])


def test_images_without_classes(flat: Path) -> None:
    (flat / "notes.txt").write_text("not an image")
    data = made(flat)
    assert (data.shape, data.sizes, data.range) == ((3, 4, 4), {"train": 6, "validation": 2, "test": 2}, (0.0, 1.0))
    assert data.train.x.dtype == torch.uint8
    assert data.train.y is None
    x = everything(data)
    assert x.flatten(2).amin(2).equal(x.flatten(2).amax(2))
    assert sorted(x[:, :, 0, 0].tolist()) == [[n, 2 * n, 3 * n] for n in range(10)]


def test_sub_folders_are_classes_in_alphabetical_order(tmp_path: Path) -> None:
    for number in range(12):
        name = ("cat", "dog/puppy", "ant")[number % 3]  # ant 0, cat 1, dog 2
        save(tmp_path / "animals" / name / f"{number}.PNG", np.full((4, 4, 3), number))
    data = made(tmp_path / "animals")
    for split in (data.train, data.validation, data.test):
        assert split.y is not None
        assert [(1, 2, 0)[number % 3] for number in split.x[:, 0, 0, 0].tolist()] == split.y.tolist()


def split_folder(folder: Path, *, val: str = "val", classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Image number n, all of that level, 0 to 11 in train, 12 to 15 in val, 16 to 21 in test; odd ones are dogs."""
    for number in range(22):
        part = "train" if number < 12 else val if number < 16 else "test"
        save(folder / part / (classes[number % 2] if classes else "") / f"{number}.png", np.full((4, 4, 3), number))
    return folder


def levels(split: Any) -> list[int]:
    return sorted(split.x[:, 0, 0, 0].tolist())


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
@pytest.mark.parametrize("classes", [("cat", "dog"), ()])
def test_folders_of_splits_are_the_splits(tmp_path: Path, val: str, classes: tuple[str, ...]) -> None:
    data = made(split_folder(tmp_path / "whole", val=val, classes=classes))
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    assert {name: levels(part) for name, part in parts.items()} == {
        "train": list(range(12)),
        "validation": list(range(12, 16)),
        "test": list(range(16, 22)),
    }
    for part in parts.values():
        expected = [number % 2 for number in part.x[:, 0, 0, 0].tolist()] if classes else None
        assert (None if part.y is None else part.y.tolist()) == expected
    (note,) = data.notes
    assert note.startswith("the sub-folders are the splits: 12 train, 4 validation, 6 test (data.folders=classes would")
    assert data.train.x.untyped_storage().data_ptr() == data.test.x.untyped_storage().data_ptr()
    # test_size, train_size and validation=test do what they do elsewhere
    few = made(tmp_path / "whole", test_size=2, train_size=5, validation="test")
    assert few.sizes == {"train": 5, "validation": 2, "test": 2}
    assert set(levels(few.test)) < set(range(16, 22))


def test_splits_without_a_folder_are_taken_from_train(tmp_path: Path, cache: Path) -> None:
    folder = split_folder(tmp_path / "whole")
    as_classes = made(folder, folders="classes")  # the same files, read otherwise, are kept apart
    assert sum(as_classes.sizes.values()) == 22
    assert as_classes.train.y is not None
    assert set(as_classes.train.y.tolist()) <= {0, 1, 2}
    whole = made(folder)
    assert whole.digest != as_classes.digest
    assert len(list(cache.glob("*/pixels"))) == 2
    assert made(folder).digest == whole.digest
    (folder / "val").rename(tmp_path / "away")
    data = made(folder)
    assert data.sizes == {"train": 10, "validation": 2, "test": 6}
    (folder / "test").rename(tmp_path / "gone")
    assert made(folder).sizes == {"train": 8, "validation": 2, "test": 2}


def test_mixtures_are_refused(tmp_path: Path) -> None:
    folder = split_folder(tmp_path / "whole")
    save(folder / "birds" / "a.png", np.zeros((4, 4)))
    with pytest.raises(
        ValueError, match=r"^folders must be classes, or path hold splits alone, got test, train, val beside"
    ):
        made(folder)
    assert sum(made(folder, folders="classes").sizes.values()) == 23
    (folder / "birds").rename(tmp_path / "birds")
    save(folder / "validation" / "cat" / "a.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"^path must hold one of val and validation, got both in"):
        made(folder)
    (folder / "validation").rename(folder / "test" / "horse")
    with pytest.raises(ValueError, match=r"^path must hold the classes of test in train too, got horse in test alone"):
        made(folder)
    save(tmp_path / "late" / "test" / "a.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"^path must hold a folder train beside test, got none in"):
        made(tmp_path / "late")
    save(tmp_path / "half" / "train" / "cat" / "a.png", np.zeros((4, 4)))
    save(tmp_path / "half" / "test" / "a.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"^path must hold images either in sub-folders or directly, got both: "):
        made(tmp_path / "half")


def test_one_sub_folder_is_no_class(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / "one" / "only" / f"{number}.png", np.full((4, 4, 3), number))
    data = made(tmp_path / "one")
    assert data.train.y is None
    assert data.notes == ("all labels are 0, of one class: taken as data without labels",)


def test_pixels_by_hand(tmp_path: Path) -> None:
    """The central square of 4 x 8, turned as EXIF says; the luma; 16 bits; a palette; a constant under resizing."""
    wide = np.zeros((4, 8, 3), dtype=np.uint8)
    wide[:, :2], wide[:, 2:6], wide[:, 6:] = 10, np.arange(16).reshape(4, 4, 1) * 3, 20
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying on its left side: to be turned clockwise by 90 degrees
    for number in range(3):  # each folder its own data set of three equal images
        save(tmp_path / "wide" / f"{number}.png", wide)
        save(tmp_path / "turned" / f"{number}.png", np.rot90(wide), exif=turned)
        save(tmp_path / "red" / f"{number}.bmp", np.full((9, 7, 3), [200, 100, 50]))
        deep = np.full((4, 4), 257 * 130, dtype=np.uint16)
        (tmp_path / "deep").mkdir(exist_ok=True)
        Image.fromarray(deep).save(tmp_path / "deep" / f"{number}.png")
        (tmp_path / "palette").mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), [0, 0, 255], np.uint8)).quantize(4).save(
            tmp_path / "palette" / f"{number}.gif"
        )
    sizes = {"test_share": 0.3, "validation_size": 1}
    assert everything(made(tmp_path / "wide", **sizes))[0, 0].tolist() == (np.arange(16).reshape(4, 4) * 3).tolist()
    assert everything(made(tmp_path / "turned", **sizes)).equal(everything(made(tmp_path / "wide", **sizes)))
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert everything(made(tmp_path / "red", colour=False, size=5, **sizes)).unique().tolist() == [124]
    assert everything(made(tmp_path / "deep", colour=False, **sizes)).unique().tolist() == [130]
    assert everything(made(tmp_path / "palette", **sizes))[0, :, 0, 0].tolist() == [0, 0, 255]


def test_decoded_once_and_again_when_anything_changes(flat: Path, cache: Path) -> None:
    def caches() -> int:
        return len([path for path in cache.iterdir() if path.is_dir()])

    first = made(flat)
    (pixels,) = cache.glob("*/pixels")
    before = pixels.stat().st_mtime_ns
    again = made(flat, train_size=3, test_size=1, validation="test", test_share=0.4)
    assert (caches(), pixels.stat().st_mtime_ns) == (1, before)
    assert again.sizes == {"train": 3, "validation": 1, "test": 1}
    assert made(flat).digest == first.digest != again.digest
    made(flat, colour=False)
    made(flat, size=5)
    made(flat, split_seed=1)
    assert caches() == 4
    save(flat / "0.png", np.full((4, 4, 3), 99))
    changed = made(flat)
    assert caches() == 5
    assert changed.digest != first.digest
    assert not list(cache.glob(".*.part"))


def test_splits_are_those_of_the_permutation_and_views_of_one_file(flat: Path) -> None:
    data = made(flat, train_size=4, test_share=0.3, test_size=2)
    order = np.random.RandomState(0).permutation(10)
    assert data.test.x[:, 0, 0, 0].tolist() == order[:2].tolist()
    assert data.validation.x[:, 0, 0, 0].tolist() == order[3:5].tolist()
    assert data.train.x[:, 0, 0, 0].tolist() == order[5:9].tolist()
    assert data.train.x.untyped_storage().data_ptr() == data.test.x.untyped_storage().data_ptr()
    # as `training/batches.py` takes samples; and who writes does not write to the file
    rows = torch.tensor([2, 0])
    assert data.train.x.index_select(0, rows).equal(data.train.x[rows])
    data.train.x.zero_()
    assert made(flat).train.x[0, 0, 0, 0].item() == order[4]


MEASURED = """
import sys
import torch
from hourglass.data import image_folder

def memory(kind):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(kind)) * 1024

torch.arange(10).index_select(0, torch.randperm(10))
before, own = memory("VmRSS"), memory("RssAnon")
data = image_folder(
    path=sys.argv[1], size=256, colour=True, test_share=0.2, validation_size=2, validation="split", split_seed=0,
    train_size=None, test_size=None, order_seed=0, resident="auto",
)
loaded, x = memory("VmRSS") - before, data.train.x
sum(int(x.index_select(0, rows).max()) for rows in torch.randperm(len(x)).split(8))
print(loaded, memory("RssAnon") - own)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_loading_reads_nothing_and_an_epoch_keeps_nothing(tmp_path: Path) -> None:
    """400 images of 256 x 256 x 3, 79 MB: what loading adds to the process, and what an epoch adds of its own."""
    source = np.random.default_rng(0).integers(0, 256, (400, 4, 4, 3), dtype=np.uint8)
    for number, pixels in enumerate(source):
        save(tmp_path / "many" / f"{number}.png", pixels)
    data = made(tmp_path / "many", size=256)  # decoded here, loaded below
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "many")]
    loaded, kept = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    array = everything(data).numel()
    assert array == 400 * 3 * 256 * 256
    assert loaded < array / 8
    assert kept < array / 4  # a few batches of 1.6 MB; the pages of the file are the system's


def test_more_than_the_memory_can_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "pixels"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte of zeros that takes no disk
    x = mapped(path, (2**20, 1, 1024, 1024))
    assert x[2**20 - 1].count_nonzero() == 0
    with pytest.raises(DataCorruptError, match=r"pixels must be 1048576 bytes long, got 1099511627776: delete"):
        mapped(path, (1, 1, 1024, 1024))


def test_two_at_once_decode_once(flat: Path, cache: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(made(flat).digest)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(list(cache.glob("*/pixels"))) == 1


@pytest.mark.parametrize("content", [b"", b"no image", "cut"])
def test_a_file_that_cannot_be_decoded_is_named(flat: Path, cache: Path, content: bytes | str) -> None:
    whole = (flat / "3.png").read_bytes()
    (flat / "3.png").write_bytes(whole[:-30] if isinstance(content, str) else content)
    with pytest.raises(DataCorruptError, match=r"flat/3\.png can't be read as an image: .*Repair it, or take it out"):
        made(flat)
    assert not list(cache.glob("*/pixels"))
    (flat / "3.png").write_bytes(whole)
    assert sum(made(flat).sizes.values()) == 10


def test_levels_of_32_bits_are_refused(flat: Path) -> None:
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(flat / "x.tiff")
    with pytest.raises(DataCorruptError, match=r"x\.tiff can't be read as an image: its levels have 32 bits"):
        made(flat)


def test_folders_that_are_refused(tmp_path: Path, flat: Path) -> None:
    with pytest.raises(ValueError, match=r"path must be an existing folder, got .*nowhere"):
        made(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"path must be a folder with images \(\.bmp, .*\), got none in .*empty"):
        made(tmp_path / "empty")
    save(flat / "sub" / "a.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"either in sub-folders or directly, got both: 0\.png in"):
        made(flat)
    save(tmp_path / "classes" / "a" / "a.png", np.zeros((4, 4)))
    (tmp_path / "classes" / "b").mkdir()
    with pytest.raises(ValueError, match=r"images in every sub-folder, got none in b of"):
        made(tmp_path / "classes")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [("size", 0, "from 1 to 4096"), ("size", 5000, "from 1 to 4096"), ("colour", "yes", "true or false")],
)
def test_values_that_are_refused(flat: Path, key: str, value: Any, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"{key} must be .*{allowed}, got '?{value}"):
        made(flat, **{key: value})


def test_no_room_for_the_pixels(flat: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the data folder should be")
    with pytest.raises(DataUnavailableError, match=r"image_folder can't be stored in .*Set HOURGLASS_CACHE"):
        made(flat)


def test_sizes_that_are_not_square_and_what_becomes_of_other_proportions(tmp_path: Path, cache: Path) -> None:
    """Halves of red and blue, 8 wide and 4 high, brought to 4 x 4 and to 2 x 4."""
    red, blue = [255, 0, 0], [0, 0, 255]
    for number in range(4):
        save(tmp_path / "wide" / f"{number}.png", np.tile([[red] * 4 + [blue] * 4], (4, 1, 1)))
    whole = made(tmp_path / "wide", size=[2, 4], test_share=0.25, validation_size=1).train.x[0]
    assert whole.shape == (3, 2, 4)
    assert (whole[0] > 127).tolist() == [[True, True, False, False]] * 2  # not on the last level: it is resampled
    few = {"test_share": 0.25, "validation_size": 1}
    cropped, padded, stretched = (
        made(tmp_path / "wide", fit=fit, **few).train.x[0] for fit in ("crop", "pad", "stretch")
    )
    halves = [True, True, False, False]
    assert (cropped[0, 0] > 127).tolist() == (stretched[0, 0] > 127).tolist() == halves
    assert cropped.shape == padded.shape == stretched.shape == (3, 4, 4)
    assert (padded[0] > 127).tolist() == [[False] * 4, halves, halves, [False] * 4]  # bars above and below
    tall = np.zeros((8, 2, 3))
    tall[:2], tall[6:] = 200, 200
    for number in range(4):
        save(tmp_path / "tall" / f"{number}.png", tall)
    assert not made(tmp_path / "tall", size=2, fit="crop", **few).train.x.any()  # the ends are cut off
    assert made(tmp_path / "tall", size=[4, 1], fit="stretch", **few).train.x[0, 0].flatten().tolist()[0] > 100
    assert len([path for path in cache.iterdir() if path.is_dir() and path.name[0] != "."]) == 6
    for size, said in (
        ([4], r"size must be a number, or \[height, width\], got \[4\]"),
        ([4, 0], "size must be .*got 0"),
    ):
        with pytest.raises(ValueError, match=said):
            made(tmp_path / "wide", size=size)
    with pytest.raises(ValueError, match="fit must be one of crop, pad, stretch, got 'squeeze'"):
        made(tmp_path / "wide", fit="squeeze")


def test_unreadable_files_are_skipped_on_request_and_named(flat: Path) -> None:
    (flat / "broken.png").write_bytes(b"no image")
    (flat / "half.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataCorruptError, match=r"broken\.png|half\.jpg"):
        made(flat)
    data = made(flat, unreadable="skip")
    assert sum(data.sizes.values()) == 10
    assert data.notes == ("2 of 12 files can't be read as images and are left out: broken.png, half.jpg",)
    assert made(flat, unreadable="skip").digest == data.digest
    (flat / "broken.png").unlink()
    (flat / "half.jpg").unlink()
    assert everything(made(flat)).equal(everything(data))
    for file in flat.iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(ValueError, match="path must hold images that can be read, got 10 that can't"):
        made(flat, unreadable="skip")
    with pytest.raises(ValueError, match="unreadable must be one of refuse, skip"):
        made(flat, unreadable="ignore")


def test_classes_have_their_names(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / "pets" / ("dog", "cat")[number % 2] / f"{number}.png", np.full((4, 4, 3), 20 * number))
    data = made(tmp_path / "pets")
    assert data.classes == ("cat", "dog")
    assert data.metadata["classes"] == '["cat", "dog"]'
    assert made(tmp_path / "pets" / "cat", test_share=0.2, validation_size=1).classes is None
    one = made(tmp_path / "pets" / "cat" / "1.png", test_share=1.0, validation="test")
    assert (one.sizes["test"], one.test.x[0, 0, 0, 0].item()) == (1, 20)
