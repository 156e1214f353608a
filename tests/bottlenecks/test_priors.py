"""Priors: their densities against torch.distributions, their draws, and what a variational code makes of them."""

from functools import partial

import pytest
import torch
from torch import distributions as D
from torch import nn

from hourglass.bottlenecks import FlowGaussian, Gaussian, MixturePrior, StandardNormal, VampPrior
from hourglass.models import MLP

ACTIVE = torch.tensor([1.0, 1.0, 0.0])


def reference(means: torch.Tensor, log_variances: torch.Tensor, logits: torch.Tensor) -> D.Distribution:
    each = D.Independent(D.Normal(means[:, :2], (0.5 * log_variances[:, :2]).exp()), 1)
    return D.MixtureSameFamily(D.Categorical(logits=logits), each)


def test_a_mixture_has_the_density_of_its_components_over_active_units() -> None:
    torch.manual_seed(0)
    prior = MixturePrior(code_size=3, components=4)
    for weight in prior.parameters():
        nn.init.normal_(weight)
    expected = reference(prior.means, prior.log_variances, prior.logits)
    z = 3 * torch.randn(2, 5, 3) * ACTIVE
    torch.testing.assert_close(prior.log_density(z, ACTIVE), expected.log_prob(z[..., :2]), rtol=1e-4, atol=1e-4)
    drawn = prior.draw(100_000, ACTIVE)
    assert drawn.shape == (100_000, 3)
    assert not drawn[:, 2].any()
    torch.testing.assert_close(drawn[:, :2].mean(dim=0), expected.mean, rtol=0, atol=0.05)
    torch.testing.assert_close(drawn[:, :2].var(dim=0), expected.variance, rtol=0.05, atol=0.05)


def test_the_standard_normal_has_its_density_and_its_divergence() -> None:
    prior = StandardNormal(code_size=3)
    z = torch.randn(5, 3) * ACTIVE
    torch.testing.assert_close(prior.log_density(z, ACTIVE), D.Normal(0.0, 1.0).log_prob(z[:, :2]).sum(dim=1))
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    expected = D.kl_divergence(D.Normal(mean, (0.5 * log_variance).exp()), D.Normal(0.0, 1.0))
    torch.testing.assert_close(prior.divergences(mean, log_variance), expected)


def vamp(code_size: int = 3, pseudo_inputs: int = 4) -> MLP:
    torch.manual_seed(0)
    neck = partial(Gaussian, prior=partial(VampPrior, pseudo_inputs=pseudo_inputs))
    return MLP(shape=(1, 2, 2), code_size=code_size, depth=1, widths=[5], bottleneck=neck)


def test_a_vamp_prior_is_the_mixture_of_its_pseudo_inputs_posteriors() -> None:
    model = vamp()
    model.bottleneck.active.copy_(ACTIVE)
    prior = model.bottleneck.density
    means, log_variances = model.encoder(prior.inputs).chunk(2, dim=1)
    expected = reference(means, log_variances, torch.zeros(4))
    z = torch.randn(2, 5, 3) * ACTIVE
    torch.testing.assert_close(prior.log_density(z, ACTIVE), expected.log_prob(z[..., :2]), rtol=1e-4, atol=1e-4)
    drawn = model.bottleneck.prior(100_000)
    assert not drawn[:, 2].any()
    torch.testing.assert_close(drawn[:, :2].mean(dim=0), expected.mean, rtol=0, atol=0.05)
    torch.testing.assert_close(drawn[:, :2].var(dim=0), expected.variance, rtol=0.05, atol=0.05)


def test_pseudo_inputs_begin_as_training_samples_and_learn_through_the_encoder() -> None:
    model = vamp()
    model.bottleneck.begin(torch.arange(44, dtype=torch.uint8).view(11, 1, 2, 2))  # rows 0, 3, 7, 10 of 11
    assert model.bottleneck.density.inputs[:, 0, 0, 0].mul(255).round().tolist() == [0, 12, 28, 40]
    model.train()(torch.rand(6, 1, 2, 2)).losses["kl"].weighted.backward()
    assert model.bottleneck.density.inputs.grad.any()
    names = list(model.state_dict())
    assert "bottleneck.density.inputs" in names
    assert len([name for name in names if "encoder" in name]) == 4  # the prior doesn't hold it again


def test_a_prior_that_the_posterior_equals_costs_nothing() -> None:
    """One pseudo-input that is the sample: q(z | x) = p(z), draw by draw."""
    model = vamp(pseudo_inputs=1)
    x = torch.rand(1, 1, 2, 2)
    model.bottleneck.density.inputs.data.copy_(x)
    assert model.train()(x).losses["kl"].value.item() == pytest.approx(0, abs=1e-5)
    assert model.bottleneck.rates(model.encoder(x)).item() == pytest.approx(0, abs=1e-5)


def test_rates_without_a_formula_repeat_and_disturb_nothing() -> None:
    bottleneck, a = Gaussian(code_size=2, prior=MixturePrior).eval(), torch.randn(5, 4)
    state = torch.get_rng_state()
    rates = bottleneck.rates(a)
    assert rates.shape == (5, 1)
    assert torch.equal(bottleneck.rates(a), rates)
    assert not bottleneck(a).losses
    assert torch.equal(torch.get_rng_state(), state)
    assert bottleneck.prior_quantiles(torch.tensor([0.5])) is None


def test_an_estimated_divergence_is_right_in_the_mean() -> None:
    torch.manual_seed(0)
    prior = partial(MixturePrior, components=1)
    bottleneck = Gaussian(code_size=2, prior=prior).train()
    a = torch.tensor([[0.5, -1.0, 0.3, -0.7]])
    mean, scale = a[:, :2], (0.5 * a[:, 2:]).exp()
    density = bottleneck.density
    expected = D.kl_divergence(D.Normal(mean, scale), D.Normal(density.means, (0.5 * density.log_variances).exp()))
    found = bottleneck(a.expand(100_000, 4)).losses["kl"].value.item()
    assert found == pytest.approx(expected.sum().item(), abs=0.02)


def test_a_flow_has_no_density_that_a_vamp_prior_could_be_made_of() -> None:
    with pytest.raises(ValueError, match=r"prior is of posteriors .*: set flow=none or prior=mixture"):
        MLP(shape=(4,), code_size=2, bottleneck=partial(FlowGaussian, prior=VampPrior))


@pytest.mark.parametrize(("kind", "key"), [(MixturePrior, "components"), (VampPrior, "pseudo_inputs")])
def test_refused(kind: type, key: str) -> None:
    with pytest.raises(ValueError, match=f"{key} must be at least 1, got 0"):
        kind(code_size=2, **{key: 0})
