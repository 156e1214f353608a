"""Trained models used on one's own arrays: samples to codes, codes to samples, in memory and in files."""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from hourglass.data.own_tables import read_rows
from hourglass.errors import HourglassError
from hourglass.trained import Trained

BATCH = 1000


def encode(trained: Trained, x: Tensor) -> Tensor:
    """(N, *shape) to codes (N, code_size); rows of a scaled table in its own units."""
    return _in_batches(trained.in_own_units.encode, x, "encoding")


def decode(trained: Trained, code: Tensor) -> Tensor:
    """(N, code_size) to reconstructions (N, *shape), of a scaled table in its own units."""
    return _in_batches(trained.in_own_units.decode, code, "decoding")


def reconstruct(trained: Trained, x: Tensor) -> Tensor:
    """(N, *shape) to reconstructions (N, *shape); rows of a scaled table in its own units, both."""
    model = trained.in_own_units
    return _in_batches(lambda batch: model(batch).reconstruction, x, "reconstructing")


@torch.no_grad()
def _in_batches(function: Callable[[Tensor], Tensor], x: Tensor, what: str) -> Tensor:
    batches = tqdm(torch.split(x, BATCH), desc=what, unit_scale=BATCH, unit="sample", disable=None, delay=1.0)
    return torch.cat([function(batch) for batch in batches])


def read_samples(path: str, trained: Trained) -> Tensor:
    """Samples for the model from a .npy file, or rows of a table from a .csv file.

    uint8 grey levels, or floats in the range of the training data, for a model of a scaled table numbers in its own
    units; a .csv file has the columns of the one it was trained on. Takes (N, *shape), images also without the
    channel axis, and anything flat with the right number of values.
    """
    array = _read_table(path, trained) if path.lower().endswith(".csv") else _read(path)
    shape = trained.model.shape
    size = int(np.prod(shape))
    if array.ndim < 2 or int(np.prod(array.shape[1:])) != size:
        raise HourglassError(f"{path} holds an array of shape {array.shape}, the model takes (N, {_join(shape)})")
    if trained.scaling is not None:
        if array.dtype.kind not in "fiu":
            raise HourglassError(f"{path} holds {array.dtype}, allowed are numbers")
        rows = torch.from_numpy(array.astype(np.float64)).reshape(-1, *shape)
        _check_finite(path, trained.scaling.apply(rows))
        return rows
    x = _floats(path, array).reshape(-1, *shape)
    _check_finite(path, x)
    low, high = trained.range
    lowest, highest = (float(x.min()), float(x.max())) if len(x) else (low, high)
    if (low, high) == (0.0, 1.0) and (lowest < low or highest > high):
        raise HourglassError(
            f"{path} holds values from {lowest:g} to {highest:g}, the model was trained on data from {low:g} to"
            f" {high:g}: scale them, or give grey levels as uint8"
        )
    return x


def read_codes(path: str, trained: Trained) -> Tensor:
    """Codes (N, code_size) for the model from a .npy file."""
    array = _read(path)
    if array.ndim != 2 or array.shape[1] != trained.model.code_size:
        raise HourglassError(
            f"{path} holds an array of shape {array.shape}, the model's codes are (N, {trained.model.code_size})"
        )
    return _floats(path, array)


def write(path: str, values: Tensor, columns: Sequence[str] | None = None) -> None:
    """Write values to a .npy file, or rows below their columns' names to a .csv file: all of it or nothing."""
    target = Path(path)
    if not target.parent.is_dir():
        raise HourglassError(f"{path} can't be written: there is no folder {target.parent}")
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    if target.suffix.lower() == ".csv":
        if values.ndim != 2:
            raise HourglassError(f"{path} can't hold an array of shape {tuple(values.shape)}: write it to a .npy file")
        with partial.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerows([columns] if columns else [])
            writer.writerows(values.tolist())
    else:
        with partial.open("wb") as file:
            np.save(file, values.numpy())
    partial.replace(target)


def _read(path: str) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise HourglassError(f"{path} can't be read as a .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise HourglassError(f"{path} holds several arrays (.npz), one array in a .npy file is needed")
    return array


def _read_table(path: str, trained: Trained) -> np.ndarray:
    """The rows of a .csv file, read as the run's own data were."""
    if len(trained.model.shape) != 1:
        raise HourglassError(f"{path} holds rows, the model takes (N, {_join(trained.model.shape)}) in a .npy file")
    data = trained.config.data
    try:
        return read_rows(
            path,
            delimiter=data.get("delimiter", ","),
            header=data.get("header", "auto"),
            label_column=data.get("label_column"),
            columns=trained.columns,
            width=trained.model.shape[0],
        )
    except ValueError as error:
        raise HourglassError(str(error)) from error


def _floats(path: str, array: np.ndarray) -> Tensor:
    """Grey levels as 0 to 1, floats as they are, float32."""
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise HourglassError(f"{path} holds {array.dtype}, allowed are uint8 and floats")
    # A copy also where it is float32: a file may hold the other byte order, which torch doesn't know.
    x = torch.from_numpy(array.astype(np.float32))
    return x / 255 if array.dtype == np.uint8 else x


def _check_finite(path: str, x: Tensor) -> None:
    if not bool(x.isfinite().all()):
        raise HourglassError(f"{path} holds values that are not finite")


def _join(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
