"""Importance weighting: the bound by hand, what it is with one draw, that more draws tighten it, what it refuses."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Draws
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.losses import total
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError

SMALL = (
    "data=digits",
    "data.train_size=250",
    "model=multilayer",
    "model.widths=[16]",
    "model.code_size=2",
    "bottleneck=gaussian",
    "training=importance_weighted",
    "training.batch_size=32",
    "trainer.accelerator=cpu",
)


def make(*overrides: str) -> Parts:
    config, _ = compose_config([*SMALL, *overrides])
    torch.manual_seed(0)
    return compose(config)


class Fixed(nn.Module):
    """A bottleneck whose two draws are what a test wants them to be."""

    def __init__(self, draws: Draws) -> None:
        super().__init__()
        self.fixed = draws

    def forward(self, a: Tensor) -> Any:
        return a[:, :2], {}

    def draws(self, _a: Tensor, _count: int) -> Draws:
        return self.fixed


def test_the_bound_of_two_draws_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = make("training.draws=2", "data=digits")
    learner = parts.learner
    # Every pixel of every image is 1; the first draw decodes to pixels of 1/2, the second to pixels of 1/4, so that
    # log p(x | z) is -64 log 2 and -64 log 4.
    x = torch.ones(1, 1, 8, 8)
    code = torch.tensor([[[0.5, 0.0]], [[0.25, 0.0]]])  # (2, 1, 2)
    log_prior = torch.tensor([[-3.0], [-1.0]])
    log_posterior = torch.tensor([[-1.0], [-64 * math.log(2) - 2.0]])
    parts.model.bottleneck = Fixed(Draws(code, log_prior, log_posterior))

    def decode(code: Tensor, y: Tensor | None = None) -> Tensor:  # noqa: ARG001
        return code[:, :1, None, None].expand(-1, 1, 8, 8).clamp(0, 1)

    monkeypatch.setattr(parts.model, "decode", decode)
    _, terms = learner.terms(x, x)
    # log w = -64 log 2 - 3 + 1  and  -64 log 4 - 1 + 64 log 2 + 2, that is -64 log 2 less 2 and -64 log 2 plus 1
    nats = 64 * math.log(2)
    bound = -nats + math.log((math.exp(-2) + math.exp(1)) / 2)
    assert terms["reconstruction"].value.item() == pytest.approx(1.5 * nats)
    assert terms["kl"].value.item() == pytest.approx((2 - nats - 1) / 2)
    assert terms["importance"].value.item() == pytest.approx(-nats - 0.5 - bound, abs=1e-5)
    assert total(terms).item() == pytest.approx(-bound, rel=1e-6)


LOG_WEIGHT = torch.tensor([[0.0], [math.log(2)], [math.log(4)], [-5.0]])


def test_groups_and_shares_of_the_bound_by_hand() -> None:
    logs = LOG_WEIGHT.flatten().tolist()
    one, two, four, small = (math.exp(each) for each in logs)
    mean = sum(logs) / 4
    whole, halves = math.log((one + two + four + small) / 4), math.log((one + two) / 2) + math.log((four + small) / 2)

    def bound(groups: int, elbo: float = 0.0) -> float:
        learner = make("training.draws=4", f"training.groups={groups}", f"training.elbo={elbo}").learner
        found = learner.bound(LOG_WEIGHT, groups)  # type: ignore[operator]
        # How much each draw has to say is the gradient of the bound, and sums to one.
        shares = torch.func.grad(lambda each: learner.bound(each, groups).sum())(LOG_WEIGHT)  # type: ignore[operator]
        torch.testing.assert_close(learner.shares(LOG_WEIGHT, groups), shares)  # type: ignore[operator]
        assert shares.sum().item() == pytest.approx(1)
        return float(found)

    assert bound(1) == pytest.approx(whole)
    assert bound(2) == pytest.approx(halves / 2)
    assert bound(4) == pytest.approx(mean)
    assert bound(1, 0.25) == pytest.approx(0.75 * whole + 0.25 * mean)
    assert bound(2, 1.0) == pytest.approx(mean)
    assert mean < halves / 2 < whole


def test_partially_weighted_the_encoder_has_the_gradient_of_groups_and_the_decoder_that_of_all_draws() -> None:
    def gradients(*words: str) -> tuple[float, list[Tensor], list[Tensor]]:
        learner = make("training.draws=6", *words).learner
        x = learner.data.scaled(learner.data.train.x[:8])
        torch.manual_seed(1)
        loss = total(learner.terms(x, x)[1])
        encoder, decoder = (list(each.parameters()) for each in (learner.model.encoder, learner.model.decoder))
        found = torch.autograd.grad(loss, [*encoder, *decoder])
        return loss.item(), list(found[: len(encoder)]), list(found[len(encoder) :])

    value, encoder, decoder = gradients("training.groups=3", "training.decoder_groups=1")
    whole, whole_encoder, whole_decoder = gradients()
    _, parted_encoder, parted_decoder = gradients("training.groups=3")
    assert value == pytest.approx(whole, rel=1e-5)
    torch.testing.assert_close(encoder, parted_encoder)
    torch.testing.assert_close(decoder, whole_decoder)
    assert not torch.allclose(decoder[0], parted_decoder[0])
    assert not torch.allclose(encoder[0], whole_encoder[0])


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_with_one_draw_it_is_the_variational_autoencoder(loss: str) -> None:
    learner = make("training.draws=1", f"loss={loss}", "loss.reduction=sum").learner
    plain = make("training=backprop", f"loss={loss}", "loss.reduction=sum").learner
    x = learner.data.scaled(learner.data.train.x)
    with torch.no_grad():
        ours = [learner.terms(x, x)[1] for _ in range(200)]
        theirs = [plain.terms(x, x)[1] for _ in range(200)]
    assert all(abs(terms["importance"].value.item()) < 1e-4 for terms in ours)
    for name in ("reconstruction", "kl"):
        mean, other = (torch.stack([terms[name].value for terms in each]) for each in (ours, theirs))
        spread = ((mean.var() + other.var()) / 200).sqrt().item()
        assert abs(mean.mean() - other.mean()).item() < 4 * spread + 1e-4


def test_more_draws_bound_more_tightly() -> None:
    # A posterior unlike the prior and a decoder that tells codes apart, so that the draws differ.
    def bound(draws: int) -> float:
        learner = make(f"training.draws={draws}", "model.widths=[64]").learner
        nn.init.normal_(learner.model.decoder[0].weight)
        nn.init.normal_(learner.model.decoder[2].weight)
        x = learner.data.scaled(learner.data.train.x)
        with torch.no_grad():
            every = [learner.terms(x, x)[1] for _ in range(10)]
        assert all(terms["importance"].value.item() < 1e-4 for terms in every)
        return sum(total(terms).item() for terms in every) / len(every)

    bounds = [bound(draws) for draws in (1, 2, 5, 20)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < bounds[0] - 1


def test_the_bound_reaches_the_likelihood_where_that_is_known() -> None:
    """p(z) = N(0, 1), x = z + noise of variance 1/2 (what squared error stands for): log p(x) = log N(x; 0, 3/2)."""
    learner = make("training.draws=4000", "loss=mse", "model.output_activation=linear", "loss.reduction=sum").learner
    x = torch.tensor([[0.7], [-1.2]])
    code = torch.randn(4000, 2, 1, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.6 * x
    normal = torch.distributions.Normal
    draws = Draws(code, normal(0, 1).log_prob(code).sum(2), normal(0.6 * x, 0.8).log_prob(code).sum(2))

    class Identity(nn.Module):
        bottleneck = Fixed(draws)

        def forward(self, x: Tensor, y: Tensor | None = None, *, disturb: Any) -> Any:  # noqa: ARG002
            return type("Output", (), {"encoded": x})

        def decode(self, code: Tensor, y: Tensor | None = None) -> Tensor:  # noqa: ARG002
            return code

    learner.model = Identity()
    _, terms = learner.terms(x, x)
    exact = normal(0, math.sqrt(1.5)).log_prob(x).mean().item()
    constant = 0.5 * math.log(math.pi)  # of N(x; z, 1/2), which squared error leaves out
    assert total(terms).item() == pytest.approx(-exact - constant, abs=0.01)


def test_a_step_goes_down_on_the_bound() -> None:
    parts = make("training.draws=3", "optimizer=sgd", "optimizer.lr=0.01", "optimizer.momentum=0.0")
    x = parts.data.scaled(parts.data.train.x[:32])
    weights = list(parts.model.parameters())
    state = torch.get_rng_state()
    _, terms = parts.learner.terms(x, x)
    gradients = torch.autograd.grad(total(terms), weights)
    expected = [w - 0.01 * g for w, g in zip(weights, gradients, strict=True)]
    torch.set_rng_state(state)
    logged = parts.learner.step(x, x, None)
    assert list(logged) == ["loss", "reconstruction", "kl", "importance"]
    for weight, value in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight, value)


def test_validation_draws_alike_in_every_epoch() -> None:
    given = ("optimizer.lr=0.0", "training.epochs=2")
    learner, (config, _) = make(*given).learner, compose_config([*SMALL, *given])
    found = []
    for _ in range(2):
        build(config.trainer, logger=False, max_epochs=len(found) + 1).fit(learner)
        found.append({key: value.item() for key, value in learner.trainer.callback_metrics.items()})
    assert found[0]["val/loss"] == found[1]["val/loss"]
    assert found[0]["val/importance"] < 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.draws=0"], r"training\.draws must be at least 1, got 0"),
        (["training.draws=5", "training.groups=2"], r"training\.draws must be a multiple of groups=2, got 5"),
        (["training.decoder_groups=0"], r"training\.decoder_groups must be at least 1 or null, got 0"),
        (["training.elbo=1.5"], r"training\.elbo must be from 0 to 1, got 1\.5"),
        (["loss=ms_ssim"], r"training: the bound is of a density, which MSSSIM has none of; set loss=mse"),
        (["loss.reduction=mean"], r".*set loss\.reduction=sum, got mean"),
        (["model.bottleneck.beta=4.0"], r".*set model\.bottleneck\.beta=1, got 4"),
        (["model.bottleneck.warmup_steps=10"], r".*set model\.bottleneck\.warmup_steps=0, got 10"),
        (
            ["bottleneck=linear"],
            r"training: the bound needs a code with a density; set bottleneck=gaussian",
        ),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=f"^{message}"):
        make(*overrides)
