"""Tables made by a formula, whose true dimension is therefore known: what an autoencoder's code should find.

Both draw hidden factors z and show D columns of them, with noise e, in [0, 1]:

    purchases:           z ~ N(0, I_3),    x_j = clip(sigmoid(b_j + <w_j, z>) + e_j)
    synthetic_manifold:  z ~ U[0, 1]^d,    x_j = clip(1/2 + 0.4 sin(<w_j, z> + b_j) + e_j)

where the sheet's w_j ~ N(0, 9 I) and b_j ~ U[0, 2 pi) are drawn once. A code of as many units as there are
factors can hold everything but the noise, so the error of a good autoencoder falls, up to that code_size, to
about noise^2, and hardly beyond; a linear one needs a larger code.
"""

from __future__ import annotations

import numpy as np
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.splitting import Splitting, check_count

#: Column -> (intercept b, loadings w on the factors budget, frequency and novelty), made up to be plausible.
PURCHASES = {
    "basket_value": (-0.5, 1.6, -0.4, 0.0),
    "items_per_basket": (-0.2, 1.1, -0.9, 0.2),
    "orders_per_month": (-0.8, 0.2, 1.9, 0.0),
    "days_since_last_order": (-0.4, 0.0, -1.8, -0.2),
    "months_as_customer": (0.0, 0.2, 1.0, -1.3),
    "discount_share": (-0.3, -1.3, 0.5, 0.4),
    "return_share": (-1.4, 0.5, 0.3, 0.9),
    "brand_loyalty": (0.4, 0.6, 0.4, -1.7),
    "categories_tried": (-0.6, 0.3, 0.8, 1.4),
    "new_products_share": (-0.9, 0.4, 0.0, 1.8),
    "premium_share": (-1.2, 1.9, 0.1, 0.3),
    "mobile_share": (0.3, -0.3, 0.5, 1.1),
    "night_orders_share": (-1.0, -0.2, 0.3, 1.2),
    "weekend_share": (-0.1, 0.2, -1.0, 0.4),
    "gift_share": (-1.5, 1.0, -0.7, 0.6),
    "express_delivery_share": (-1.1, 1.5, 0.6, 0.2),
    "reviews_written": (-1.6, -0.1, 1.3, 1.0),
    "support_contacts": (-1.3, -0.2, 0.9, -0.6),
}
#: Standard deviation of e in `purchases`: about 0.02^2 = 0.0004 of mean squared error can't be explained.
PURCHASES_NOISE = 0.02


def purchases(
    *,
    rows: int,
    seed: int,
    test_share: float,
    validation_size: int | float,
    validation: str,
    split_seed: int,
    train_size: int | None,
    test_size: int | None,
    order_seed: int,
    resident: str,
) -> Dataset:
    """What customers bought, 18 columns in [0, 1] that three factors explain. No labels.

    rows: number of customers, at least 10. seed: of the factors and the noise. The others: `Splitting`.
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
    check_count("rows", rows, low=10)
    check_count("seed", seed, low=0, high=2**32 - 1)
    random = np.random.RandomState(seed)
    table = np.array(list(PURCHASES.values()))
    logits = table[:, 0] + random.standard_normal((rows, 3)) @ table[:, 1:].T  # (rows, 18)
    x = 1 / (1 + np.exp(-logits)) + PURCHASES_NOISE * random.standard_normal(logits.shape)
    samples = Split(x=torch.from_numpy(x.clip(0, 1)), y=None)
    return splitting.dataset(name="purchases", samples=samples, test=None, columns=tuple(PURCHASES))


def synthetic_manifold(
    *,
    rows: int,
    dimensions: int,
    intrinsic_dimension: int,
    noise: float,
    seed: int,
    test_share: float,
    validation_size: int | float,
    validation: str,
    split_seed: int,
    train_size: int | None,
    test_size: int | None,
    order_seed: int,
    resident: str,
) -> Dataset:
    """A curved sheet of `intrinsic_dimension` d in `dimensions` D columns, in [0, 1]. No labels.

    rows: at least 10. dimensions: at least 2 d + 1, so that a generic sheet doesn't meet
    itself (Whitney, 1936). noise: standard deviation of e, 0 to 0.1. seed: of the sheet, the points and the
    noise. The others: `Splitting`.
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
    check_count("rows", rows, low=10)
    check_count("intrinsic_dimension", intrinsic_dimension)
    check_count("dimensions", dimensions)
    if dimensions < 2 * intrinsic_dimension + 1:
        raise ValueError(
            f"dimensions must be at least 2 * intrinsic_dimension + 1 = {2 * intrinsic_dimension + 1}, got {dimensions}"
        )
    check_count("seed", seed, low=0, high=2**32 - 1)
    if type(noise) not in (int, float) or not 0 <= noise <= 0.1:
        raise ValueError(f"noise must be a number from 0 to 0.1, got {noise!r}")
    random = np.random.RandomState(seed)
    frequencies = 3.0 * random.standard_normal((dimensions, intrinsic_dimension))
    phases = random.uniform(0, 2 * np.pi, dimensions)
    sheet = random.uniform(size=(rows, intrinsic_dimension)) @ frequencies.T + phases  # (rows, dimensions)
    x = 0.5 + 0.4 * np.sin(sheet) + noise * random.standard_normal(sheet.shape)
    samples = Split(x=torch.from_numpy(x.clip(0, 1)), y=None)
    return splitting.dataset(name="synthetic_manifold", samples=samples, test=None)
