"""How samples become splits, and the scaling fitted on train."""

from typing import Any

import pytest
import torch

from hourglass.data import Dataset, Scaling, Split, Splitting, check_trainable
from hourglass.data.splitting import fit_scaling
from hourglass.system.errors import HourglassError

DEFAULTS: dict[str, Any] = {
    "validation_size": 20,
    "validation": "split",
    "split_seed": 0,
    "train_size": None,
    "test_size": None,
    "order_seed": 3,
    "resident": "auto",
    "test_share": 0.1,
}
ROWS = Split(x=torch.arange(100.0).reshape(100, 1), y=torch.arange(100))
TEST = Split(x=torch.arange(100.0, 130.0).reshape(30, 1), y=torch.arange(100, 130))


def made(test: Split | None = None, *, scaling: str = "none", **changes: Any) -> Dataset:
    splitting = Splitting(**{**DEFAULTS, **changes})
    return splitting.dataset(name="rows", samples=ROWS, test=test, scaling=scaling)


def members(split: Split) -> set[int]:
    assert split.y is not None
    torch.testing.assert_close(split.x[:, 0], split.y.float())  # labels stay with their samples
    return set(split.y.tolist())


def test_every_sample_is_in_one_split() -> None:
    data = made()
    assert data.sizes == {"train": 70, "validation": 20, "test": 10}
    parts = [members(split) for split in (data.train, data.validation, data.test)]
    assert set.union(*parts) == set(range(100))
    assert sum(map(len, parts)) == 100
    assert data.order_seed == 3


def test_own_test_set_is_kept_in_order() -> None:
    data = made(TEST)
    assert data.sizes == {"train": 80, "validation": 20, "test": 30}
    assert data.test.x.equal(TEST.x)


def test_share_is_of_all_samples() -> None:
    assert made(validation_size=0.25).sizes == {"train": 65, "validation": 25, "test": 10}
    assert made(validation_size=0.001).sizes["validation"] == 1


def test_validation_can_be_the_test_set() -> None:
    data = made(TEST, validation="test")
    assert data.sizes == {"train": 100, "validation": 30, "test": 30}
    assert data.validation is data.test


def test_everything_can_be_test() -> None:
    for share in (1.0, 1):
        data = made(test_share=share, scaling="minmax")
        assert data.sizes == {"train": 0, "validation": 0, "test": 100}
        assert (data.range, data.full_range) == ((0.0, 1.0), (0.0, 1.0))
    assert made(test_share=1.0, test_size=30).sizes["test"] == 30
    with pytest.raises(
        HourglassError, match=r"^data=rows must leave this model 2 training samples .* got 0 beside 0 for"
    ):
        check_trainable(data, fewest=2)


def test_a_source_may_bring_its_own_validation_set() -> None:
    parts = {"samples": ROWS, "validation": TEST, "test": TEST}
    digests = {"train": ROWS.x.byte(), "validation": TEST.x.byte(), "test": TEST.x.byte()}
    data = Splitting(**DEFAULTS).mapped_dataset(name="rows", **parts, digests=digests)  # type: ignore[arg-type]
    assert data.sizes == {"train": 100, "validation": 30, "test": 30}
    assert data.train.x.equal(ROWS.x)


@pytest.mark.parametrize("value", [0.5, 0.0, 7])
def test_samples_that_are_all_the_same_teach_nothing(value: float) -> None:
    for x in (torch.full((100, 3), value), torch.full((100, 1, 3, 3), value).byte(), torch.arange(3.0).repeat(100, 1)):
        data = Splitting(**DEFAULTS).dataset(name="same", samples=Split(x=x, y=None), test=None)
        with pytest.raises(
            HourglassError, match=r"^data=same must hold samples that differ, got 70 training samples all"
        ):
            check_trainable(data, fewest=2)
    check_trainable(made(), fewest=2)


def test_labels_of_one_class_are_none() -> None:
    one = Split(x=ROWS.x, y=torch.full((100,), 3))
    data = Splitting(**DEFAULTS).dataset(name="rows", samples=one, test=None)
    assert [split.y for split in (data.train, data.validation, data.test)] == [None] * 3
    assert data.notes == ("all labels are 3, of one class: taken as data without labels",)
    assert made().notes == ()


def test_fewer_training_samples_are_the_first_of_more() -> None:
    few, more = made(train_size=5), made(train_size=40)
    assert few.train.x.equal(more.train.x[:5])
    assert few.validation.x.equal(more.validation.x)
    assert few.test.x.equal(made().test.x)


def test_test_size_draws_from_the_test_set() -> None:
    data = made(TEST, test_size=7)
    assert len(data.test) == 7
    assert members(data.test) < members(TEST)
    assert members(data.test) != set(range(100, 107))


def test_split_is_the_seeds_and_its_digest_tells() -> None:
    assert made().digest == made().digest
    assert made().train.x.equal(made().train.x)
    assert made().digest != made(split_seed=1).digest
    assert made().digest != made(validation_size=19).digest
    # NumPy has frozen this stream, so these are the samples of every later release, too.
    assert made().test.x[:4, 0].tolist() == [26, 86, 2, 55]


def test_scaling_by_hand() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]])
    minmax = fit_scaling(x, "minmax")
    assert minmax.apply(x).tolist() == [[0.0, 0.0], [pytest.approx(2 / 7), 0.0], [1.0, 0.0]]
    standard = fit_scaling(x, "standard")  # mean 4, variance (9 + 1 + 16) / 3
    assert standard.scale.tolist() == pytest.approx([(26 / 3) ** 0.5, 1.0])
    assert standard.apply(x)[:, 0].tolist() == pytest.approx([-1.0190493, -0.3396831, 1.3587324])
    assert standard.undo(standard.apply(x)).tolist() == [pytest.approx(row) for row in x.tolist()]


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_scaling_is_fitted_on_train_alone(scaling: str) -> None:
    data = made(scaling=scaling, train_size=10)
    x = data.train.x
    if scaling == "minmax":
        assert data.range == (0.0, 1.0) == (x.min().item(), x.max().item())
        assert data.validation.x.max() > 1  # ten rows don't span the hundred: train's range is no bound elsewhere
    else:
        assert x.mean().item() == pytest.approx(0, abs=1e-6)
        assert x.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    for split in (data.train, data.validation, data.test):
        assert split.y is not None
        torch.testing.assert_close(data.unscaled(data.scaled(split.x))[:, 0], split.y.double(), rtol=0, atol=1e-4)


def test_large_numbers_survive_scaling() -> None:
    seconds = torch.tensor([[1.7e9 + second] for second in range(10)], dtype=torch.float64)
    splitting = Splitting(**{**DEFAULTS, "validation_size": 1})
    data = splitting.dataset(name="s", samples=Split(x=seconds, y=None), test=None, scaling="minmax")
    assert len(data.train.x.unique()) == 8  # in float32 all ten would be 1.7e9
    undone = torch.cat([data.unscaled(split.x) for split in (data.train, data.validation, data.test)])
    assert sorted((undone - 1.7e9).round().flatten().tolist()) == list(range(10))


def test_rows_in_the_scaling_of_another_table() -> None:
    data = made(scaling="standard", validation="test")
    scaling = Scaling(offset=torch.tensor([50.0]).double(), scale=torch.tensor([100.0]).double())
    other = data.rescaled(scaling)
    for mine, theirs in ((data.train, other.train), (data.test, other.test)):
        torch.testing.assert_close(theirs.x, (mine.y.float().unsqueeze(1) - 50) / 100)  # row i holds i
        assert theirs.y is mine.y
    assert other.validation is other.test
    assert other.range == (other.train.x.min().item(), other.train.x.max().item())
    assert other.digest != data.digest
    torch.testing.assert_close(data.rescaled(None).train.x, made(validation="test").train.x)
    assert data.scaling is not None
    assert data.rescaled(Scaling.from_json(data.scaling.to_json())) is data  # nothing rounded, nothing copied


def test_grey_levels() -> None:
    levels = torch.arange(256, dtype=torch.uint8).repeat(2).reshape(512, 1, 1, 1)
    data = Splitting(**DEFAULTS).dataset(name="grey", samples=Split(x=levels, y=None), test=None)
    assert data.range == (0.0, 1.0)
    assert data.is_image
    assert data.scaled(levels).flatten()[[0, 51, 255]].tolist() == pytest.approx([0.0, 0.2, 1.0])
    assert data.unscaled(data.scaled(levels)).equal(levels)
    assert data.unscaled(torch.tensor([-0.3, 1.7])).tolist() == [0, 255]


def test_nan_is_refused_by_place() -> None:
    x = ROWS.x.clone()
    x[17] = float("nan")
    with pytest.raises(ValueError, match="rows must hold finite numbers, got nan or infinity in sample 17 of 100"):
        Splitting(**DEFAULTS).dataset(name="rows", samples=Split(x=x, y=None), test=None)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("validation_size", 0, "at least 1"),
        ("validation_size", 1.5, "between 0 and 1"),
        ("validation_size", 0.0, "between 0 and 1"),
        ("validation_size", "many", "at least 1"),
        ("validation_size", True, "at least 1"),
        ("validation_size", 90, "at most 89"),
        ("validation", "train", "split, test"),
        ("split_seed", -1, "from 0 to 4294967295"),
        ("split_seed", 2**32, "from 0 to 4294967295"),
        ("train_size", 0, "at least 1"),
        ("train_size", 71, "at most 70"),
        ("test_size", 0, "at least 1"),
        ("test_size", 11, "at most 10"),
        ("order_seed", -5, "at least 0"),
        ("resident", "sometimes", "auto, always, never"),
        ("test_share", 1.5, "between 0 and 1"),
        ("test_share", 0.0, "between 0 and 1"),
        ("test_share", 0.99, "leave 2 samples or more of 100"),
    ],
)
def test_errors_name_key_value_and_allowed(key: str, value: object, allowed: str) -> None:
    with pytest.raises(ValueError, match=rf"{key} must .*{allowed}.*, got"):
        made(**{key: value})
