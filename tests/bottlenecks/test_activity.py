"""When units are on, by hand for each kind of code, and which kind each bottleneck's code is."""

import math

import pytest
import torch

from hourglass.bottlenecks import (
    Above,
    BatchTopK,
    Binary,
    Categorical,
    Deterministic,
    Gaussian,
    HasRate,
    JumpReLU,
    TopK,
    VectorQuantized,
    WinnerTakeAll,
)
from hourglass.bottlenecks import activity as module
from hourglass.bottlenecks.activity import HalfRange, Switched, Varying


def on(activity, *batches):
    for batch in batches:
        activity.update(torch.tensor(batch))
    return activity.on().tolist()


def test_what_is_not_zero_is_on() -> None:
    assert on(Switched(), [[0.0, 1e-30, -2.0]], [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]) == pytest.approx([0, 1 / 3, 2 / 3])


def test_a_threshold_of_a_persons_own() -> None:
    assert on(Above(threshold=0.5), [[0.5, -0.6], [0.0, 0.6]]) == [0, 1]
    with pytest.raises(ValueError, match="threshold must be at least 0 and finite, got -1"):
        Above(threshold=-1)


def test_a_bounded_unit_is_measured_by_its_own_range() -> None:
    """Units that rest at .05 and .9, and one that hardly moves: |h| > .001 would call all of them always on."""
    batches = [[[0.05, 0.90, 0.500], [0.06, 0.90, 0.504]], [[0.45, 0.90, 0.501], [0.05, 0.2, 0.502]]]
    assert on(HalfRange(width=1.0), *batches) == [1 / 4, 3 / 4, 0]
    # A tanh code of two signs is on for half of the samples.
    assert on(HalfRange(width=2.0), [[-0.9], [0.8], [-1.0], [0.9]]) == [1 / 2]


def test_of_a_huge_bounded_code_the_first_samples_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELD", 6)
    activity = HalfRange(width=1.0)
    assert on(activity, [[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]) == pytest.approx([2 / 3, 0])


def test_a_unit_that_is_never_off_is_active_where_it_varies() -> None:
    """Variances 1, .0004 and 0, far from zero: the second is below Burda's .01 and above a millionth of the first."""
    batches = [[[101.0, 100.02, 7.0]], [[99.0, 99.98, 7.0], [101.0, 100.02, 7.0]], [[99.0, 99.98, 7.0]]]
    assert on(Varying(least=0.01), *batches) == [1, 0, 0]
    assert on(Varying(least=None), *batches) == [1, 1, 0]
    activity = Varying(least=None)
    on(activity, *batches)
    assert activity.variance().tolist() == pytest.approx([1, 0.0004, 0], rel=1e-3)


@pytest.mark.parametrize("activity", [Switched(), HalfRange(width=1.0), Varying(least=0.01), Above(threshold=0.2)])
def test_all_at_once_and_batch_by_batch_are_the_same(activity) -> None:
    code = torch.rand(90, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.0, 0.05, 0.3, 0.6, 1.0])
    at_once = activity.mask(code).double().mean(0)
    for batch in code.split(40):
        activity.update(batch)
    torch.testing.assert_close(activity.on(), at_once)


@pytest.mark.parametrize("activity", [Switched(), HalfRange(width=1.0), Varying(least=0.01), Above(threshold=0.2)])
def test_a_lost_unit_is_never_on(activity) -> None:
    assert on(activity, [[math.nan], [math.nan]]) == [0]


@pytest.mark.parametrize(
    ("bottleneck", "kind"),
    [
        (Deterministic(code_size=4, activation="relu"), Switched),
        (Deterministic(code_size=4, activation="sigmoid"), HalfRange),
        (Deterministic(code_size=4, activation="tanh"), HalfRange),
        (Deterministic(code_size=4, activation="linear"), Varying),
        (Deterministic(code_size=4, activation="softplus"), Varying),
        (Deterministic(code_size=4, activation="elu"), Varying),
        (TopK(code_size=4, k=1, k_test=None, activation="linear"), Switched),
        (BatchTopK(code_size=4, k=1, momentum=0.9), Switched),
        (WinnerTakeAll(code_size=4, share=0.5), Switched),
        (JumpReLU(code_size=4, weight=0.1, threshold=0.1, bandwidth=0.1), Switched),
        (Gaussian(code_size=4, beta=1.0, warmup_steps=0), Varying),
        (
            VectorQuantized(code_size=4, entries=4, dimension=2, commitment=0.2, decay=0.9, revive_below=0.1),
            Varying,
        ),
        (Binary(code_size=4, deviation=None), HalfRange),
        (Categorical(code_size=4, categories=2, temperature=1.0, beta=1.0, deviation=None), HalfRange),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, type) else "",
)
def test_which_kind_a_code_is(bottleneck, kind) -> None:
    activity = bottleneck.activity()
    assert type(activity) is kind
    assert bottleneck.activity() is not activity  # each is fresh


def test_a_gaussian_code_has_the_threshold_of_its_prior() -> None:
    assert Gaussian(code_size=4, beta=1.0, warmup_steps=0).activity().least == 0.01
    assert Deterministic(code_size=4, activation="linear").activity().least is None


def test_the_rate_of_each_unit() -> None:
    """Mean and log variance (1, 0), (0, 0) and (0, ln 4): 1/2, 0 and (4 - 1 - ln 4) / 2 nats."""
    gaussian = Gaussian(code_size=3, beta=4.0, warmup_steps=0)
    rates = gaussian.rates(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, math.log(4)]]))
    torch.testing.assert_close(rates, torch.tensor([[0.5, 0.0, 1.5 - math.log(2)]]))
    categorical = Categorical(code_size=4, categories=2, temperature=1.0, beta=4.0, deviation=None)
    rates = categorical.rates(torch.tensor([[0.0, 0.0, 50.0, -50.0]]))
    torch.testing.assert_close(rates, torch.tensor([[0.0, math.log(2)]]))
    assert not isinstance(Binary(code_size=4, deviation=None), HasRate)
