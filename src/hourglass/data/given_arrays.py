"""Arrays that a person has in Python: read from what holds them, and split as those of a file are.

    numpy, torch, lists    samples (N, D), (N, H, W) or (N, C, H, W), and labels (N,) beside them
    a pandas DataFrame     rows; its columns keep their names, and one of them may hold the labels
    a torch Dataset        items x or (x, y), read once, in its own order
    a torch DataLoader     what it loads, once; a shuffled one is read in the order of its data set

A record can't hold them. It says what they were, by digest, sizes and range.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from hourglass.data import handed_over
from hourglass.data.dataset import Dataset, Split
from hourglass.data.own_arrays import check_match, checked_split
from hourglass.data.splitting import SCALINGS, SplitsAndTest, Splitting
from hourglass.system.checks import check_choice
from hourglass.system.errors import HourglassError, first_line

NOT_KEPT = (
    "arrays that were given in Python are in no record: measure or train on a file, as data=npz data.path=FILE, or call"
    " hourglass.fit on them again"
)
TAKEN = "an array, a tensor, a pandas DataFrame, a torch Dataset or a DataLoader"
NUMBERS = "an array, a tensor or a number"
WHERE = "what was given"


class Arrays(NamedTuple):
    """Samples and what is known of them."""

    x: npt.NDArray[Any]
    """(N, ...), of any type."""
    y: npt.NDArray[Any] | None
    """(N,), or None."""
    columns: tuple[str, ...] | None = None
    """Names of the columns, where they had them."""


class Given(NamedTuple):
    """What a person gave."""

    samples: Arrays
    validation: Arrays | None = None
    test: Arrays | None = None


def arrays(
    *,
    given: Given | None = None,
    name: str,
    digest: str | None,
    sizes: Mapping[str, int] | None,  # noqa: ARG001 - for the record
    range: Sequence[float] | None,  # noqa: ARG001
    scaling: str,
    **splits: Unpack[SplitsAndTest],
) -> Dataset:
    """Arrays that were given in Python.

    given: the arrays; None: those that a sweep hands to its processes, or as from a record: they aren't there.
    name: what messages and runs call them.
    digest: of the data set, which arrays that were handed over must have; None: not known.
    sizes, range: what a record says of them; not read.
    scaling: of rows: "none", "minmax" or "standard", as of a csv file.
    The other arguments: `Splitting`; an own validation or test set stands in for its share.
    Raises ValueError that names the array.
    """
    splitting = Splitting(**splits)
    check_choice("scaling", scaling, SCALINGS)
    if not name.strip() or not name.isprintable():
        raise ValueError(f"name must be a name, got {name!r}")
    own = given is not None
    given = given or _handed_over()
    if given is None:
        raise ValueError(NOT_KEPT)
    samples = _split("x", given.samples, scaling)
    validation = _matching("the validation set", given.validation, given.samples, samples, scaling)
    test = _matching("the test set", given.test, given.samples, samples, scaling)
    if scaling != "none" and samples.x.ndim != 2:
        raise ValueError(f"scaling must be none for samples of shape {tuple(samples.x.shape[1:])}, got {scaling}")
    data = splitting.dataset(
        name=name,
        samples=samples,
        validation=validation,
        test=test,
        columns=given.samples.columns,
        scaling=scaling,
    )
    if not own and digest not in (None, data.digest):  # a record of other arrays
        raise ValueError(NOT_KEPT)
    return data


def _handed_over() -> Given | None:
    parts = handed_over.found()
    return None if parts is None else Given(**{name: Arrays(*part) for name, part in parts.items()})


def _split(key: str, found: Arrays, scaling: str) -> Split:
    split = checked_split(key, found.x, "y" if key == "x" else f"y of {key}", found.y, WHERE)
    if found.columns is None and scaling == "none":
        return split
    # Rows in all their digits, as those of a csv file: they are rounded once they are scaled.
    return split if found.x.dtype == np.uint8 else Split(x=torch.from_numpy(found.x.astype(np.float64)), y=split.y)


def _matching(key: str, part: Arrays | None, of: Arrays, samples: Split, scaling: str) -> Split | None:
    if part is None:
        return None
    split = _split(key, part, scaling)
    check_match(key, split, "x", samples, WHERE)
    if part.columns != of.columns:
        raise ValueError(f"{key} must have the columns of x, {_listed(of)}, got {_listed(part)}")
    return split


def _listed(found: Arrays) -> str:
    return "without names" if found.columns is None else ", ".join(found.columns)


# Reading


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
    labels = None if y is None else _array("y" if what == "x" else f"{what}'s y", y)
    return Arrays(_array(what, x), labels)


def _array(what: str, values: Any, taken: str = TAKEN) -> npt.NDArray[Any]:
    """Anything like an array as one, whatever its type."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
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


def is_frame(x: Any) -> bool:
    """Whether it is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")  # who has a DataFrame has imported it
    return pandas is not None and isinstance(x, pandas.DataFrame)


def _of_frame(what: str, frame: Any, y: Any) -> Arrays:
    labels = None
    if isinstance(y, str):
        if y not in frame.columns:
            raise HourglassError(f"y must be labels or a column of {what}, {', '.join(map(str, frame))}, got {y!r}")
        frame, labels = frame.drop(columns=y), frame[y].to_numpy()
    elif y is not None:
        labels = _array("y", y)
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    for name, kind in frame.dtypes.items():
        if not (is_numeric_dtype(kind) or is_bool_dtype(kind)) or kind.kind == "c":
            raise HourglassError(f"{what} must have columns of numbers, got {name} of {kind}: drop or encode it")
    if not len(frame.columns):
        raise HourglassError(f"{what} must have a column beside y={y!r}")
    return Arrays(frame.to_numpy(dtype=np.float64, na_value=np.nan), labels, tuple(map(str, frame.columns)))


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
            ys.append(_array(f"a label of {what}", item[1], NUMBERS))
        if xs[-1].shape[batches:] != xs[0].shape[batches:]:
            shapes = f"{xs[0].shape[batches:]} and {xs[-1].shape[batches:]}"
            raise HourglassError(f"{what} must have items of one shape, got {shapes}")
    if not xs:
        raise HourglassError(f"{what} must hold samples, got none")
    if ys and len(ys) != len(xs):
        raise HourglassError(f"{what} must have labels for every item or for none, got {len(ys)} of {len(xs)}")
    join = np.concatenate if batches else np.stack
    return Arrays(join(xs), join(ys) if ys else None)
