"""Losses outside training are of codes as they are trained: a bound is a bound, a code like the prior is like it."""

import math

import pytest
import pytorch_lightning as pl
import torch

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
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


@pytest.mark.parametrize(
    "type_",
    [
        ("loss=bce",),
        ("loss=mse",),
        ("loss=bce", "model.bottleneck.beta=4"),
        ("loss=bce", "regularizer=total_correlation"),
        ("loss=bce", "regularizer=mmd"),
        ("loss=bce", "training=importance_weighted", "training.draws=5"),
    ],
    ids=" ".join,
)
def test_no_bound_is_above_the_likelihood(type_: tuple[str, ...]) -> None:
    parts, measured = trained(*type_)
    x = parts.data.scaled(parts.data.test.x)
    estimate = log_likelihood(parts.model.eval(), x, parts.learner.loss, draws=200, seed=0)
    assert estimate is not None
    constant = 32 * math.log(math.pi) if type_[0] == "loss=mse" else 0.0  # of 64 pixels, which the loss leaves out
    bound = -measured["test/reconstruction"] - measured["test/kl"] - measured.get("test/importance", 0.0) - constant
    assert bound < estimate.mean().item()


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
