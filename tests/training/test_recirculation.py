"""Recirculation: its changes by hand, that they need no gradient, what they solve, and what they don't suit."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError

ENCODER = (
    "data=one_hot",
    "data.size=4",
    "data.repeat=1",
    "data.validation=test",
    "model.code_size=2",
    "model.bottleneck.activation=sigmoid",
    "training=recirculation",
    "training.batch_size=4",
    "training.keep=last",
    "optimizer=sgd",
    "trainer.accelerator=cpu",
)


def make(overrides: Sequence[str]) -> tuple[Any, Parts]:
    config, _ = compose_config([*ENCODER, *overrides])
    torch.manual_seed(config.seed)
    return config, compose(config)


def test_one_step_by_hand() -> None:
    # Linear units, one of each: W = 2, b = .5, V = .5, c = .25, r = .5, x = 1
    # h1 = 2.5    g(h1) = 1.5    v2 = (1 + 1.5) / 2 = 1.25    f(v2) = 3    h3 = (2.5 + 3) / 2 = 2.75
    # dW = 1.25 (2.5 - 2.75) = -.3125    db = -.25    dV = 2.5 (1 - 1.25) = -.625    dc = -.25
    linear = ("model.output_activation=linear", "model.bottleneck.activation=linear", "model.code_size=1", "loss=mse")
    _, parts = make([*linear, "training.regression=0.5", "optimizer.lr=0.1", "optimizer.momentum=0.0", "data.size=2"])
    learner = parts.learner
    model: Any = build(compose_config([*ENCODER, *linear])[0].model, shape=(1,))
    learner.stage = model.stages()[0]
    weights = list(learner.stage.parameters)
    with torch.no_grad():
        for weight, value in zip(weights, (2.0, 0.5, 0.5, 0.25), strict=True):
            weight.fill_(value)
    x = torch.ones(3, 1)  # three times the same: the mean of the changes is the change of one
    learner.optimizer = learner.make_optimizer(params=weights)
    terms = learner.step(x, x, None)
    assert [weight.item() for weight in weights] == pytest.approx(
        [2 - 0.03125, 0.5 - 0.025, 0.5 - 0.0625, 0.25 - 0.025]
    )
    assert terms["reconstruction"].item() == pytest.approx(0.25)  # (1.5 - 1)^2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_encoder_problem_is_solved_without_any_gradient(seed: int) -> None:
    # 600 steps; over ten seeds all patterns are told apart after 34 to 148.
    config, parts = make(
        [f"seed={seed}", "optimizer.lr=4.0", "optimizer.momentum=0.8", "data.repeat=300", "training.epochs=2"]
    )
    for weight in parts.model.parameters():
        weight.requires_grad_(False)  # nothing could be differentiated
    build(config.trainer, logger=False).fit(parts.learner)
    assert parts.learner.steps_done == 600
    x = torch.eye(4)
    code, reconstruction = parts.model.encode(x), parts.model(x).reconstruction
    assert torch.equal((reconstruction > 0.5).float(), x)
    assert torch.pdist(code).min() > 0.5  # four codes in the unit square


def test_with_a_regression_near_one_it_follows_the_gradient() -> None:
    """With V = W^T, h1 - h3 goes along the gradient of half the squared error by the code (linear units)."""
    linear = (
        "model.output_activation=linear",
        "model.bottleneck.activation=linear",
        "loss=mse",
        "optimizer.momentum=0.0",
    )
    _, parts = make([*linear, "training.regression=0.999", "optimizer.lr=1.0"])
    (stage,) = parts.model.stages()
    with torch.no_grad():
        stage.parameters[2].copy_(stage.parameters[0].T)
    x = torch.eye(4)
    half = (parts.model(x).reconstruction - x).square().sum() / 2 / len(x)
    gradients = torch.autograd.grad(half, list(stage.parameters))
    before = [weight.detach().clone() for weight in stage.parameters]
    parts.learner.step(x, x, None)
    for weight, old, gradient in zip(stage.parameters, before, gradients, strict=True):
        # v0 - v2 and h1 - h3 both carry (1 - r); the second of them once more, for each round
        change = (old - weight).flatten().double()
        assert torch.cosine_similarity(change, gradient.flatten().double(), dim=0) > 0.95


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.regression=1.0"], r"training\.regression must be from 0 to below 1, got 1.0"),
        (["training.regression=-0.1"], r"training\.regression must be from 0 to below 1, got -0.1"),
        (["regularizer=l1"], r"computes no gradients, which penalties need: set regularizer=none"),
        (["bottleneck=binary"], r"needs a code that is an activation, unit by unit: set bottleneck=linear"),
        (["model=multilayer"], r"trains one layer on each side, got 2: set model=vanilla, or model\.depth=0"),
        (["model.tied=true"], r"two fully connected layers with weights of their own"),
        (["data=digits", "model=conv", "model.depth=1", "model.code_size=null"], r"two fully connected layers"),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    given = [word for word in ENCODER if not any(word.split("=")[0] == other.split("=")[0] for other in overrides)]
    if "data=digits" in overrides:
        given = [word for word in given if not word.startswith("data.")]
    if any(word.startswith(("model=", "bottleneck=")) for word in overrides):
        given = [word for word in given if "bottleneck" not in word]
    with pytest.raises(HourglassError, match=message):
        compose(compose_config([*given, *overrides])[0])
