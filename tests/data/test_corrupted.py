"""A corrupted data set: one fixed draw for every sample, and nothing else changed."""

import pytest
import torch

from hourglass.data import Dataset, Split, Splitting, corrupted, mnist_corrupted
from hourglass.noise import Gaussian, Masking, SaltAndPepperCount


def source(validation: str = "split") -> Dataset:
    """40 grey images and 10 for the test, all of the level 51, which is 0.2."""
    splitting = Splitting(
        validation_size=10,
        validation=validation,
        split_seed=0,
        train_size=None,
        test_size=None,
        order_seed=3,
        resident="never",
        test_share=None,
    )
    samples = Split(x=torch.full((40, 1, 28, 28), 51, dtype=torch.uint8), y=torch.arange(40))
    test = Split(x=torch.full((10, 1, 28, 28), 51, dtype=torch.uint8), y=torch.arange(10))
    return splitting.dataset(name="grey", samples=samples, test=test)


def test_ten_draws_change_at_most_ten_pixels_to_low_or_high() -> None:
    data = corrupted(source=source(), noise={"hits": SaltAndPepperCount(count=10)}, seed=0)
    for split in (data.train, data.validation, data.test):
        assert split.x.dtype == torch.float32
        changed = split.x != 51 / 255
        assert set(split.x[changed].tolist()) == {0.0, 1.0}
        hits = changed.flatten(1).sum(1)
        # With replacement: 784 (1 - (1 - 1/784)^10) = 9.94 on average.
        assert hits.max() <= 10
        assert hits.float().mean().item() == pytest.approx(9.94, abs=0.25)


def test_the_draws_depend_on_seed_and_split_alone() -> None:
    noise = {"hits": SaltAndPepperCount(count=10)}
    before = torch.get_rng_state()
    first = corrupted(source=source(), noise=noise, seed=0)
    assert torch.get_rng_state().equal(before)
    again, other = (corrupted(source=source(), noise=noise, seed=seed) for seed in (0, 1))
    assert first.digest == again.digest
    assert first.digest != other.digest
    assert first.digest != source().digest
    assert not first.validation.x.equal(first.test.x)
    assert not first.train.x[:10].equal(first.test.x)


def test_everything_else_stays() -> None:
    clean = source()
    data = corrupted(source=clean, noise={"hits": SaltAndPepperCount(count=10)}, seed=0)
    assert data.name == "grey_corrupted"
    assert (data.shape, data.range, data.sizes) == (clean.shape, (0.0, 1.0), clean.sizes)
    assert (data.order_seed, data.resident) == (3, "never")
    assert data.train.y is clean.train.y


def test_processes_apply_in_the_order_of_their_names() -> None:
    masked_last = {"gaussian": Gaussian(sigma=1.0, clip=True), "masking": Masking(share=1.0)}
    assert corrupted(source=source(), noise=masked_last, seed=0).train.x.count_nonzero() == 0
    masked_first = dict(reversed(masked_last.items()))
    assert corrupted(source=source(), noise=masked_first, seed=0).train.x.count_nonzero() > 0
    assert corrupted(source=source(), noise={}, seed=0).train.x.unique().tolist() == [torch.tensor(51 / 255).item()]


def test_a_validation_that_is_the_test_set_stays_it() -> None:
    data = corrupted(source=source("test"), noise={"masking": Masking(share=0.5)}, seed=0)
    assert data.validation is data.test


def test_the_range_widens_where_the_noise_leaves_it() -> None:
    data = corrupted(source=source(), noise={"gaussian": Gaussian(sigma=1.0, clip=False)}, seed=0)
    assert data.range == (data.train.x.min().item(), data.train.x.max().item())
    assert data.range[0] < 0
    assert data.range[1] > 1


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        corrupted(source=source(), noise={}, seed=-1)


def test_mnist_corrupted_is_mnist_corrupted() -> None:
    data = mnist_corrupted(
        noise={"hits": SaltAndPepperCount(count=10)},
        seed=0,
        root=None,
        validation_size=20,
        validation="split",
        split_seed=0,
        train_size=50,
        test_size=10,
        order_seed=0,
        resident="auto",
    )
    assert data.name == "mnist_corrupted"
    assert (data.shape, data.range) == ((1, 28, 28), (0.0, 1.0))
    assert data.sizes == {"train": 50, "validation": 20, "test": 10}
