"""A folder of images of one's own, decoded once into a file that is mapped, not read.

Decoding costs milliseconds an image, so it happens once, into

    <data folder>/image_folder/<key>/pixels     (N, C, size, size) uint8, in the order of the splitting's permutation;
                                                train, validation, test after each other where the folder holds them
                                     labels     (N,) int64, where there are any
                                     digests    (N, 32) uint8, the SHA-256 of every image

with key = SHA-256 of the folder, the paths, sizes and times of its files, and the settings: what changes makes a new
one. In that order train, validation and test are three slices of one mapped file, so a folder may be larger than the
memory: the system reads the pages that a batch touches and forgets them when it needs the room. A key's folder can be
deleted at any time; the next start decodes again.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from torch import Tensor

from hourglass.data.dataset import Dataset, Split
from hourglass.data.fetch import DataCorruptError, DataUnavailableError
from hourglass.data.folders import FOLDERS, layout_of
from hourglass.data.pictures import converted
from hourglass.data.shards import map_file
from hourglass.data.splitting import SplitsAndTest, Splitting
from hourglass.system.bars import progress_bar
from hourglass.system.cache import cache_dir, kept
from hourglass.system.checks import check_choice, check_count
from hourglass.system.files import draft, remove_drafts

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
#: What such a file may hold, whatever its name says: for some formats (EPS) Pillow would start other programs.
#: Several pictures in one JPEG (MPO, of a phone) are read as a JPEG.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
FITS = ("crop", "pad", "stretch")
UNREADABLE = ("refuse", "skip")
#: Files that a line names.
NAMED = 10
#: Images decoded ahead of the writer.
BLOCK = 256
#: Part of every key: raise it when pixels come to be decoded otherwise.
FORMAT = 1


def image_folder(
    *,
    path: str,
    size: int | Sequence[int],
    colour: bool,
    fit: str = "crop",
    unreadable: str = "refuse",
    folders: str = "auto",
    **splits: Unpack[SplitsAndTest],
) -> Dataset:
    """The images below a folder, (1 or 3, height, width) uint8, turned as their EXIF says.

    path: the folder, or one image. Files with a suffix other than `SUFFIXES` are not images.
    size: pixels that every image gets, each 1 to 4096: the side of a square, or [height, width].
    fit: what becomes of an image of other proportions. "crop": its centre is kept; "pad": all of it, between black
        bars; "stretch": all of it, out of proportion.
    unreadable: a file that can't be decoded is refused, or with "skip" left out and named. To know them beforehand, all
        files are decoded once more.
    colour: three channels, or one, the luma 0.299 R + 0.587 G + 0.114 B. Transparency is dropped.
    folders: what the sub-folders are. "classes": 0, 1, 2, ... in alphabetical order; images that lie in the folder
        directly have no labels. "splits": `train`, `val` (or `valid`, `validation`) and `test`, each with classes or
        all without; a split without a folder is taken from train, as `Splitting` says. "auto": splits where all of
        them have such names, classes where none has.
    The other arguments: `Splitting`. Raises ValueError for a folder without images or with a mixture of these,
    DataCorruptError for a file that can't be decoded, DataUnavailableError where the data folder can't hold the pixels.
    """
    splitting = Splitting(**splits)
    height, width = _sides(size)
    check_choice("fit", fit, FITS)
    check_choice("unreadable", unreadable, UNREADABLE)
    check_choice("folders", folders, FOLDERS)
    if type(colour) is not bool:
        raise ValueError(f"colour must be true or false, got {colour!r}")
    folder = Path(str(path)).expanduser().resolve()
    if folder.is_file() and folder.suffix.lower() in SUFFIXES:
        folder, files = folder.parent, [folder.name]
    elif folder.is_dir():
        files = images_in(folder)
    else:
        raise ValueError(f"path must be an existing folder, got {path}")
    files, skipped = _readable(folder, files, (width, height)) if unreadable == "skip" else (files, ())
    layout = layout_of(folder, files, folders)
    shape = (len(files), 3 if colour else 1, height, width)
    settings = [FORMAT, *shape, splits["split_seed"]]
    if fit != "crop":
        settings += [1 + FITS.index(fit)]
    if layout.splits:
        settings += [len(part) for part in layout.parts.values()]  # else as ever: what was decoded is found again
    cache = cache_dir() / "image_folder" / _key(folder, files, settings)
    if not cache.is_dir():
        order = [part[at] for part in layout.parts.values() for at in splitting.permutation(len(part)).tolist()]
        try:
            _build(cache, folder, files, shape, fit, order, layout.labels)
        except OSError as error:
            raise DataUnavailableError(
                f"image_folder can't be stored in {cache.parent}: {error}. "
                "Set HOURGLASS_CACHE to a folder that you may write, with room for the pixels"
            ) from error
    labels = cache / "labels.npy"
    x, y = mapped(cache / "pixels", shape), torch.from_numpy(np.load(labels)) if labels.exists() else None
    digests = torch.from_numpy(np.load(cache / "digests.npy"))
    slices = layout.slices
    whole = {name: Split(x=x[rows], y=None if y is None else y[rows]) for name, rows in slices.items()}
    return splitting.mapped_dataset(
        name="image_folder",
        samples=whole["train"],
        validation=whole.get("validation"),
        test=whole.get("test"),
        digests={name: digests[rows] for name, rows in slices.items()},
        notes=(*layout.notes, *skipped),
        classes=layout.classes,
    )


def _sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width."""
    if isinstance(size, Sequence) and not isinstance(size, str):
        if len(size) != 2:
            raise ValueError(f"size must be a number, or [height, width], got {list(size)}")
        height, width = size
    else:
        height = width = size
    for side in (height, width):
        check_count("size", side, high=4096)
    return height, width


def mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    """The file `path` as a tensor of `shape`, uint8, of which nothing is read until it is used.

    Raises DataCorruptError when the file has another size.
    """
    length, found = math.prod(shape), path.stat().st_size
    if found != length:
        raise DataCorruptError(f"{path} must be {length} bytes long, got {found}: delete {path.parent}")
    return map_file(path, dtype=torch.uint8, shape=shape)


def images_in(folder: Path) -> list[str]:
    """The paths of the images below `folder`, relative to it, in alphabetical order. Raises ValueError without any."""

    def unreadable(error: OSError) -> None:
        raise ValueError(f"path must be a folder that can be read whole, got {folder}: {error}") from error

    found = [
        Path(parent, name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder, followlinks=True, onerror=unreadable)
        for name in names
        if name.lower().endswith(SUFFIXES)
    ]
    if not found:
        raise ValueError(f"path must be a folder with images ({', '.join(SUFFIXES)}), got none in {folder}")
    return sorted(found)


def _key(folder: Path, files: Sequence[str], settings: Sequence[int]) -> str:
    key = hashlib.sha256(json.dumps([str(folder), settings]).encode())
    for file in files:
        status = (folder / file).stat()
        key.update(json.dumps([file, status.st_size, status.st_mtime_ns]).encode())
    return key.hexdigest()[:32]


def _build(
    cache: Path,
    folder: Path,
    files: Sequence[str],
    shape: tuple[int, ...],
    fit: str,
    order: Sequence[int],
    labels: npt.NDArray[np.int64] | None,
) -> None:
    """Make the folder `cache`, all of it or nothing."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.parent / f".{cache.name}.lock"):
        if cache.is_dir():  # made by another process while this one waited
            return
        remove_drafts(cache)
        free, needed = shutil.disk_usage(cache.parent).free, math.prod(shape)
        if needed > free:
            raise OSError(f"{len(files)} images of {shape[-2]} x {shape[-1]} take {needed} bytes, and {free} are free")
        with draft(cache) as part:
            part.mkdir()
            digests = _write_pixels(part / "pixels", [folder / files[at] for at in order], shape, fit)
            np.save(part / "digests.npy", digests)
            if labels is not None:
                np.save(part / "labels.npy", labels[order])


def _write_pixels(path: Path, files: Sequence[Path], shape: tuple[int, ...], fit: str) -> npt.NDArray[np.uint8]:
    """Decode `files` into `path`, one after another; returns the digests of the images, (N, 32)."""
    from PIL import Image

    Image.init()  # here, since the threads would do it all at once
    decode = partial(decoded, size=(shape[-1], shape[-2]), mode="RGB" if shape[1] == 3 else "L", fit=fit)
    digests = []
    with (
        path.open("wb") as stream,
        ThreadPoolExecutor(torch.get_num_threads()) as pool,  # Pillow decodes without holding Python's lock
        progress_bar(total=len(files), desc="decoding images", unit="image", delay=1.0) as bar,
    ):
        for start in range(0, len(files), BLOCK):
            for pixels in pool.map(decode, files[start : start + BLOCK]):
                content = pixels.tobytes()
                stream.write(content)
                digests.append(hashlib.sha256(content).digest())
                bar.update()
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32).copy()


def decoded(file: Path, *, size: tuple[int, int], mode: str, fit: str = "crop") -> npt.NDArray[np.uint8]:
    """The pixels of one image, upright, brought to `size` (width, height): (C, height, width).

    mode: "RGB" or "L". fit: see `image_folder`. Raises DataCorruptError for what can't be decoded.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as opened:
            opened.draft(
                None, (2 * size[0], 2 * size[1])
            )  # a large JPEG needn't be decoded to its last pixel: no less than this
            whole = _fitted(converted(opened, mode), size, fit)
    except Exception as error:  # a decoder meets a damaged file with any exception at all
        raise DataCorruptError(f"{file} can't be read as an image: {error}. Repair it, or take it out") from error
    pixels = np.asarray(whole).reshape(size[1], size[0], -1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _fitted(image: "Image", size: tuple[int, int], fit: str) -> "Image":
    from PIL import ImageOps

    if fit == "crop":
        return ImageOps.fit(image, size)
    return image.resize(size) if fit == "stretch" else ImageOps.pad(image, size)


def _readable(folder: Path, files: Sequence[str], size: tuple[int, int]) -> tuple[list[str], tuple[str, ...]]:
    """The files that can be decoded, and a line that names the others; asked once for files as they are."""
    from PIL import Image

    def compute() -> list[str]:
        Image.init()  # here, since the threads would do it all at once
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            asked = pool.map(partial(_damaged, folder, size), files)
            bar = progress_bar(asked, total=len(files), desc="checking images", unit="image", delay=1.0)
            return [file for file in bar if file is not None]

    path = cache_dir() / "image_folder" / f"{_key(folder, files, [FORMAT, *size])}-damaged.json"
    damaged = kept(
        path,
        read=lambda path: [str(file) for file in json.loads(path.read_text())],
        compute=compute,
        write=lambda path, names: path.write_text(json.dumps(names)),
    )
    if len(damaged) == len(files):
        raise ValueError(f"path must hold images that can be read, got {len(files)} that can't in {folder}")
    if not damaged:
        return list(files), ()
    named = ", ".join(damaged[:NAMED]) + (f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else "")
    left = set(damaged)
    return [file for file in files if file not in left], (
        f"{len(damaged)} of {len(files)} files can't be read as images and are left out: {named}",
    )


def _damaged(folder: Path, size: tuple[int, int], file: str) -> str | None:
    """The file itself, where it can't be decoded."""
    try:
        decoded(folder / file, size=size, mode="RGB")
    except DataCorruptError:
        return file
    return None
