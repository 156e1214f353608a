"""Penalties on the distribution of the codes: by hand, and against closed forms."""

import math

import pytest
import torch

from hourglass.models import Output
from hourglass.regularizers import MMD, Penalties, SlicedWasserstein, TotalCorrelation
from hourglass.regularizers.prior import discrepancy, sliced, total_correlation
from hourglass.system.errors import HourglassError
from regularizers.small import gaussian, mlp, value


def test_total_correlation_by_hand() -> None:
    # Two codes on their means, (0, 0) and (a, a), variance 1: q(z_j) = 1/2 (N(0) + N(a)) for each unit, with
    # N(0) = c, N(a) = c e^(-a^2/2); q(z) = 1/2 c^2 (1 + e^(-a^2)).  The constants c cancel.
    for a in (0.0, 1.0, 3.0):
        mean = torch.tensor([[0.0, 0.0], [a, a]])
        expected = math.log((1 + math.exp(-(a**2))) / 2) - 2 * math.log((1 + math.exp(-(a**2) / 2)) / 2)
        estimate = total_correlation(mean, mean, torch.zeros(2, 2), torch.ones(2))
        assert estimate.item() == pytest.approx(expected, abs=1e-6)


def test_total_correlation_is_that_of_a_gaussian_in_training_and_outside() -> None:
    """Means that are normal with correlation r: with variance v in each unit, -1/2 log(1 - (r / (1 + v))^2)."""
    torch.manual_seed(0)
    r, v, samples = 0.8, 0.1, 3000
    u, w = torch.randn(2, samples)
    mean = torch.stack([u, r * u + math.sqrt(1 - r**2) * w], dim=1)
    encoded = torch.cat([mean, torch.full_like(mean, math.log(v))], dim=1)
    expected = -0.5 * math.log(1 - (r / (1 + v)) ** 2)  # 0.3768
    for training in (True, False):
        estimate = value(TotalCorrelation(weight=0.5), mean, gaussian().train(training), encoded=encoded)
        assert estimate == pytest.approx(0.5 * expected, abs=0.02)


def test_total_correlation_leaves_out_units_that_pad_a_stack() -> None:
    code, mean, log_variance = torch.randn(3, 5, 3)
    cut = total_correlation(code[:, :2], mean[:, :2], log_variance[:, :2], torch.ones(2))
    torch.testing.assert_close(total_correlation(code, mean, log_variance, torch.tensor([1.0, 1.0, 0.0])), cut)


def test_total_correlation_needs_a_gaussian_posterior() -> None:
    penalties = Penalties(total_correlation=TotalCorrelation(weight=1.0))
    penalties.attach(gaussian(), batch_size=32)
    with pytest.raises(HourglassError, match=r"total_correlation needs .* set bottleneck=gaussian flow=none$"):
        penalties.attach(mlp(), batch_size=32)


def test_discrepancy_by_hand() -> None:
    # One kernel, c = 2.  Codes 0 and 2: k = 1 twice and 2/6 twice, mean 2/3.  Draws 1 and 1: mean 1.
    # Between them distance 1 in all four pairs: 2/3.  2/3 + 1 - 4/3 = 1/3
    one, other = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])
    assert discrepancy(one, other, torch.tensor([2.0])).item() == pytest.approx(1 / 3)
    # A second kernel, c = 4: (1 + 4/8)/2 + 1 - 2 4/5 = .15
    assert discrepancy(one, other, torch.tensor([2.0, 4.0])).item() == pytest.approx(1 / 3 + 0.15)
    assert discrepancy(one, one, torch.tensor([2.0])).item() == pytest.approx(0.0, abs=1e-6)


def test_mmd_compares_with_the_prior() -> None:
    penalty = MMD(weight=0.5, scales=[0.5, 1.0])
    model = mlp(code_size=3, code="linear")
    code = torch.rand(6, 3)
    torch.manual_seed(1)
    draws = torch.randn(6, 3)
    expected = 0.5 * discrepancy(code, draws, torch.tensor([3.0, 6.0])).item()  # c = 2 code_size s
    torch.manual_seed(1)
    assert value(penalty, code, model) == pytest.approx(expected)
    # Of 500 codes, those of the prior are near it, those shifted by one are not.
    near, far = (value(penalty, torch.randn(500, 3) + shift, model) for shift in (0.0, 1.0))
    assert 0 < near < 0.01 < 0.1 < far


def test_mmd_gives_a_deterministic_code_a_prior_to_draw_from() -> None:
    model = mlp(code_size=3, code="linear")
    penalties = Penalties(mmd=MMD(weight=1.0, scales=[1.0]))
    model.bottleneck.active[2] = 0
    drawn = penalties.prior(model, 1000)
    assert drawn is not None
    assert drawn.shape == (1000, 3)
    assert drawn.std(dim=0).tolist() == pytest.approx([1.0, 1.0, 0.0], abs=0.1)
    assert Penalties().prior(model, 5) is None


@pytest.mark.parametrize(
    ("code", "range_"), [("relu", r"\[0, inf\]"), ("sigmoid", r"\[0, 1\]"), ("tanh", r"\[-1, 1\]"), ("linear", "")]
)
def test_mmd_needs_a_code_that_can_go_where_the_prior_does(code: str, range_: str) -> None:
    penalties = Penalties(mmd=MMD(weight=1.0, scales=[1.0]))
    if not range_:
        penalties.attach(mlp(code=code), batch_size=32)
        return
    with pytest.raises(HourglassError, match=rf"^regularizer mmd needs .* lies in {range_}; set bottleneck=linear"):
        penalties.attach(mlp(code=code), batch_size=32)


def test_precision_is_kept_in_bfloat16() -> None:
    model = gaussian(inputs=4)
    x = torch.randn(20, 4)
    output = model(x)
    for penalty in (TotalCorrelation(weight=1.0), MMD(weight=1.0, scales=[1.0])):
        torch.manual_seed(0)
        exact = penalty(model, x, output).weighted
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(penalty(model, x, Output(*output)).weighted, exact)


def test_sliced_distance_by_hand() -> None:
    # Along the first axis 0, 4 against 1, 2: 1 and 2 apart, mean square 2.5.  Along the second 0, 2 against 3, -1:
    # sorted -1, 3, so 1 and 1 apart: 1.  Along (3/5, 4/5) 0 and 4 against 3 and .4: sorted .4, 3, so .4 and 1: .58
    one, other = torch.tensor([[0.0, 0.0], [4.0, 2.0]]), torch.tensor([[1.0, 3.0], [2.0, -1.0]])
    for directions, expected in (([[1.0, 0.0]], 2.5), ([[1.0, 0.0], [0.0, 1.0]], 1.75), ([[0.6, 0.8]], 0.58)):
        assert sliced(one, other, torch.tensor(directions)).item() == pytest.approx(expected)
    assert sliced(one, one.flip(0), torch.eye(2)).item() == 0


def test_sliced_distance_is_that_of_gaussians() -> None:
    """Of N(m, s^2) from N(0, 1) in n units: along each line (u . m)^2 + (s - 1)^2, the mean |m|^2 / n + (s - 1)^2."""
    torch.manual_seed(0)
    code = torch.tensor([2.0, 0.0, -1.0, 0.0]) + 1.5 * torch.randn(10_000, 4)
    found = value(SlicedWasserstein(weight=1.0, projections=500), code, mlp(code_size=4, code="linear"))
    assert found == pytest.approx(5 / 4 + 0.25, rel=0.05)


def test_projections_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"^projections must be at least 1, got 0$"):
        SlicedWasserstein(projections=0)
