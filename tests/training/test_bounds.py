"""Losses outside training are of codes as they are trained: a bound is a bound, a code like the prior is like it."""

import math
import statistics
from typing import cast

import pytest
import pytorch_lightning as pl
import torch

from hourglass.bottlenecks import HasRate, HasSymbolDraws
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.losses import Likelihood
from hourglass.measures.likelihood import log_likelihood
from hourglass.pipeline.compose import Parts, compose

SMALL = (
    *("data=digits", "data.train_size=1000", "model=multilayer", "model.widths=[32]", "model.code_size=4"),
    *("bottleneck=gaussian", "loss.reduction=sum", "training.batch_size=32", "training.epochs=3"),
    *("trainer.accelerator=cpu",),
)


def trained(*overrides: str) -> tuple[Parts, dict[str, float]]:
    """A training and what its test measures."""
    config, _ = compose_config([*SMALL, *overrides])
    pl.seed_everything(0, verbose=False)
    parts = compose(config)
    trainer = build(config.trainer, logger=False)
    trainer.fit(parts.learner)
    trainer.test(parts.learner, verbose=False)
    return parts, {name: value.item() for name, value in trainer.callback_metrics.items()}


BOUNDS = [
    ("loss=bce",),
    ("loss=mse",),
    ("loss=mae",),
    ("loss=log_cosh",),
    ("loss=student_t",),
    ("loss=bce", "model.bottleneck.beta=4"),
    ("loss=bce", "regularizer=total_correlation"),
    ("loss=bce", "regularizer=mmd"),
    ("loss=bce", "regularizer=capacity", "model.bottleneck.beta=0"),
    ("loss=bce", "training=factor"),
    ("loss=bce", "training=vae_gan"),
    *(("loss=bce", f"bottleneck={name}") for name in ("hyperspherical", "poincare", "gamma", "ladder", "hierarchical")),
    *(("loss=bce", f"prior={name}") for name in ("mixture", "vamp")),
    *(("loss=bce", f"flow={name}") for name in ("planar", "radial", "householder", "iaf")),
    ("loss=bce", "training=importance_weighted", "training.draws=5"),
    *(("loss=bce", f"training={name}") for name in ("miwae", "ciwae", "piwae", "hamiltonian", "riemannian")),
    ("loss=mse", "training=hamiltonian"),
    ("loss=bce", "condition=labels"),
    ("loss=mse", "condition=labels", "prior=mixture"),
]
"""Choices whose terms are a bound, as far as they aren't weighted."""
SEEDS = 20
"""Of the draws, for a standard error."""


@pytest.mark.long
@pytest.mark.parametrize("type_", BOUNDS, ids=" ".join)
def test_no_bound_is_above_the_likelihood(type_: tuple[str, ...]) -> None:
    parts, measured = trained(*type_)
    learner, loss = parts.learner.eval(), cast(Likelihood, parts.learner.loss)
    x, y = parts.data.scaled(parts.data.test.x), parts.data.test.y if parts.model.classes else None
    # What the loss leaves out of -log p(x | r), the same for all r.
    r = torch.full_like(x, 0.5)
    constant = -loss.log_density(r, x).mean().item() - loss(r, x).item()
    bounds = []
    with torch.no_grad():
        output = parts.model(x, y)
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            terms = learner.terms_of(learner.as_trained(output, x, x), x, y)
            parted = [term.value.item() for name, term in terms.items() if name.startswith(("kl", "importance"))]
            assert parted
            bounds.append(-terms["reconstruction"].value.item() - sum(parted) - constant)
    estimates = [log_likelihood(parts.model, x, loss, draws=200, seed=seed, y=y) for seed in range(5)]
    means = [estimate.mean().item() for estimate in estimates if estimate is not None]
    error = math.hypot(statistics.stdev(bounds) / SEEDS**0.5, statistics.stdev(means) / len(means) ** 0.5)
    assert statistics.mean(bounds) < statistics.mean(means) + 3 * error
    # And not far below: a constant that is missing is of tens of nats.
    assert statistics.mean(bounds) > statistics.mean(means) - 15
    one = [measured[f"test/{name}"] for name in terms if name.startswith(("kl", "importance", "reconstruction"))]
    assert -sum(one) - constant == pytest.approx(statistics.mean(bounds), abs=5 * statistics.stdev(bounds))
    if not any(mark in word for word in type_ for mark in ("beta=", "regularizer=", "factor", "vae_gan")):
        assert measured["test/loss"] == pytest.approx(sum(one), rel=1e-5)  # then the loss itself is the bound


@pytest.mark.parametrize("name", ["categorical", "binary"])
def test_no_bound_of_symbols_is_above_the_likelihood(name: str) -> None:
    """E_q log p(x | z) - KL(q(z | x), even) of drawn symbols; training softens categories, and is no bound itself."""
    parts, _ = trained("loss=bce", f"bottleneck={name}", "model.code_size=16")
    model, loss, neck = parts.model.eval(), cast(Likelihood, parts.learner.loss), parts.model.bottleneck
    x = parts.data.scaled(parts.data.test.x)
    assert isinstance(neck, HasSymbolDraws)
    with torch.no_grad():
        encoded = model.encoded(x)
        if isinstance(neck, HasRate):
            rate = neck.rates(encoded).sum(1).mean().item()
        else:
            p = neck.spread(encoded).sigmoid().double()  # type: ignore[operator]
            rate = (math.log(2) - torch.special.entr(p) - torch.special.entr(1 - p)).sum(1).mean().item()
        bounds = []
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            bounds.append(loss.log_density(model.decode(neck.sampled(encoded)), x).mean().item() - rate)
    estimates = [log_likelihood(model, x, loss, draws=200, seed=seed) for seed in range(5)]
    means = [estimate.mean().item() for estimate in estimates if estimate is not None]
    error = math.hypot(statistics.stdev(bounds) / SEEDS**0.5, statistics.stdev(means) / len(means) ** 0.5)
    assert statistics.mean(means) - 15 < statistics.mean(bounds) < statistics.mean(means) + 3 * error


def test_no_likelihood_is_claimed_where_there_is_no_bound() -> None:
    """The rates of a joint code are held to capacities, and no density is known of its draws."""
    config, _ = compose_config([*SMALL, "bottleneck=joint", "model.code_size=12"])
    parts = compose(config)
    x = parts.data.scaled(parts.data.test.x)
    assert log_likelihood(parts.model.eval(), x, parts.learner.loss, draws=2, seed=0) is None


def test_what_the_mean_reconstructs_has_names_of_its_own() -> None:
    parts, measured = trained("loss=bce")
    assert 64 * measured["test/bce"] < measured["test/reconstruction"] - 0.1  # nats per sample; draws cost some
    x = parts.data.scaled(parts.data.test.x)
    with torch.no_grad():
        error = (parts.model.eval()(x).reconstruction - x).square().mean()
    assert measured["test/mse"] == pytest.approx(error.item(), rel=1e-5)


def test_a_posterior_equal_to_the_prior_has_no_discrepancy_outside_training() -> None:
    config, _ = compose_config([*SMALL, "regularizer=mmd", "loss=bce"])
    torch.manual_seed(0)
    parts = compose(config)
    learner = parts.learner.eval()
    torch.nn.init.zeros_(parts.model.encoder[-1].weight)  # type: ignore[index, arg-type]
    torch.nn.init.zeros_(parts.model.encoder[-1].bias)  # type: ignore[index, arg-type]
    x = parts.data.scaled(parts.data.train.x)
    with torch.no_grad():
        output = parts.model(x)
        drawn = learner.terms_of(parts.model.as_trained(output), x, None)["mmd"].value.item()
        mean = learner.terms_of(output, x, None)["mmd"].value.item()
    assert drawn < 0.02
    assert mean > 0.5


def test_two_measurements_draw_the_same() -> None:
    parts, first = trained("loss=bce", "training.epochs=1")
    config, _ = compose_config([*SMALL])
    trainer = build(config.trainer, logger=False)
    trainer.test(parts.learner, verbose=False)
    assert all(value.item() == first[name] for name, value in trainer.callback_metrics.items())
