"""The hyperbolic code: distances and densities by hand and by the integral over the disc."""

import math

import pytest
import torch

from hourglass.bottlenecks import Poincare
from hourglass.bottlenecks.poincare import moebius_add


def test_moebius_addition_by_hand() -> None:
    # On a line it is that of velocities: (x + y) / (1 + c x y).
    x, y = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.25, 0.0]])
    torch.testing.assert_close(moebius_add(x, y, 1.0), torch.tensor([[0.75 / 1.125, 0.0]]))
    torch.testing.assert_close(moebius_add(x, y, 2.0), torch.tensor([[0.75 / 1.25, 0.0]]))
    torch.testing.assert_close(moebius_add(-x, x, 1.0), torch.zeros(1, 2))


@pytest.mark.parametrize("curvature", [0.5, 1.0, 2.0])
def test_a_density_integrates_to_one_over_the_volume_of_the_ball(curvature: float) -> None:
    """The prior, on a grid of the disc; and the posterior, since E_q[p / q] is the integral of p."""
    torch.manual_seed(0)
    bottleneck = Poincare(code_size=2, curvature=curvature).double()
    radius = 1 / math.sqrt(curvature)
    line = torch.linspace(-1, 1, 1601, dtype=torch.float64)[1:-1] * radius
    z = torch.cartesian_prod(line, line)
    z = z[z.norm(dim=1) < radius * (1 - 1e-4)]
    volume = (2 / (1 - curvature * z.square().sum(dim=1))) ** 2 * (line[1] - line[0]) ** 2
    assert (bottleneck.log_prior(z).exp() * volume).sum().item() == pytest.approx(1, abs=0.01)
    a = torch.tensor([[0.6, -0.4, 0.5, 0.3]], dtype=torch.float64)
    code, log_prior, log_posterior = bottleneck.draws(a, 100_000)
    assert code.norm(dim=2).max() < radius
    assert (log_prior - log_posterior).exp().mean().item() == pytest.approx(1, abs=0.03)


def test_draws_lie_as_far_from_the_centre_as_their_normal_ones() -> None:
    """d(m, z) = |v|: the mean of its square is the sum of the variances."""
    torch.manual_seed(0)
    bottleneck = Poincare(code_size=2, curvature=1.0).double()
    a = torch.tensor([[0.8, 0.1, math.log(0.25), math.log(0.09)]], dtype=torch.float64)
    centre = bottleneck.eval()(a).code
    z = bottleneck.draws(a, 50_000).code.squeeze(1)
    distance = 2 * moebius_add(-centre, z, 1.0).norm(dim=1).atanh()
    assert distance.square().mean().item() == pytest.approx(0.34, rel=0.03)
    assert 2 * centre.norm().atanh().item() == pytest.approx(math.hypot(0.8, 0.1))  # d(0, m) = |a|


def test_where_the_ball_is_almost_flat_it_is_a_gaussian_code() -> None:
    bottleneck = Poincare(code_size=2, curvature=1e-6).double()
    z = torch.randn(5, 2, dtype=torch.float64)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(2 * z).sum(dim=1)  # the metric at 0 is 4 |dz|^2
    torch.testing.assert_close(bottleneck.log_prior(z), expected, rtol=1e-4, atol=1e-4)


def test_prior_draws_and_inactive_units() -> None:
    torch.manual_seed(0)
    bottleneck = Poincare(code_size=3)
    bottleneck.active[2] = 0
    z = bottleneck.prior(20_000)
    assert not z[:, 2].any()
    assert (2 * z.norm(dim=1).atanh()).square().mean().item() == pytest.approx(2, rel=0.05)
    small, a = Poincare(code_size=2), torch.randn(4, 6)
    a[:, [2, 5]] = 9.0
    torch.manual_seed(1)
    assert not bottleneck.train()(a).code[:, 2].any()
    torch.testing.assert_close(bottleneck.log_prior(z[:5]), small.log_prior(z[:5, :2]))
    torch.testing.assert_close(bottleneck.eval()(a).code[:, :2], small.eval()(a[:, [0, 1, 3, 4]]).code)


def test_refused() -> None:
    with pytest.raises(ValueError, match="curvature must be above 0 and finite, got 0"):
        Poincare(code_size=2, curvature=0.0)
