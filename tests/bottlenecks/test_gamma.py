"""The gamma code: divergence and densities against torch.distributions, draws, quantiles against scipy."""

import pytest
import torch
from torch import distributions as D

from hourglass.bottlenecks import Gamma


def test_divergence_and_densities_are_those_of_torch() -> None:
    torch.manual_seed(0)
    bottleneck = Gamma(code_size=3, prior_shape=2.5, prior_rate=0.7)
    bottleneck.active[2] = 0
    a = torch.randn(4, 6)
    shape, rate = (torch.nn.functional.softplus(each[:, :2]) + 1e-3 for each in (a[:, :3], a[:, 3:]))
    posterior, prior = D.Gamma(shape, rate), D.Gamma(2.5, 0.7)
    torch.testing.assert_close(bottleneck.rates(a)[:, :2], D.kl_divergence(posterior, prior), rtol=1e-4, atol=1e-5)
    assert not bottleneck.rates(a)[:, 2].any()
    code, log_prior, log_posterior = bottleneck.draws(a, 7)
    assert code.shape == (7, 4, 3)
    assert not code[:, :, 2].any()
    torch.testing.assert_close(log_posterior, posterior.log_prob(code[:, :, :2]).sum(dim=2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(log_prior, prior.log_prob(code[:, :, :2]).sum(dim=2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bottleneck.eval()(a).code[:, :2], posterior.mean)


def test_a_divergence_by_hand() -> None:
    # Shape 1, rate 1 from shape 2, rate 1: -psi(1) - ln G(1) + ln G(2) + 0 + 0 = 0.577216, Euler's constant.
    a = torch.tensor([[0.999, 0.999]]).expm1().log()  # softplus^-1(0.999), and 0.001
    found = Gamma(code_size=1, prior_shape=2.0, prior_rate=1.0).eval()(a).losses["kl"].weighted.item()
    assert found == pytest.approx(0.577216, abs=1e-5)


def test_draws_have_the_mean_and_pass_its_gradient() -> None:
    """E z = s / r, so that the mean of dz/ds is 1 / r."""
    torch.manual_seed(0)
    a = torch.tensor([[1.0, 0.5]]).expand(100_000, 2).clone().requires_grad_()
    shape, rate = torch.nn.functional.softplus(torch.tensor([1.0, 0.5])) + 1e-3
    code = Gamma(code_size=1).train()(a).code
    assert code.mean().item() == pytest.approx((shape / rate).item(), rel=0.02)
    code.sum().backward()
    assert a.grad[:, 0].mean().item() == pytest.approx((torch.sigmoid(torch.tensor(1.0)) / rate).item(), rel=0.02)


def test_the_prior_and_its_quantiles() -> None:
    torch.manual_seed(0)
    bottleneck = Gamma(code_size=2, prior_shape=3.0, prior_rate=2.0)
    drawn = bottleneck.prior(50_000)
    assert drawn.mean().item() == pytest.approx(1.5, rel=0.02)
    shares = torch.tensor([0.05, 0.5, 0.95])
    torch.testing.assert_close(bottleneck.prior_quantiles(shares), drawn.flatten().quantile(shares), rtol=0.03, atol=0)


@pytest.mark.parametrize("key", ["prior_shape", "prior_rate"])
def test_refused(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key} must be above 0 and finite, got 0"):
        Gamma(code_size=2, **{key: 0.0})
