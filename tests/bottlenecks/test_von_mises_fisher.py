"""The hyperspherical code: Bessel functions and divergence against scipy, draws against their law, gradients exact."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from hourglass.bottlenecks import VonMisesFisher
from hourglass.bottlenecks.bessel import log_bessel


@pytest.mark.parametrize("order", [0, 0.5, 1, 4, 9.5, 31])
def test_bessel_functions_are_those_of_scipy(order: float) -> None:
    x = torch.tensor([0.5, 1.0, 5.0, 30.0, 500.0, 2e4], dtype=torch.float64, requires_grad=True)
    value, ratio = log_bessel(torch.tensor(order), x)
    scaled = special.ive(order, x.detach().numpy())
    expected = np.log(scaled) + x.detach().numpy()
    np.testing.assert_allclose(value.detach(), expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ratio.detach(), special.ive(order + 1, x.detach().numpy()) / scaled, rtol=1e-8)
    (slope,) = torch.autograd.grad(value.sum(), x)  # (log I_n)' = I_{n+1} / I_n + n / x
    torch.testing.assert_close(slope, ratio.detach() + order / x.detach(), rtol=1e-7, atol=0)


def encoded(mean: list[float], concentration: float) -> torch.Tensor:
    """What the encoder puts out for such a distribution."""
    raw = concentration - 1 + math.log(-math.expm1(1 - concentration))  # of softplus, the inverse
    return torch.tensor([[*mean, *[raw] * len(mean)]])


@pytest.mark.parametrize(("size", "concentration"), [(2, 1.5), (3, 4.0), (5, 40.0), (20, 300.0)])
def test_the_divergence_is_the_integral_and_scipys(size: int, concentration: float) -> None:
    found = VonMisesFisher(code_size=size).rates(encoded([1.0, *[0.0] * (size - 1)], concentration)).item()
    mean = np.eye(size)[0]
    entropy = stats.vonmises_fisher(mean, concentration).entropy()
    surface = math.log(2) + size / 2 * math.log(math.pi) - special.gammaln(size / 2)
    assert found == pytest.approx(surface - entropy, rel=1e-5)
    # And of w = cos(angle): E[log of the ratio of the densities of w]
    power = (size - 2) if size > 1 else 0
    weight = lambda angle: math.exp(concentration * (math.cos(angle) - 1)) * math.sin(angle) ** power  # noqa: E731
    peak = min(1.0, 4 * math.sqrt(size / concentration))
    total = integrate.quad(weight, 0, math.pi, points=[peak])[0]
    even = integrate.quad(lambda angle: math.sin(angle) ** power, 0, math.pi)[0]
    moment = integrate.quad(lambda angle: (math.cos(angle) - 1) * weight(angle), 0, math.pi, points=[peak])[0] / total
    assert found == pytest.approx(concentration * moment - math.log(total / even), rel=1e-4)


@pytest.mark.parametrize(("size", "concentration"), [(2, 2.0), (3, 10.0), (8, 50.0)])
def test_draws_have_the_moments_and_densities_of_the_distribution(size: int, concentration: float) -> None:
    torch.manual_seed(0)
    bottleneck = VonMisesFisher(code_size=size)
    mean = np.random.default_rng(0).normal(size=size)
    mean /= np.linalg.norm(mean)
    code, log_prior, log_posterior = bottleneck.draws(encoded(mean.tolist(), concentration), 40_000)
    assert code.shape == (40_000, 1, size)
    torch.testing.assert_close(code.norm(dim=2), torch.ones(40_000, 1))
    w = (code.squeeze(1).double() @ torch.from_numpy(mean)).numpy()
    ratio = special.ive(size / 2, concentration) / special.ive(size / 2 - 1, concentration)
    assert w.mean() == pytest.approx(ratio, abs=5 * w.std() / 200)
    variance = 1 - ratio**2 - (size - 1) / concentration * ratio
    assert w.var() == pytest.approx(variance, rel=0.06)
    law = stats.vonmises_fisher(mean, concentration)
    expected = law.logpdf(code[:50].squeeze(1).double().numpy() / np.linalg.norm(code[:50, 0], axis=1, keepdims=True))
    np.testing.assert_allclose(log_posterior[:50, 0], expected, rtol=1e-3, atol=1e-3)
    assert (log_posterior - log_prior).mean().item() == pytest.approx(
        bottleneck.rates(encoded(mean.tolist(), concentration)).item(), abs=0.05
    )


@pytest.mark.parametrize(("size", "concentration"), [(2, 2.0), (3, 10.0), (8, 50.0)])
def test_the_gradient_is_that_of_the_distribution_function(size: int, concentration: float) -> None:
    """dw/dk = -(dF/dk) / f at a given draw."""
    torch.manual_seed(0)
    k = torch.tensor(concentration, dtype=torch.float64)
    bottleneck = VonMisesFisher(code_size=size).double()
    w = 1 - bottleneck._rejected(k.expand(3))
    found = bottleneck._slope(k.expand(3), 1 - w)

    def share(at: float, k: float) -> float:
        weight = lambda angle: math.exp(k * (math.cos(angle) - 1)) * math.sin(angle) ** (size - 2)  # noqa: E731
        return float(integrate.quad(weight, math.acos(at), math.pi)[0] / integrate.quad(weight, 0, math.pi)[0])

    for at, slope in zip(w.tolist(), found.tolist(), strict=True):
        by_k = (share(at, concentration + 1e-3) - share(at, concentration - 1e-3)) / 2e-3
        by_w = (share(at + 1e-6, concentration) - share(at - 1e-6, concentration)) / 2e-6
        assert slope == pytest.approx(-by_k / by_w, rel=1e-3)


def test_units_that_are_not_active_leave_a_sphere_of_fewer_dimensions() -> None:
    a = encoded([0.6, 0.8, 0.0], 5.0)
    large, small = VonMisesFisher(code_size=3), VonMisesFisher(code_size=2)
    large.active[2] = 0
    given = torch.cat([a[:, :2], a[:, 3:5]], dim=1)
    torch.testing.assert_close(large.rates(a), small.rates(given))
    assert not large.train()(a).code[:, 2].any()
    assert large.prior(5)[:, :2].norm(dim=1).tolist() == pytest.approx([1.0] * 5)


def test_a_draw_passes_its_gradient_to_direction_and_concentration() -> None:
    torch.manual_seed(0)
    a = torch.randn(4, 6, requires_grad=True)
    VonMisesFisher(code_size=3).train()(a).code[:, 0].sum().backward()
    assert a.grad.isfinite().all()
    assert a.grad.all()


def test_a_sphere_has_two_dimensions_or_more() -> None:
    with pytest.raises(ValueError, match="code_size must be at least 2, got 1"):
        VonMisesFisher(code_size=1)
