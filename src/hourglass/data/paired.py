"""Samples and what is to be made of them: two data sets that go row by row.

    x_i  what a model sees,    t_i  what its reconstruction is compared with

in the same splits and the same order, each in a shape, a range and units of its own: activations before and after a
layer (a transcoder), grey and colour images.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from hourglass.data.dataset import Dataset

__all__ = ["ENDS", "goals_of", "paired"]

ENDS = ("", "_val", "_test")
"""What names of the arrays of a file end in, by their split."""


def paired(samples: Dataset, targets: Dataset, *, key: str) -> Dataset:
    """The samples with targets that are not themselves.

    Args:
        samples: what a model sees.
        targets: what it is to make of it, split by the same choices.
        key: what the targets were given by, for messages.

    Raises:
        ValueError: not one target for each sample; targets with missing entries or names, which have no loss yet.
    """
    if samples.sizes != targets.sizes:
        counts = (sum(each.sizes.values()) for each in (samples, targets))
        raise ValueError(f"{key} must hold a target for each sample, got {' samples and '.join(map(str, counts))}")
    for each, what in ((samples, "samples"), (targets, "targets")):
        if each.categories or each.fill is not None or each.levels is not None:
            raise ValueError(
                f"{key} goes with numbers that are all there: {what} have names, missing entries or a binarize=dynamic"
            )
    digest = hashlib.sha256(f"{samples.digest} {targets.digest}".encode()).hexdigest()
    notes = (*samples.notes, *(f"targets: {note}" for note in targets.notes))
    return replace(samples, targets=targets, digest=digest, notes=notes)


def goals_of(
    target: str, arrays: Mapping[str, npt.NDArray[Any]], counts: Sequence[int | None], *, where: str
) -> list[npt.NDArray[Any] | None]:
    """The targets among the arrays of a file: those of the samples, a validation and a test set.

    Args:
        target: their name, without an end.
        arrays: by name.
        counts: how many samples each part has, None for one that isn't there.
        where: the end of a message.

    Raises:
        ValueError: a part without its targets, or targets without their part; another number of them.
    """
    for end, count in zip(ENDS, counts, strict=True):
        name = f"{target}{end}"
        if (name in arrays) != (count is not None):
            lacking, there = (name, f"x{end}") if count is not None else (f"x{end}", name)
            raise ValueError(f"target={target} needs an array {lacking} beside {there}{where}")
        if count is not None and len(arrays[name]) != count:
            raise ValueError(f"{name} must hold a target for each of {count} samples, got {len(arrays[name])}{where}")
    return [arrays.get(f"{target}{end}") for end in ENDS]
