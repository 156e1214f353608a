"""A data set that is itself corrupted: input and target alike.

With one fixed draw of a corruption process C for every sample of every split,

    x' ~ C(x' | x)    takes the place of x

so that an autoencoder over it learns to reproduce the noise. A denoising one keeps x as its target and sees x'
alone: that is `hourglass.noise`. This is for comparison with programs that overwrite their clean samples.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Unpack

import torch

from hourglass.data.dataset import Dataset, Split, digest
from hourglass.data.mnist_like import mnist
from hourglass.data.splitting import Splits
from hourglass.noise import Corruption, Process
from hourglass.system.checks import check_count


def corrupted(*, source: Dataset, noise: Mapping[str, Process], seed: int) -> Dataset:
    """`source` with every x replaced by one draw of `noise`, named `SOURCE_corrupted`, float32 as a model sees it.

    noise: processes by name, applied in that order; none changes nothing but the type.
    seed: of the draws, 0 or more. Every split has draws of its own; where validation is the test set, it stays so.
    The range is the source's, or wider where the noise leaves it (an unclipped `Gaussian`). Raises ValueError.
    """
    check_count("seed", seed, low=0)
    corruption = Corruption(bounds=source.range, shape=source.shape, frozen=True, seed=seed, **noise)

    def draw(split: Split, number: int) -> Split:
        with torch.no_grad(), corruption.seeded(number):
            return replace(split, x=corruption(source.scaled(split.x)))

    train, test = draw(source.train, 0), draw(source.test, 1)
    validation = test if source.validation is source.test else draw(source.validation, 2)
    low, high = source.range
    return replace(
        source,
        name=f"{source.name}_corrupted",
        train=train,
        validation=validation,
        test=test,
        range=(min(low, train.x.min().item()), max(high, train.x.max().item())),
        digest=digest(train, validation, test),
    )


def mnist_corrupted(*, noise: Mapping[str, Process], seed: int, root: str | None, **splits: Unpack[Splits]) -> Dataset:
    """`mnist`, `corrupted`: (1, 28, 28) float32, labels 0 to 9. noise, seed: `corrupted`; the others: `mnist`."""
    source = mnist(root=root, **splits)
    return corrupted(source=source, noise=noise, seed=seed)
