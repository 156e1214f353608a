"""Images of 0 and 1, drawn from grey levels p in [0, 1]: the data that published likelihoods are of.

    none      x = p
    static    x ~ Bernoulli(p), drawn once, by `binarize_seed` (Salakhutdinov & Murray, 2008)
    dynamic   x ~ Bernoulli(p), drawn anew for every sample in every epoch of the training, and fixed draws in
              validation and test (Burda, Grosse & Salakhutdinov, 2016)

x takes the place of p everywhere: it is what the model sees and what its reconstruction is measured against. A sample
keeps its fixed draw however the samples are split. What is drawn anew depends on `order_seed` and the epoch alone, so
that all runs of a sweep see the same images, and a resumed training those of an undisturbed one.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from hourglass.data.dataset import Split

BINARIZE = ("none", "static", "dynamic")
_ROWS = 1000  # drawn at a time


class Binarized(TypedDict, total=False):
    """The choices of a source of images in [0, 1], besides those that every source takes."""

    binarize: str
    binarize_seed: int


def drawn_once(
    binarize: str, given: Sequence[Split | None], *, seed: int, scaling: str
) -> tuple[Split, Split | None, Split | None]:
    """Samples, validation and test set as a source gives them, each a fixed draw where images are binarized.

    Raises ValueError for values outside [0, 1], and for a scaling, which such images don't need.
    """
    samples, validation, test = given
    assert samples is not None
    if binarize == "none":
        return samples, validation, test
    if scaling != "none":
        raise ValueError(f"binarize must be none with data.scaling={scaling}, got {binarize}")
    return _drawn(samples, seed, 0), *(
        None if part is None else _drawn(part, seed, number) for number, part in ((1, validation), (2, test))
    )  # type: ignore[return-value]


def _drawn(part: Split, seed: int, number: int) -> Split:
    if part.x.dtype != torch.uint8 and not bool(((part.x >= 0) & (part.x <= 1)).all()):
        low, high = (float(bound) for bound in part.x.aminmax())
        which = ("", " in the validation set", " in the test set")[number]
        raise ValueError(
            f"binarize must be none for values outside [0, 1], no probabilities, got {low:g} to {high:g}{which}"
        )
    return replace(part, x=fixed_draw(part.x, seed=seed, number=number))


def told(binarize: str, seed: int) -> tuple[str, ...]:
    """What a person should know of it, a line."""
    how = {
        "static": f"drawn once from their grey levels, by data.binarize_seed={seed}",
        "dynamic": "drawn from their grey levels anew in every epoch of the training, fixed in validation and test",
    }
    return () if binarize == "none" else (f"images of 0 and 1, {how[binarize]}",)


def fixed_draw(levels: Tensor, *, seed: int, number: int) -> Tensor:
    """Grey levels (N, *shape) to one draw of them, uint8 of 0 and 255.

    seed: of all draws of a data set. number: of the array among those of the source, so that each has its own.
    """
    # RandomState, whose stream NumPy has frozen (NEP 19): the digest of a data set must outlive a release.
    random = np.random.RandomState([seed, number])
    drawn = torch.empty(levels.shape, dtype=torch.uint8)
    for start in range(0, len(levels), _ROWS):
        block = _probability(levels[start : start + _ROWS])
        chance = torch.from_numpy(random.random_sample(tuple(block.shape))).float()
        drawn[start : start + _ROWS] = (chance < block).to(torch.uint8) * 255
    return drawn


def fresh_draw(levels: Tensor, generator: torch.Generator) -> Tensor:
    """Grey levels (n, *shape) to a new draw of them, uint8 of 0 and 255, on their device."""
    # Drawn on the CPU, so that it is the same on every device.
    chance = torch.rand(levels.shape, generator=generator).to(levels.device)
    return (chance < _probability(levels)).to(torch.uint8) * 255


def _probability(levels: Tensor) -> Tensor:
    return levels.float() / 255 if levels.dtype == torch.uint8 else levels.float()
