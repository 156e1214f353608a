"""The estimated log-likelihood where the true one is known."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.losses import MSE, MSSSIM, OfColumns
from hourglass.measures.likelihood import bounds, log_likelihood
from hourglass.models import MLP
from hourglass.pipeline.compose import compose
from hourglass.samplers.source import BringsDensity

LOSS = MSE(reduction="sum")  # its density has variance 1/2


def model(bottleneck: str = "gaussian") -> MLP:
    """x = W z + b + e with z ~ N(0, 1) and e ~ N(0, 1/2): W (6, 2) with orthogonal columns, lengths 2 and 1."""
    torch.manual_seed(0)
    words = ["model=vanilla", "model.code_size=2", "model.output_activation=linear", f"bottleneck={bottleneck}"]
    made: MLP = build(compose_config(words)[0].model, shape=(6,)).eval()
    with torch.no_grad():
        decoder = made.decoder[0]
        decoder.weight.copy_(torch.linalg.qr(torch.randn(6, 2)).Q * torch.tensor([2.0, 1.0]))
        decoder.bias.copy_(torch.randn(6))
    return made


def set_posterior(made: MLP, *, variance_factor: float) -> None:
    """The exact posterior, N(2 S W^T (x - b), S) with S = (1 + 2 W^T W)^-1, diagonal here; variances times a factor."""
    with torch.no_grad():
        w, b = made.decoder[0].weight, made.decoder[0].bias
        s = 1 / (1 + 2 * w.square().sum(0))
        encoder = made.encoder[1]
        encoder.weight.zero_()
        encoder.weight[:2] = 2 * s[:, None] * w.T
        encoder.bias[:2] = -2 * s * (w.T @ b)
        encoder.bias[2:] = (s * variance_factor).log()


def truth(made: MLP, x: Tensor) -> Tensor:
    """log N(x; b, W W^T + I / 2)."""
    w, b = made.decoder[0].weight.detach().double(), made.decoder[0].bias.detach().double()
    marginal = torch.distributions.MultivariateNormal(b, w @ w.T + torch.eye(6).double() / 2)
    return marginal.log_prob(x.double())


X = torch.randn(8, 6, generator=torch.Generator().manual_seed(1)) * 1.5


def test_one_draw_of_the_exact_posterior_is_enough() -> None:
    made = model()
    set_posterior(made, variance_factor=1.0)
    found = log_likelihood(made, X, LOSS, draws=1, seed=0)
    assert found is not None
    torch.testing.assert_close(found, truth(made, X), atol=1e-4, rtol=0)


def bound(made: MLP, x: Tensor) -> float:
    """The evidence lower bound in nats, from draws of the code: many copies of each sample."""
    many = x.repeat(20_000, 1)
    with torch.no_grad():
        output = made.as_trained(made(many))
    return LOSS.log_density(output.reconstruction, many).mean().item() - output.losses["kl"].value.item()


def test_the_bound_of_the_exact_posterior_is_the_likelihood() -> None:
    """Probabilistic PCA (Tipping & Bishop, 1999): bound, importance estimate and exact value agree."""
    made = model()
    set_posterior(made, variance_factor=1.0)
    assert bound(made, X) == pytest.approx(truth(made, X).mean().item(), abs=0.02)


def test_the_bound_of_another_posterior_is_below_and_the_means_is_none() -> None:
    made = model()
    set_posterior(made, variance_factor=3.0)
    exact = truth(made, X).mean().item()
    # KL(N(m, 3 s) || N(m, s)) = (3 - 1 - log 3) / 2 for each of the two units
    assert bound(made, X) == pytest.approx(exact - (2 - math.log(3)), abs=0.05)
    with torch.no_grad():  # what the mean reconstructs, less the divergence, lies above the likelihood
        output = made(X)
    assert LOSS.log_density(output.reconstruction, X).mean() - output.losses["kl"].value > exact


@pytest.mark.parametrize("factor", [0.6, 3.0])
def test_a_wrong_posterior_is_made_up_for_by_many_draws(factor: float) -> None:
    made = model()
    set_posterior(made, variance_factor=factor)
    expected = truth(made, X)
    found = log_likelihood(made, X, LOSS, draws=5000, seed=0)
    assert found is not None
    assert (found - expected).abs().max() < 0.05
    # One draw is the evidence lower bound in expectation: too low by KL(q | p(z|x)) = (f - 1 - ln f) / 2 for each unit.
    bound = log_likelihood(made, X.repeat(4000, 1), LOSS, draws=1, seed=0)
    assert bound is not None
    gap = factor - 1 - math.log(factor)
    assert (expected.mean() - bound.mean()).item() == pytest.approx(gap, abs=0.03)


@pytest.mark.parametrize("factor", [0.6, 3.0])
def test_the_evidence_lower_bound_of_the_same_draws(factor: float) -> None:
    """Too low by KL(q | p(z|x)) = (f - 1 - ln f) / 2 for each of two units.

    It is never above the estimate, and equal for K = 1.
    """
    made = model()
    set_posterior(made, variance_factor=factor)
    found = bounds(made, X, LOSS, draws=20_000, seed=0)
    assert found is not None
    gap = factor - 1 - math.log(factor)
    assert (truth(made, X) - found.elbo - gap).abs().max() < 0.05
    for draws in (1, 2, 50):
        few = bounds(made, X, LOSS, draws=draws, seed=0)
        assert few is not None
        assert torch.equal(few.elbo, few.log_likelihood) == (draws == 1)
        assert (few.elbo <= few.log_likelihood).all()
    assert torch.equal(few.log_likelihood, log_likelihood(made, X, LOSS, draws=50, seed=0))  # type: ignore[arg-type]


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither samples in several blocks, nor the draws of one sample in several."""
    made = model()
    set_posterior(made, variance_factor=2.0)
    for elements in (6 * 2000 * 3, 6 * 500):
        monkeypatch.setattr("hourglass.measures.likelihood._ELEMENTS", elements)
        found = log_likelihood(made, X, LOSS, draws=2000, seed=0)
        assert found is not None
        torch.testing.assert_close(found, truth(made, X), atol=0.1, rtol=0)


def test_the_seed_fixes_the_draws_and_leaves_the_callers_alone() -> None:
    made = model()
    set_posterior(made, variance_factor=2.0)
    torch.manual_seed(5)
    first = log_likelihood(made, X, LOSS, draws=3, seed=0)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first, log_likelihood(made, X, LOSS, draws=3, seed=0))  # type: ignore[arg-type]
    assert not torch.equal(first, log_likelihood(made, X, LOSS, draws=3, seed=1))  # type: ignore[arg-type]


def test_a_code_without_a_density() -> None:
    made = model("linear")
    assert log_likelihood(made, X, LOSS, draws=3, seed=0) is None


def test_no_draws() -> None:
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        log_likelihood(model(), X, LOSS, draws=0, seed=0)


def test_of_symbols_it_is_the_sum_over_all_of_them() -> None:
    """Two groups of three categories, or three bits: nine and eight codes, all as probable before."""
    torch.manual_seed(0)
    for bottleneck, size, codes in (
        ("categorical", 6, torch.tensor([[*a, *b] for a, b in product(torch.eye(3).tolist(), repeat=2)])),
        ("binary", 3, torch.tensor(list(product((0.0, 1.0), repeat=3)))),
    ):
        words = ["model=vanilla", f"model.code_size={size}", "model.output_activation=linear"]
        words += [f"bottleneck={bottleneck}", "model.bottleneck.deviation=null"]
        words += ["model.bottleneck.categories=3"] if bottleneck == "categorical" else []
        made: MLP = build(compose_config(words)[0].model, shape=(6,)).eval()
        with torch.no_grad():
            fits = torch.stack([LOSS.log_density(made.decode(code.expand(8, -1)), X) for code in codes])
        exact = fits.double().logsumexp(0) - math.log(len(codes))
        found = log_likelihood(made, X, LOSS, draws=50_000, seed=0)
        assert found is not None
        torch.testing.assert_close(found, exact, atol=0.15, rtol=0)
        bound = log_likelihood(made, X.repeat(500, 1), LOSS, draws=1, seed=0)
        assert bound is not None
        assert bound.mean() < exact.mean()


def test_another_prior_takes_the_place_of_the_bottlenecks_own() -> None:
    made = model()
    set_posterior(made, variance_factor=1.0)
    wide = torch.distributions.Normal(0.0, 2.0)
    found = log_likelihood(made, X, LOSS, draws=20_000, seed=0, log_prior=lambda z: wide.log_prob(z).sum(-1))
    w, b = made.decoder[0].weight.detach().double(), made.decoder[0].bias.detach().double()
    marginal = torch.distributions.MultivariateNormal(b, 4 * w @ w.T + torch.eye(6).double() / 2)
    assert found is not None
    assert (found - marginal.log_prob(X.double())).abs().median() < 0.1


def test_what_is_missing_counts_nowhere() -> None:
    """Of columns 0 and 1 alone, the likelihood is that of the two."""
    made, loss = model(), OfColumns(numbers=LOSS)
    set_posterior(made, variance_factor=1.0)
    target = X.clone()
    target[:, 2:] = math.nan
    found = log_likelihood(made, X, loss, draws=20_000, seed=0, target=target)
    w, b = made.decoder[0].weight.detach().double()[:2], made.decoder[0].bias.detach().double()[:2]
    marginal = torch.distributions.MultivariateNormal(b, w @ w.T + torch.eye(2).double() / 2)
    assert found is not None
    assert (found - marginal.log_prob(X[:, :2].double())).abs().median() < 0.15


def test_the_density_of_an_adversarial_prior_is_that_of_its_draws() -> None:
    words = [
        "data=digits",
        "bottleneck=gaussian",
        "training=adversarial",
        "model.code_size=3",
        "training.prior=mixture",
    ]
    words += ["training.radius=2", "training.sigma=0.4", "training.components=3", "loss.reduction=sum"]
    learner = compose(compose_config(words)[0]).learner
    assert isinstance(learner, BringsDensity)
    torch.manual_seed(0)
    drawn = learner.trained_prior(20_000)
    # The mean log density is minus the entropy, of gaussians that don't meet.
    entropy = math.log(3) + 2 * math.log(0.4) + 3 * 0.5 * math.log(2 * math.pi * math.e)
    assert learner.log_prior(drawn).mean().item() == pytest.approx(-entropy, abs=0.03)
    axis = torch.linspace(-5, 5, 101)
    plane = torch.cartesian_prod(axis, axis)
    at_zero = torch.cat([plane, torch.zeros(len(plane), 1)], dim=1)
    mass = learner.log_prior(at_zero).exp().sum().item() * 0.1**2
    assert mass == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-3)  # N(0; 0, 1) of the third unit


def test_a_loss_without_a_density_has_no_likelihood() -> None:
    x = torch.rand(3, 6)
    assert log_likelihood(model(), x, LOSS, draws=1, seed=0) is not None
    assert log_likelihood(model(), x, MSSSIM(reduction="sum"), draws=1, seed=0) is None
