"""The gaussian code: its divergence by hand, its draws, its warm-up."""

import math

import pytest
import torch

from hourglass.bottlenecks import Gaussian


def test_divergence_by_hand() -> None:
    # One sample, two units: m = (1, 0), v = (0, ln 4).
    # 1/2 (1 + 1 - 1 - 0) = 0.5;  1/2 (0 + 4 - 1 - ln 4) = 1.5 - ln 2
    a = torch.tensor([[1.0, 0.0, 0.0, math.log(4)]])
    code, losses = Gaussian(code_size=2, beta=1.0, warmup_steps=0).eval()(a)
    assert losses["kl"].weighted.item() == pytest.approx(0.5 + 1.5 - math.log(2), rel=1e-6)
    assert torch.equal(code, a[:, :2])


def test_divergence_is_a_mean_over_samples_and_weighted_by_beta() -> None:
    a = torch.randn(5, 6)
    whole = Gaussian(code_size=3, beta=1.0, warmup_steps=0).eval()(a).losses["kl"].weighted
    each = [Gaussian(code_size=3, beta=4.0, warmup_steps=0).eval()(row[None]).losses["kl"].weighted / 4 for row in a]
    torch.testing.assert_close(whole, torch.stack(each).mean())
    reference = torch.distributions.kl_divergence(
        torch.distributions.Normal(a[:, :3], (0.5 * a[:, 3:]).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(whole, reference.sum(dim=1).mean())


def test_draws_have_the_mean_and_variance_that_the_encoder_gives() -> None:
    torch.manual_seed(0)
    a = torch.tensor([[2.0, math.log(0.25)]]).expand(100_000, 2)
    code = Gaussian(code_size=1, beta=1.0, warmup_steps=0).train()(a).code
    assert code.mean().item() == pytest.approx(2.0, abs=5 * 0.5 / math.sqrt(100_000))
    assert code.std().item() == pytest.approx(0.5, rel=0.02)


def test_beta_rises_while_training_only() -> None:
    bottleneck = Gaussian(code_size=1, beta=2.0, warmup_steps=4)
    a = torch.tensor([[1.0, 0.0]])  # divergence 0.5
    assert [bottleneck.train()(a).losses["kl"].weighted.item() for _ in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert bottleneck.eval()(a).losses["kl"].weighted.item() == 1.0


def test_an_inactive_unit_has_no_code_and_no_divergence() -> None:
    bottleneck = Gaussian(code_size=2, beta=1.0, warmup_steps=0).train()
    bottleneck.active[1] = 0
    code, losses = bottleneck(torch.tensor([[1.0, 7.0, 0.0, 3.0]]))
    assert code[0, 1] == 0
    assert losses["kl"].weighted.item() == pytest.approx(0.5)


def test_draws_and_their_densities_by_hand() -> None:
    bottleneck = Gaussian(code_size=3, beta=1.0, warmup_steps=0)
    bottleneck.active[2] = 0  # it has no say in either density
    a = torch.tensor([[1.0, -1.0, 5.0, 0.0, math.log(4), 2.0], [0.5, 0.0, 5.0, -1.0, 0.3, 2.0]])
    torch.manual_seed(0)
    code, log_prior, log_posterior = bottleneck.draws(a, 7)
    assert code.shape == (7, 2, 3)
    assert not code[:, :, 2].any()
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(code[:, :, :2]).sum(dim=2)
    posterior = torch.distributions.Normal(a[:, :2], (0.5 * a[:, 3:5]).exp()).log_prob(code[:, :, :2]).sum(dim=2)
    torch.testing.assert_close(log_prior, prior)
    torch.testing.assert_close(log_posterior, posterior)


def test_the_divergence_is_the_mean_log_ratio_of_the_draws() -> None:
    torch.manual_seed(0)
    bottleneck = Gaussian(code_size=1, beta=1.0, warmup_steps=0).eval()
    a = torch.tensor([[1.0, math.log(0.25)]])  # 1/2 (1 + 1/4 - 1 + ln 4) = 0.818
    _, log_prior, log_posterior = bottleneck.draws(a, 100_000)
    assert (log_posterior - log_prior).mean().item() == pytest.approx(0.125 + math.log(2), abs=0.01)
    assert bottleneck(a).losses["kl"].weighted.item() == pytest.approx(0.125 + math.log(2))


def test_the_gradient_passes_through_the_draws() -> None:
    a = torch.randn(2, 4, requires_grad=True)
    Gaussian(code_size=2, beta=1.0, warmup_steps=0).draws(a, 3).log_prior.sum().backward()
    assert a.grad.all()


def test_the_prior_is_standard_normal() -> None:
    torch.manual_seed(0)
    bottleneck = Gaussian(code_size=2, beta=1.0, warmup_steps=0)
    bottleneck.active[1] = 0
    code = bottleneck.prior(100_000)
    assert code.shape == (100_000, 2)
    assert not code[:, 1].any()
    assert code[:, 0].mean().item() == pytest.approx(0, abs=0.02)
    assert code[:, 0].std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beta": -1.0}, "beta must be at least 0 and finite, got -1.0"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
    ],
)
def test_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gaussian(**{"code_size": 2, "beta": 1.0, "warmup_steps": 0, **changed})
