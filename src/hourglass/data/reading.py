"""Arrays read from what holds them in Python.

numpy, torch, lists    samples (N, D), (N, H, W) or (N, C, H, W), and labels (N,) beside them
a pandas DataFrame     rows; its columns keep their names, those of names are one-hot, one may hold the labels
a torch Dataset        items x or (x, y), read once, in its own order
a torch DataLoader     what it loads, once; a shuffled one is read in the order of its data set
"""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from hourglass.data.columns import categories_of, distinct
from hourglass.data.frames import Frame
from hourglass.system.errors import HourglassError, first_line

__all__ = ["Arrays", "is_frame", "read"]

TAKEN = "an array, a tensor, a pandas DataFrame, a torch Dataset or a DataLoader"
NUMBERS = "an array, a tensor or a number"


class Arrays(NamedTuple):
    """Samples and what is known of them."""

    x: npt.NDArray[Any]
    """(N, ...), of any type; rows of Python objects, (N, D), where columns hold names."""
    y: npt.NDArray[Any] | None
    """(N,), or None."""
    columns: tuple[str, ...] | None = None
    """Names of the columns, where they had them."""


def read(what: str, x: Any, y: Any = None) -> Arrays:
    """Samples and labels as arrays.

    Args:
        what: the argument's name, for messages.
        x: what holds the samples, see the module; of a further split also a pair (x, y).
        y: their labels; of a DataFrame also the name of a column.

    Raises:
        HourglassError: something else, or what can't be made an array of numbers.
    """
    if what != "x" and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    if isinstance(x, DataLoader | TorchDataset):
        if y is not None:
            raise HourglassError(f"y must be left out, {what} is a {type(x).__name__}, whose items bring their labels")
        if isinstance(x, DataLoader):
            if x.batch_sampler is None:
                raise HourglassError(
                    f"{what} must be a DataLoader of batches, got one with batch_size=None, whose items may be either:"
                    " give its batch_size, or its dataset"
                )
            return _joined(what, _loaded(x), batches=True)
        return _joined(what, _items(what, x), batches=False)
    if is_frame(x):
        return _of_frame(what, x, y)
    labels = None if y is None else _labels("y" if what == "x" else f"{what}'s y", y)
    return Arrays(_array(what, x), labels)


def _labels(what: str, y: Any) -> npt.NDArray[Any]:
    """Labels as an array: also texts, which pandas holds as Python objects."""
    held = y if isinstance(y, Tensor) else np.asarray(y)
    if isinstance(held, np.ndarray) and held.dtype == object and all(isinstance(each, str) for each in held.flat):
        return held.astype(str)
    return _array(what, y)


def _array(what: str, values: Any, taken: str = TAKEN) -> npt.NDArray[Any]:
    """Anything like an array as one, whatever its type."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if _is_picture(values) and values.mode == "RGB":  # channels before rows and columns
        values = np.moveaxis(np.asarray(values), -1, 0)
    if isinstance(values, list | tuple) and values and isinstance(values[0], Tensor):
        values = [_array(what, each, taken) for each in values]
    if values is None or isinstance(values, str | bytes | Mapping | set):
        raise HourglassError(f"{what} must be {taken}, got {type(values).__name__}")
    try:
        found = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise HourglassError(f"{what} must be {taken}, got {type(values).__name__}: {first_line(error)}") from error
    if found.dtype == object:
        raise HourglassError(f"{what} must be {taken} of numbers, got {type(values).__name__} of Python objects")
    return found


def _is_picture(x: Any) -> bool:
    """Whether it is an image of Pillow's."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(x, pillow.Image)


def is_frame(x: Any) -> bool:
    """Whether it is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")  # who has a DataFrame has imported it
    return pandas is not None and isinstance(x, pandas.DataFrame)


def _of_frame(what: str, frame: Any, y: Any) -> Arrays:
    labels = None
    if isinstance(y, str):
        if y not in frame.columns:
            raise HourglassError(f"y must be labels or a column of {what}, {', '.join(map(str, frame))}, got {y!r}")
        frame, labels = frame.drop(columns=y), _labels("y", frame[y])
    elif y is not None:
        labels = _labels("y", y)
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not len(frame.columns):
        raise HourglassError(f"{what} must have a column beside y={y!r}")
    names = tuple(distinct([str(name) for name in frame.columns]))  # a second `a` is one of its own
    numbers = [is_numeric_dtype(kind) or is_bool_dtype(kind) for kind in frame.dtypes]
    for name, kind, number in zip(names, frame.dtypes, numbers, strict=True):
        named = str(kind) in ("object", "str", "string", "category")
        if kind.kind == "c" or not (number or named):
            raise HourglassError(f"{what} must have columns of numbers, got {name} of {kind}: drop or encode it")
    if all(numbers):
        return Arrays(frame.to_numpy(dtype=np.float64, na_value=np.nan), labels, names)
    try:
        categories_of(Frame(frame, what), Frame(frame, what).names, None)  # what can't be is said at once
    except ValueError as error:
        raise HourglassError(str(error).replace("data.exclude", "exclude")) from error
    return Arrays(frame.astype(object).to_numpy(), labels, names)


def _label(what: str, label: Any) -> npt.NDArray[Any]:
    """The label of an item, or those of a batch: numbers or texts."""
    texts = [label] if isinstance(label, str) else label
    if isinstance(texts, list | tuple) and texts and all(isinstance(each, str) for each in texts):
        return np.asarray(label)
    return _array(f"a label of {what}", label, NUMBERS)


def _items(what: str, data: TorchDataset[Any]) -> Any:
    if isinstance(data, IterableDataset):
        return iter(data)
    if not hasattr(data, "__len__"):
        raise HourglassError(f"{what} must be a Dataset of a known length, got {type(data).__name__} without __len__")
    return (data[index] for index in range(len(data)))  # not iter(): one that never raises IndexError has no end


def _loaded(loader: DataLoader[Any]) -> Any:
    """Its batches: a shuffled loader is read in order, for the split has a shuffle of its own, which repeats itself."""
    plain = type(loader.sampler) in (RandomSampler, SequentialSampler) and not getattr(
        loader.sampler, "replacement", False
    )
    if not plain or loader.batch_size is None:
        return iter(loader)
    return iter(
        DataLoader(
            loader.dataset,
            batch_size=loader.batch_size,
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
            worker_init_fn=loader.worker_init_fn,
        )
    )


def _joined(what: str, items: Any, *, batches: bool) -> Arrays:
    """Items x or (x, y), or batches of them, as two arrays."""
    xs: list[npt.NDArray[Any]] = []
    ys: list[npt.NDArray[Any]] = []
    for item in items:
        pair = isinstance(item, tuple | list)
        if pair and not 1 <= len(item) <= 2:
            raise HourglassError(f"{what} must have items x or (x, y), got {len(item)} values in one")
        xs.append(_array(f"an item of {what}", item[0] if pair else item, NUMBERS))
        if pair and len(item) == 2:
            ys.append(_label(what, item[1]))
        if xs[-1].shape[batches:] != xs[0].shape[batches:]:
            shapes = f"{xs[0].shape[batches:]} and {xs[-1].shape[batches:]}"
            raise HourglassError(f"{what} must have items of one shape, got {shapes}")
    if not xs:
        raise HourglassError(f"{what} must hold samples, got none")
    if ys and len(ys) != len(xs):
        raise HourglassError(f"{what} must have labels for every item or for none, got {len(ys)} of {len(xs)}")
    join = np.concatenate if batches else np.stack
    return Arrays(join(xs), join(ys) if ys else None)
