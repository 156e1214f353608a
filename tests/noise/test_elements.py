"""Noise on elements: hand-worked draws, exact expectations with binomial bounds, and what is refused."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hourglass.noise import (
    Corruption,
    Gaussian,
    Masking,
    Process,
    SaltAndPepper,
    SaltAndPepperCount,
    Speckle,
    Swap,
)

N = 100_000
BOUNDS = (-1.0, 2.0)


def corrupt(x: Tensor, **processes: Process) -> Tensor:
    torch.manual_seed(0)
    return Corruption(bounds=BOUNDS, shape=x.shape[1:], frozen=False, seed=0, **processes)(x)


def assert_binomial(hits: int, p: float, n: int = N) -> None:
    """A count of n draws of probability p is within 5 standard deviations, sqrt(n p (1 - p)), of n p."""
    assert abs(hits - n * p) <= 5 * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_masking_zeroes_a_binomial_share_and_leaves_the_rest(share: float) -> None:
    x = torch.full((10, N // 10), 0.7)
    noisy = corrupt(x, masking=Masking(share=share))
    assert_binomial(int((noisy == 0).sum()), share)
    assert set(noisy.unique().tolist()) <= {0.0, x[0, 0].item()}


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_salt_and_pepper_makes_half_of_its_share_low_and_half_high(share: float) -> None:
    x = torch.full((10, N // 10), 0.5)
    noisy = corrupt(x, salt_and_pepper=SaltAndPepper(share=share))
    assert_binomial(int((noisy == -1).sum()), share / 2)
    assert_binomial(int((noisy == 2).sum()), share / 2)
    assert_binomial(int((noisy == 0.5).sum()), 1 - share)
    assert int(((noisy == -1) | (noisy == 2) | (noisy == 0.5)).sum()) == N


def test_gaussian_has_the_mean_and_the_deviation_that_it_says() -> None:
    x = torch.full((10, N // 10), 0.5)
    e = corrupt(x, gaussian=Gaussian(sigma=3.0, clip=False)) - x
    # The mean of N draws has standard deviation sigma / sqrt(N), their deviation about sigma / sqrt(2 N).
    assert abs(e.mean().item()) <= 5 * 3 / math.sqrt(N)
    assert abs(e.std().item() - 3) <= 5 * 3 / math.sqrt(2 * N)
    # Unclipped: 3 sigma and more happen with probability 0.0026998.
    assert_binomial(int((e.abs() > 9).sum()), 0.0026998)


def test_clipped_gaussian_puts_the_tails_on_the_bounds() -> None:
    x = torch.full((10, N // 10), 0.5)
    noisy = corrupt(x, gaussian=Gaussian(sigma=1.5, clip=True))
    assert noisy.min() == -1
    assert noisy.max() == 2
    # Both bounds lie one sigma from 0.5: each holds P(e > sigma) = 0.158655 of the values.
    assert_binomial(int((noisy == -1).sum()), 0.158655)
    assert_binomial(int((noisy == 2).sum()), 0.158655)


def test_speckle_is_gaussian_noise_in_proportion_to_the_value() -> None:
    x = torch.tensor([0.0, 0.5, -2.0]).repeat(N, 1)
    e = corrupt(x, speckle=Speckle(sigma=0.1, clip=False)) - x
    assert not e[:, 0].any()  # nothing at zero
    for column, deviation in ((1, 0.05), (2, 0.2)):
        assert abs(e[:, column].mean().item()) <= 5 * deviation / math.sqrt(N)
        assert abs(e[:, column].std().item() - deviation) <= 5 * deviation / math.sqrt(2 * N)
    # Clipped at 2: 1 (1 + sigma e) reaches it with P(e > 1) = 0.158655 for sigma 1, and -1 with P(e < -2) = 0.02275.
    noisy = corrupt(torch.ones(10, N // 10), speckle=Speckle(sigma=1.0, clip=True))
    assert_binomial(int((noisy == 2).sum()), 0.158655)
    assert_binomial(int((noisy == -1).sum()), 0.02275)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_swap_takes_the_same_feature_of_another_sample(share: float) -> None:
    # Sample b, feature f holds 10 f + b: what comes from elsewhere tells from where.
    rows = 5
    x = (10 * torch.arange(N // rows) + torch.arange(rows)[:, None]).float()
    taken = corrupt(x, swap=Swap(share=share))
    assert torch.equal(taken // 10, x // 10)  # the feature stays
    moved = (taken - x) % rows  # places further on
    assert_binomial(int((moved == 0).sum()), 1 - share)
    for step in range(1, rows):
        assert_binomial(int((moved == step).sum()), share / (rows - 1))


def test_swap_has_no_other_sample_in_a_batch_of_one() -> None:
    x = torch.rand(1, 3, 4, 4)
    assert torch.equal(corrupt(x, swap=Swap(share=1.0)), x)


def test_salt_and_pepper_count_by_hand() -> None:
    # n = 4 inputs, k = 2 draws with replacement: an input is missed twice with probability (3/4)^2, so that on
    # average 4 (1 - 9/16) = 1.75 change; both draws hit one input with probability 1/4, so 1 changes in a
    # quarter of the samples, and 2 in the others.
    noisy = corrupt(torch.full((N, 4), 0.5), salt_and_pepper_count=SaltAndPepperCount(count=2))
    changed = (noisy != 0.5).sum(dim=1)
    assert changed.max() == 2
    assert_binomial(int((changed == 1).sum()), 1 / 4)
    assert_binomial(int((changed == 2).sum()), 3 / 4)
    # Half of the 1.75 N changed inputs are low; within a sample they are independent of each other.
    assert_binomial(int((noisy == -1).sum()), 1 / 2, n=int(changed.sum()))


@pytest.mark.parametrize(("n", "k"), [(64, 0), (64, 1), (64, 10), (5, 50)])
def test_salt_and_pepper_count_changes_at_most_k(n: int, k: int) -> None:
    samples = 20_000
    noisy = corrupt(torch.full((samples, 1, n, 1), 0.5), salt_and_pepper_count=SaltAndPepperCount(count=k))
    changed = (noisy != 0.5).flatten(1).sum(dim=1)
    assert changed.max() <= min(k, n)
    # The variance of a sum of negatively correlated hits is below n p (1 - p).
    p = 1 - (1 - 1 / n) ** k
    assert abs(changed.float().mean().item() - n * p) <= 5 * math.sqrt(n * p * (1 - p) / samples)


def test_every_sample_is_corrupted_on_its_own() -> None:
    for process in (
        Masking(share=0.5),
        Gaussian(sigma=1.0, clip=False),
        SaltAndPepper(share=0.5),
        SaltAndPepperCount(count=20),
        Speckle(sigma=1.0, clip=False),
    ):
        noisy = corrupt(torch.full((2, 1, 8, 8), 0.5), one=process)
        assert not torch.equal(noisy[0], noisy[1])


def test_a_chain_works_in_the_order_of_its_names() -> None:
    x = torch.full((2, 50), 0.5)
    mask, salt = Masking(share=1.0), SaltAndPepper(share=1.0)
    assert set(corrupt(x, mask=mask, salt=salt).unique().tolist()) == {-1.0, 2.0}
    assert set(corrupt(x, salt=salt, mask=mask).unique().tolist()) == {0.0}


def test_an_empty_chain_gives_the_very_tensor() -> None:
    x = torch.rand(2, 5)
    assert corrupt(x) is x
    assert not Corruption(bounds=BOUNDS, shape=(5,), frozen=True, seed=0).frozen  # there is nothing to freeze


def test_levels_are_buffers_and_are_read_at_every_draw() -> None:
    x = torch.full((2, 50), 0.5)
    for process, name in (
        (Masking(share=0.0), "share"),
        (SaltAndPepper(share=0.0), "share"),
        (Gaussian(sigma=0.0, clip=True), "sigma"),
        (Speckle(sigma=0.0, clip=True), "sigma"),
    ):
        assert dict(process.named_buffers()).keys() == {name}
        assert torch.equal(corrupt(x, one=process), x)
        process.get_buffer(name).fill_(1.0)
        assert not torch.equal(corrupt(x, one=process), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Masking(share=1.5), "share must be from 0 to 1, got 1.5"),
        (lambda: Masking(share=-0.1), "share must be from 0 to 1, got -0.1"),
        (lambda: Masking(share=math.nan), "share must be from 0 to 1, got nan"),
        (lambda: SaltAndPepper(share=2.0), "share must be from 0 to 1, got 2.0"),
        (lambda: Gaussian(sigma=-1.0, clip=True), "sigma must be at least 0 and finite, got -1.0"),
        (lambda: Gaussian(sigma=math.nan, clip=True), "sigma must be at least 0 and finite, got nan"),
        (lambda: Gaussian(sigma=math.inf, clip=True), "sigma must be at least 0 and finite, got inf"),
        (lambda: SaltAndPepperCount(count=-1), "count must be at least 0, got -1"),
        (lambda: Speckle(sigma=-0.5, clip=True), "sigma must be at least 0 and finite, got -0.5"),
        (lambda: Swap(share=1.01), "share must be from 0 to 1, got 1.01"),
    ],
)
def test_levels_out_of_range(make: Callable[[], Process], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_the_baselines_of_a_chain_are_those_of_its_processes_each_once() -> None:
    chain = {"hide": Masking(share=0.5), "noise": Gaussian(sigma=0.1, clip=True), "salt": SaltAndPepper(share=0.1)}
    corruption = Corruption(bounds=BOUNDS, shape=(1, 8, 8), frozen=False, seed=0, **chain)
    assert corruption.baselines == ("biharmonic", "mean", "median", "wavelet", "non_local_means")
    assert Corruption(bounds=BOUNDS, shape=(1, 8, 8), frozen=False, seed=0).baselines == ()
