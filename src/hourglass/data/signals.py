"""Signals of one's own: several channels over one direction, as time, which convolutions follow.

x   (N, C, L), or (N, L) for one channel: floats, taken as they are, or uint8, seen as 0 to 1
"""

from dataclasses import replace
from typing import Unpack

from torch import Tensor

from hourglass.data.dataset import Dataset, Split, digest
from hourglass.data.own_arrays import npz
from hourglass.data.splitting import SplitsAndTest


def signals(*, path: str, **splits: Unpack[SplitsAndTest]) -> Dataset:
    """The signals (C, L) of a file written by `numpy.savez`.

    path: the file, with arrays of the names that `npz` reads: `x` (N, C, L) or (N, L), and labels.
    The other arguments: `npz`. Raises ValueError that names the array.
    """
    data = npz(path=path, **splits)
    if len(data.shape) == 3 and data.shape[0] != 1:
        raise ValueError(f"path must hold signals (N, C, L) or (N, L), got samples of shape {data.shape} in {path}")

    def as_signals(x: Tensor) -> Tensor:
        return x[:, None] if x.ndim == 2 else x[:, 0]

    train, test = (Split(x=as_signals(split.x), y=split.y) for split in (data.train, data.test))
    validation = test if data.validation is data.test else replace(data.validation, x=as_signals(data.validation.x))
    return replace(
        data,
        name="signals",
        train=train,
        validation=validation,
        test=test,
        shape=tuple(train.x.shape[1:]),
        digest=digest(train, validation, test),
    )
