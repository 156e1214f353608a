"""Trained models used on one's own arrays: samples to codes, codes to samples, in memory and in files."""

import csv
import logging
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hourglass.data.dataset import EVAL_BATCH
from hourglass.data.frames import read_parquet_rows
from hourglass.data.own_tables import read_rows
from hourglass.system.bars import progress_bar
from hourglass.system.errors import HourglassError
from hourglass.system.files import draft
from hourglass.trained.classes import classes_told
from hourglass.trained.load import Trained
from hourglass.trained.pictures import is_picture, read_pictures
from hourglass.trained.table_model import in_own_units
from hourglass.training.batches import blocks_of

log = logging.getLogger("hourglass")


def encode(trained: Trained, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Samples that `read_samples` gave, and classes of `read_classes`, to codes (N, code_size)."""
    return _in_batches(in_own_units(trained.model, trained.scaling).encode, x, y, "encoding")


def decode(trained: Trained, code: Tensor, y: Tensor | None = None) -> Tensor:
    """(N, code_size), and classes of `read_classes`, to reconstructions (N, *shape), of a table in its own units."""
    return _in_batches(in_own_units(trained.model, trained.scaling, trained.target).decode, code, y, "decoding")


def reconstruct(trained: Trained, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Samples that `read_samples` gave to reconstructions (N, *shape); rows of a scaled table in its own units."""
    model = in_own_units(trained.model, trained.scaling, trained.target)
    return _in_batches(lambda *batch: model(*batch).reconstruction, x, y, "reconstructing")


@torch.no_grad()
def sample(trained: Trained, count: int, y: Tensor | None = None, *, seed: int) -> Tensor:
    """New samples (count, *shape), rows of a scaled table in its own units; see `TrainedModel.sample`."""
    return trained.in_own_units.sample(count, y, seed=seed)


@torch.no_grad()
def _in_batches(function: Callable[..., Tensor], x: Tensor, y: Tensor | None, what: str) -> Tensor:
    batches = list(blocks_of(x, y))
    shown = progress_bar(batches, desc=what, unit_scale=EVAL_BATCH, unit="sample", delay=1.0)
    return torch.cat([function(*batch) for batch in shown])


def read_classes(given: str | None, trained: Trained, *, count: int) -> Tensor | None:
    """The classes that a word asks for, (count,): a number or a name for all, or a .npy file with one for each.

    Args:
        given: the word; None: there is none.
        trained: for whom.
        count: samples, or codes, beside which they stand.

    Raises:
        HourglassError: what is no class of the model's, and what `classes_told` refuses.
    """
    if given is None or not trained.model.classes:
        return classes_told(trained.model, given, count=count)
    names = trained.classes or ()
    if given in names:
        return classes_told(trained.model, names.index(given), count=count)
    if given.isascii() and given.isdigit():
        return classes_told(trained.model, int(given), count=count)
    if not given.endswith((".npy", ".npz")):
        known = ", ".join(names) or f"0 to {trained.model.classes - 1}"
        raise HourglassError(f"class must be one of {known}, or a .npy file of numbers, got {given}")
    return classes_told(trained.model, _read(given), count=count)


def read_samples(path: str, trained: Trained, given: str | None = None) -> Tensor:
    """Samples (N, *shape) for the model from .npy or .npz, rows from .csv or .parquet, a picture, or a folder.

    What they must be: see `hourglass.trained.inputs`. A .csv file has the columns of that of the training.
    Pictures, those of a folder in the order of their names, are cropped, padded or stretched as the run's own were.

    Args:
        path: the file or folder.
        trained: for whom.
        given: the range that the values are given in, `0,255` or `any`; None: that of the training data.

    Raises:
        HourglassError: what can't be read, or isn't for this model.
    """
    file = Path(path)
    if is_picture(file):
        array = read_pictures(file, trained.model.shape, fit=trained.inputs.fit)
    else:
        array = _read_table(path, trained) if file.suffix.lower() in (".csv", ".parquet") else _read(path)
    x, warning = trained.inputs.samples(array, name=path, given=given)
    if warning is not None:
        log.warning("%s", warning)
    return x.float() if trained.scaling is None else x.double()


def read_codes(path: str, trained: Trained) -> Tensor:
    """Codes (N, code_size) for the model from a .npy or .npz file."""
    return trained.inputs.codes(_read(path), name=path).float()


def write(path: str, values: Tensor, columns: Sequence[str] | None = None) -> None:
    """Write values to a .npy file, or rows below their columns' names to a .csv file: all of it or nothing."""
    target = Path(path)
    if not target.parent.is_dir():
        raise HourglassError(f"{path} can't be written: there is no folder {target.parent}")
    is_text = target.suffix.lower() == ".csv"
    if is_text and values.ndim != 2:
        raise HourglassError(f"{path} can't hold an array of shape {tuple(values.shape)}: write it to a .npy file")
    with draft(target) as part:
        if is_text:
            with part.open("w", newline="", encoding="utf-8") as text:
                writer = csv.writer(text)
                writer.writerows([columns] if columns else [])
                writer.writerows(values.tolist())
        else:
            with part.open("wb") as file:  # by its name alone, numpy would append .npy to another one
                np.save(file, values.numpy())


def _read(path: str) -> np.ndarray:
    try:
        with Path(path).open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise HourglassError(f"{path} can't be read: {error.strerror}") from error
    if not start.startswith((b"PK", b"\x93NUMPY")):
        raise HourglassError(f"{path} can't be read as a .npy file, which is what numpy.save writes")
    try:
        if start.startswith(b"PK"):
            with np.load(path, allow_pickle=False) as held:
                return _one_of(held, path)
        array: np.ndarray = np.load(path, allow_pickle=False)
    except HourglassError:
        raise
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        said = (
            "it holds Python objects, which are never read" if "pickle" in str(error) else " ".join(str(error).split())
        )
        raise HourglassError(f"{path} can't be read as a .npy file: {said}") from error
    return array


def _one_of(held: Any, path: str) -> np.ndarray:
    """Of a .npz file the array x, or code, or the only one."""
    names = list(held.files)
    name = next((each for each in ("x", "code") if each in names), names[0] if len(names) == 1 else None)
    if name is None:
        raise HourglassError(
            f"{path} must hold an array named x or code, or a single one, got {', '.join(names) or 'none'}"
        )
    array = held[name]
    if not isinstance(array, np.ndarray):  # the bytes of another file
        raise ValueError(f"{name} is no array")
    return array


def _read_table(path: str, trained: Trained) -> np.ndarray:
    """The rows of a .csv or .parquet file, read as the run's own data were."""
    if len(trained.model.shape) != 1:
        raise HourglassError(f"{path} holds rows, the model takes (N, {_join(trained.model.shape)}) in a .npy file")
    data = trained.config.data
    try:
        if path.lower().endswith(".parquet"):
            if trained.columns is None:
                raise HourglassError(
                    f"{path} has columns with names, those of the model's table had none: give a .npy file"
                )
            return read_parquet_rows(path, columns=trained.columns, categories=trained.categories)
        return read_rows(
            path,
            delimiter=data.get("delimiter", ","),
            decimal=data.get("decimal", "."),
            header=data.get("header", "auto"),
            label_column=data.get("label_column"),
            columns=trained.columns,
            width=trained.model.shape[0],
            chosen=data.get("columns"),
            exclude=data.get("exclude") or (),
            categories=trained.categories,
        )
    except ValueError as error:
        raise HourglassError(str(error)) from error


def _join(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
