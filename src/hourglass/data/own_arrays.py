"""One's own arrays, rows or images: in an npz file, in npy files, or in idx files.

They are read whole, and refused whole: an array of another type or shape is an error that names it.

    x   (N, D), (N, H, W) or (N, C, H, W): uint8, grey levels 0 to 255 that a model sees as 0 to 1, or float, scaled as
        `scaling` says
    y   (N,) whole numbers, or texts, which become 0, 1, 2, ... in alphabetical order
"""

import gzip
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data import idx_format
from hourglass.data.dataset import Dataset, Split
from hourglass.data.labels import Labels, as_classes, check_labels, known_classes
from hourglass.data.labels import told as classes_told
from hourglass.data.paired import ENDS, goals_of, paired
from hourglass.data.scaling import SCALINGS
from hourglass.data.splitting import ImageSplitsAndTest, Splitting, check_files_apart, existing_file
from hourglass.system.checks import check_choice

#: The names under which an npz file may hold each array, in small or capital letters; those with `train` are Keras'
#: and scikit-learn's, those with `images` MedMNIST's.
NPZ_KEYS = {
    "x": ("x", "x_train", "train", "train_images"),
    "y": ("y", "y_train", "train_labels"),
    "x_val": ("x_val", "x_valid", "x_validation", "val", "val_images"),
    "y_val": ("y_val", "y_valid", "y_validation", "val_labels"),
    "x_test": ("x_test", "test", "test_images"),
    "y_test": ("y_test", "test_labels"),
}


class Part(NamedTuple):
    """One split as it was found."""

    x_name: str
    x: npt.NDArray[Any]
    y_name: str
    y: Labels | None
    where: str
    """Where it is, the end of a message."""


def npz(
    *, path: str, scaling: str = "none", target: str | None = None, **splits: Unpack[ImageSplitsAndTest]
) -> Dataset:
    """The arrays of a file written by `numpy.savez`.

    path: the file, with the samples `x` and, where there are any, the labels `y` (N,), and the same of a validation set
        (`x_val`, `y_val`) and a test set (`x_test`, `y_test`); `NPZ_KEYS` has the other names that are read, in small
        or capital letters. Further arrays are named in a note. x is uint8 (grey levels 0 to 255, seen by a model as 0
        to 1) or float; rows (N, D), images (N, H, W) or (N, C, H, W).
    scaling: of floats, see `hourglass.data.scaling`.
    target: the array of what a model is to make of the samples, TARGET, with TARGET_val and TARGET_test where there are
        x_val and x_test; None: the samples themselves.
    test_share: of the samples, where the file has no `x_test`; so `validation_size`, where it has no `x_val`.
    The other arguments: `Splitting`. Raises ValueError that names the array.
    """
    splitting = Splitting(**splits)
    check_choice("scaling", scaling, SCALINGS)
    file = existing_file("path", path)
    if not zipfile.is_zipfile(file):
        advice = ": say data=npy for a single array" if _starts_as_npy(file) else ""
        raise ValueError(f"path must be an npz file of plain arrays, got {file}{advice}")
    try:
        with np.load(file, allow_pickle=False) as stored:
            asked = set() if target is None else {f"{target}{end}" for end in ENDS}
            arrays = {key: stored[key] for key in stored.files if key in asked or key in _used(stored.files)}
            unused = [key for key in stored.files if key not in arrays]
        if other := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:  # its bytes
            raise ValueError(f"{', '.join(other)} is no array")
    except (ValueError, OSError, EOFError, MemoryError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"path must be an npz file of plain arrays, got {file}: {error}") from error
    where = f" in {file}"
    wanted = {key: arrays.pop(key) for key in asked if key in arrays}
    samples = _npz_part(arrays, "x", "y", where)
    if samples is None:
        found = sorted([*arrays, *unused])
        raise ValueError(f"path must hold an array named {' or '.join(NPZ_KEYS['x'])}, got {found} in {file}")
    others = [_npz_part(arrays, f"x_{part}", f"y_{part}", where) for part in ("val", "test")]
    notes = (f"arrays that are not used: {', '.join(sorted(unused))}",) if unused else ()
    parts = [samples, *others]
    data = arrays_as_dataset("npz", parts, splitting, scaling=scaling, notes=notes)
    if target is None:
        return data
    found = goals_of(target, wanted, [None if part is None else len(part.x) for part in parts], where=where)
    goals = [None if each is None else Part(target, each, "y", None, where) for each in found]
    return paired(data, arrays_as_dataset("npz", goals, splitting, scaling=scaling), key=f"target={target}")


def npy(
    *,
    path: str,
    labels: str | None,
    validation_path: str | None,
    validation_labels: str | None,
    test_path: str | None,
    test_labels: str | None,
    scaling: str,
    **splits: Unpack[ImageSplitsAndTest],
) -> Dataset:
    """The arrays of files written by `numpy.save`, each with one.

    path, labels: the samples and their labels, as in `npz`; None: no labels.
    validation_path, validation_labels, test_path, test_labels: the same of a validation and a test set; None:
        `validation_size` and `test_share` of the samples are set apart.
    The other arguments: `npz`. Raises ValueError that names the file.
    """
    splitting = Splitting(**splits)
    check_choice("scaling", scaling, SCALINGS)
    files = {
        "path": (path, "labels", labels),
        "validation_path": (validation_path, "validation_labels", validation_labels),
        "test_path": (test_path, "test_labels", test_labels),
    }
    check_files_apart({key: x for key, (x, _, _) in files.items()})
    parts = [_file_part(key, x, y_key, y, _npy_array) for key, (x, y_key, y) in files.items()]
    return arrays_as_dataset("npy", parts, splitting, scaling=scaling)


def idx(
    *,
    path: str,
    labels: str | None,
    test_path: str | None,
    test_labels: str | None,
    scaling: str = "none",
    **splits: Unpack[ImageSplitsAndTest],
) -> Dataset:
    """The arrays of idx files, the format of MNIST (LeCun, Cortes and Burges, 1998), each plain or gzipped.

    path: the file of the samples: grey levels (type 0x08) or floats (0x0D, 0x0E); rows (N, D), images (N, H, W)
        or (N, C, H, W).
    labels: the file of their labels (N,), whole numbers; None: no labels.
    test_path, test_labels: the same for a test set; None: `test_share` of the samples are set apart.
    scaling: of floats, see `hourglass.data.scaling`.
    The other arguments: `Splitting`. Raises ValueError that names the file.
    """
    splitting = Splitting(**splits)
    check_choice("scaling", scaling, SCALINGS)
    check_files_apart({"path": path, "test_path": test_path})
    samples = _file_part("path", path, "labels", labels, _idx_array)
    test = _file_part("test_path", test_path, "test_labels", test_labels, _idx_array)
    return arrays_as_dataset("idx", [samples, None, test], splitting, scaling=scaling)


def arrays_as_dataset(
    name: str,
    parts: Sequence[Part | None],
    splitting: Splitting,
    *,
    scaling: str,
    columns: tuple[str, ...] | None = None,
    notes: tuple[str, ...] = (),
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """Samples, validation set and test set, as far as they are there, as a data set; ValueError that names an array.

    classes: names of labels that are whole numbers, where they are known.
    """
    exact = scaling != "none" or columns is not None
    splits = [None if part is None else checked_split(part, exact=exact) for part in parts]
    labels, names = as_classes([None if part is None or part.y is None else _checked_y(part) for part in parts])
    samples, validation, test = (
        None if split is None else Split(x=split.x, y=None if y is None else torch.from_numpy(y))
        for split, y in zip(splits, labels, strict=True)
    )
    first = parts[0]
    assert samples is not None
    assert first is not None
    for part, split in zip(parts[1:], (validation, test), strict=True):
        if part is not None and split is not None:
            _check_match(part, split, first, samples)
    return splitting.dataset(
        name=name,
        samples=samples,
        validation=validation,
        test=test,
        columns=columns,
        scaling=scaling,
        notes=(*notes, *classes_told(names)),
        classes=names or known_classes(classes, labels),
    )


def _file_part(key: str, path: str | None, y_key: str, y_path: str | None, read: Any) -> Part | None:
    if path is None:
        if y_path is not None:
            raise ValueError(f"{y_key} must come with {key}, got {y_path} alone")
        return None
    y = None if y_path is None else read(y_key, y_path)
    return Part(key, read(key, path), y_key, y, f" in {path if y_path is None else f'{path} and {y_path}'}")


def _starts_as_npy(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _npy_array(key: str, path: str) -> npt.NDArray[Any]:
    file = existing_file(key, path)
    if not _starts_as_npy(file):
        raise ValueError(f"{key} must be an npy file, which numpy.save writes, got {file}")
    try:
        found: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise ValueError(f"{key} must be an npy file of plain numbers or texts, got {file}: {error}") from error
    return found


def _idx_array(key: str, path: str) -> npt.NDArray[Any]:
    file = existing_file(key, path)
    content = file.read_bytes()
    if content.startswith(b"\x1f\x8b"):  # gzip's own mark, whatever the name ends in
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{key} must be an idx file, plain or gzipped, got {file}: {error}") from error
    return idx_format.decode(content, source=str(file))


def _used(names: Sequence[str]) -> list[str]:
    """The arrays of an npz file that are read."""
    known = {key for keys in NPZ_KEYS.values() for key in keys}
    return [name for name in names if name.lower() in known]


def _npz_part(arrays: Mapping[str, npt.NDArray[Any]], x_key: str, y_key: str, where: str) -> Part | None:
    found = {key: [name for name in arrays if name.lower() in NPZ_KEYS[key]] for key in (x_key, y_key)}
    for names in found.values():
        if len(names) > 1:
            raise ValueError(f"path must hold one of {' and '.join(names)}, got both{where}")
    if not found[x_key]:
        if found[y_key]:
            raise ValueError(f"path must hold {x_key} beside {found[y_key][0]}, got {sorted(arrays)}{where}")
        return None
    x_name = found[x_key][0]
    y_name = found[y_key][0] if found[y_key] else None
    return Part(x_name, arrays[x_name], y_name or y_key, None if y_name is None else arrays[y_name], where)


def checked_split(part: Part, *, exact: bool) -> Split:
    """The samples of a part as a split without labels; ValueError for another shape or type.

    exact: as float64, where they are rounded once they are scaled.
    """
    x, name = part.x, part.x_name
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{name} must be uint8 or float, got {x.dtype.name}{part.where}{_cast(name, x)}")
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise ValueError(f"{name} must have shape (N, D), (N, H, W) or (N, C, H, W), got {x.shape}{part.where}")
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise ValueError(
            f"{name} must have its channels before rows and columns, got {x.shape}{part.where}: move them,"
            f" numpy.moveaxis({name}, -1, 1)"
        )
    x = x[:, None] if x.ndim == 3 else x
    # A copy, since a file may hold the other byte order, which torch doesn't know.
    wanted = np.uint8 if x.dtype == np.uint8 else np.float64 if exact else np.float32
    return Split(x=torch.from_numpy(x.astype(wanted)), y=None)


def _checked_y(part: Part) -> Labels:
    assert part.y is not None
    return check_labels(part.y_name, part.y, len(part.x), part.where)


def _cast(name: str, x: npt.NDArray[Any]) -> str:
    """Which cast to make of an array of another type."""
    if x.dtype.kind == "b":
        return f": cast it, {name}.astype(numpy.float32), of 0 and 1"
    if x.dtype.kind in "iu":
        low, high = (int(x.min()), int(x.max())) if x.size else (0, 0)
        numbers = f"{name}.astype(numpy.float32)"
        if low >= 0 and 1 < high <= 255:
            return f": cast it, {name}.astype(numpy.uint8) for grey levels 0 to 255, {numbers} for other numbers"
        return f": cast it, {numbers}"
    if x.dtype.kind == "c":
        return f": give numpy.abs({name}), or real and imaginary parts as channels"
    return ""


def _check_match(part: Part, split: Split, first: Part, samples: Split) -> None:
    """ValueError where a further split has samples of another shape or type."""
    if split.x.shape[1:] != samples.x.shape[1:] or split.x.dtype != samples.x.dtype:
        raise ValueError(
            f"{part.x_name} must match {first.x_name}, {samples.x.dtype} {tuple(samples.x.shape[1:])} per sample, "
            f"got {split.x.dtype} {tuple(split.x.shape[1:])}{part.where}"
        )
