"""Data sets that scikit-learn brings along: no network, always there."""

from __future__ import annotations

import numpy as np
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.splitting import Splitting


def digits(
    *,
    test_share: float,
    validation_size: int | float,
    validation: str,
    split_seed: int,
    train_size: int | None,
    test_size: int | None,
    order_seed: int,
    resident: str,
) -> Dataset:
    """1,797 handwritten digits, (1, 8, 8) uint8, labels 0 to 9 (Alpaydin and Kaynak, UCI, 1998).

    The original has 17 levels, 0 to 16; they become grey levels by round(v * 255 / 16), so 8 becomes 128.
    Arguments: `Splitting`.
    """
    splitting = Splitting(
        validation_size=validation_size,
        validation=validation,
        split_seed=split_seed,
        train_size=train_size,
        test_size=test_size,
        order_seed=order_seed,
        resident=resident,
        test_share=test_share,
    )
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.round(bunch.images * 255 / 16).astype(np.uint8)
    samples = Split(
        x=torch.from_numpy(grey).unsqueeze(1), y=torch.from_numpy(bunch.target.astype(np.int64, copy=False))
    )
    return splitting.dataset(name="digits", samples=samples, test=None)
