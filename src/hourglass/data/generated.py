"""Tables made by a formula, whose true dimension is therefore known: what an autoencoder's code should find.

Two draw hidden factors z and show D columns of them, with noise e, in [0, 1]; the third is the unit matrix:

    purchases:           z ~ N(0, I_3),    x_j = clip(sigmoid(b_j + <w_j, z>) + e_j)
    synthetic_manifold:  z ~ U[0, 1]^d,    x_j = clip(1/2 + 0.4 sin(<w_j, z> + b_j) + e_j)
    one_hot:             x_j = 1 where j = z, else 0,    z = 0, ..., D - 1: log2(D) binary units can tell them apart

where the sheet's w_j ~ N(0, 9 I) and b_j ~ U[0, 2 pi) are drawn once. A code of as many units as there are
factors can hold everything but the noise, so the error of a good autoencoder falls, up to that code_size, to
about noise^2, and hardly beyond; a linear one needs a larger code.
"""

from typing import Unpack

import numpy as np
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.splitting import Splits, SplitsAndTest, Splitting
from hourglass.system.checks import check_count

#: Column -> (intercept b, loadings w on the factors budget, frequency and novelty), made up to be plausible. Each
#: column is a share, or an amount as a share of the largest.
PURCHASES = {
    "basket_value": (-0.5, 1.6, -0.4, 0.0),  # mean amount of an order
    "items_per_basket": (-0.2, 1.1, -0.9, 0.2),  # mean number of articles in an order
    "orders_per_month": (-0.8, 0.2, 1.9, 0.0),  # how often
    "days_since_last_order": (-0.4, 0.0, -1.8, -0.2),  # how long ago the last order was
    "months_as_customer": (0.0, 0.2, 1.0, -1.3),  # how long ago the first was
    "discount_share": (-0.3, -1.3, 0.5, 0.4),  # orders with a discount
    "return_share": (-1.4, 0.5, 0.3, 0.9),  # articles sent back
    "brand_loyalty": (0.4, 0.6, 0.4, -1.7),  # share of the favourite brand
    "categories_tried": (-0.6, 0.3, 0.8, 1.4),  # different kinds of articles
    "new_products_share": (-0.9, 0.4, 0.0, 1.8),  # articles on sale for less than a month
    "premium_share": (-1.2, 1.9, 0.1, 0.3),  # articles of the dearest tenth
    "mobile_share": (0.3, -0.3, 0.5, 1.1),  # orders by telephone
    "night_orders_share": (-1.0, -0.2, 0.3, 1.2),  # orders between 22 and 6 o'clock
    "weekend_share": (-0.1, 0.2, -1.0, 0.4),  # orders on Saturday or Sunday
    "gift_share": (-1.5, 1.0, -0.7, 0.6),  # orders to another address
    "express_delivery_share": (-1.1, 1.5, 0.6, 0.2),  # orders delivered the next day
    "reviews_written": (-1.6, -0.1, 1.3, 1.0),  # reviews per article
    "support_contacts": (-1.3, -0.2, 0.9, -0.6),  # questions asked per order
}
#: Standard deviation of e in `purchases`: about 0.02^2 = 0.0004 of mean squared error can't be explained.
PURCHASES_NOISE = 0.02


def purchases(*, rows: int, seed: int, **splits: Unpack[SplitsAndTest]) -> Dataset:
    """What customers bought, the 18 columns of `PURCHASES` in [0, 1], which three factors explain. No labels.

    A multiple-factor model (Thurstone, 1931) behind a sigmoid.

    rows: number of customers, at least 10. seed: of the factors and the noise. The others: `Splitting`.
    """
    splitting = Splitting(**splits)
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
    **splits: Unpack[SplitsAndTest],
) -> Dataset:
    """A curved sheet of `intrinsic_dimension` d in `dimensions` D columns, in [0, 1]. No labels.

    A test of what a nonlinear code gains, as the rolled sheet of Tenenbaum, de Silva and Langford (2000).

    rows: at least 10. dimensions: at least 2 d + 1, so that a generic sheet doesn't meet
    itself (Whitney, 1936). noise: standard deviation of e, 0 to 0.1. seed: of the sheet, the points and the
    noise. The others: `Splitting`.
    """
    splitting = Splitting(**splits)
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


def one_hot(*, size: int, repeat: int, **splits: Unpack[Splits]) -> Dataset:
    """The encoder problem: `size` rows, each one 1 among zeros, (size,) float32; y: where the 1 stands.

    Reference: A learning algorithm for Boltzmann machines (Ackley, Hinton and Sejnowski, 1985), with a code of
    log2(size) units. There is nothing to generalise to: train, validation and test hold the same patterns.

    size: number of patterns, at least 2. repeat: copies of each in train, so that an epoch has several steps, and
    validation="split" has some to take; the test set has every pattern once. The others: `Splitting`.
    """
    splitting = Splitting(test_share=None, **splits)
    check_count("size", size, low=2)
    check_count("repeat", repeat)
    patterns, labels = torch.eye(size), torch.arange(size)
    samples = Split(x=patterns.repeat(repeat, 1), y=labels.repeat(repeat))
    return splitting.dataset(name="one_hot", samples=samples, test=Split(x=patterns, y=labels))
