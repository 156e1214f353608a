"""A torch Dataset, torchvision's or one's own, by the name of its class: read once, in its own order, into arrays."""

from typing import Any, Unpack

import numpy as np
from torch.utils.data import Dataset as TorchDataset

from hourglass.data.dataset import Dataset
from hourglass.data.own_arrays import Part, arrays_as_dataset
from hourglass.data.reading import read
from hourglass.data.scaling import SCALINGS
from hourglass.data.splitting import ImageSplitsAndTest, Splitting
from hourglass.system.checks import check_choice
from hourglass.system.errors import HourglassError

EXAMPLE = "'data.dataset={_target_:torchvision.datasets.KMNIST,root:data,download:true}'"


def torch_dataset(
    *, dataset: Any, validation_dataset: Any, test_dataset: Any, scaling: str, **splits: Unpack[ImageSplitsAndTest]
) -> Dataset:
    """The items of a torch Dataset, x or (x, y): pictures, tensors, arrays or numbers of one shape.

    dataset: a class by its `_target_`, with its arguments.
    validation_dataset, test_dataset: the same for data sets of their own; None: `validation_size` and `test_share` of
        the samples are set apart.
    scaling: of floats, see `hourglass.data.scaling`.
    The other arguments: `Splitting`. Raises ValueError that names the data set.
    """
    splitting = Splitting(**splits)
    check_choice("scaling", scaling, SCALINGS)
    given = {"dataset": dataset, "validation_dataset": validation_dataset, "test_dataset": test_dataset}
    parts = [None if each is None and key != "dataset" else _read(key, each) for key, each in given.items()]
    names = getattr(dataset, "classes", None)  # torchvision's
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return arrays_as_dataset(
        "torch_dataset", parts, splitting, scaling=scaling, classes=tuple(names) if named and names else None
    )


def _read(key: str, dataset: Any) -> Part:
    if dataset is None:
        raise ValueError(
            f"{key} must be a torch Dataset, as {EXAMPLE}, got null; that of a record is made only where"
            " HOURGLASS_TRUST names it"
        )
    if not isinstance(dataset, TorchDataset):
        raise ValueError(f"{key} must be a torch Dataset, as {EXAMPLE}, got {type(dataset).__name__}: {dataset!s:.60}")
    where = f" in {type(dataset).__name__}"
    try:
        found = read(key, dataset)
    except HourglassError as error:
        raise ValueError(str(error)) from error
    except (IndexError, RuntimeError, OSError, TypeError) as error:  # of its own __getitem__
        raise ValueError(f"{key} must give its items, got {type(error).__name__}{where}: {error}") from error
    y = found.y
    if y is not None and y.dtype.kind == "f" and y.ndim == 1 and bool((y == np.floor(y)).all()):
        y = y.astype(np.int64)
    return Part(key, found.x, f"labels of {key}", y, where)
