"""Adversarial training: its terms by hand, its prior, what it brings the code to, what it refuses and resumes."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.losses import total
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, initialise_store

SMALL = (
    "data=digits",
    "data.train_size=250",
    "model=multilayer",
    "model.widths=[32]",
    "model.code_size=2",
    "model.bottleneck.activation=linear",
    "training=adversarial",
    "training.discriminator_widths=[16]",
    "training.batch_size=32",
    "trainer.accelerator=cpu",
)
"""250 samples in batches of 32: 8 steps an epoch."""


def make(*overrides: str) -> Parts:
    config, _ = compose_config([*SMALL, *overrides])
    torch.manual_seed(0)
    return compose(config)


def fit(*overrides: str) -> Parts:
    parts, (config, _) = make(*overrides), compose_config([*SMALL, *overrides])
    build(config.trainer, logger=False).fit(parts.learner)
    return parts


# -- the formulas ----------------------------------------------------------------------------------------------------


def judging_by_the_first_unit(parts: Parts) -> Any:
    """Makes the discriminator's logit the code's first unit."""
    linear = nn.Linear(2, 1, bias=False)
    linear.weight.data = torch.tensor([[1.0, 0.0]])
    parts.learner.discriminator = nn.Sequential(linear)
    return parts.learner


def test_the_encoder_is_charged_for_codes_that_are_found_out() -> None:
    learner = judging_by_the_first_unit(make("training.weight=2.0"))
    x = torch.rand(6, 1, 8, 8)
    output, terms = learner.terms(x, x)
    assert list(terms) == ["reconstruction", "adversarial"]
    d = 1 / (1 + (-output.code[:, 0]).exp())  # D(h)
    assert terms["adversarial"].weighted.item() == pytest.approx(2 * -d.log().mean().item(), rel=1e-5)


def test_the_discriminator_is_charged_for_both_kinds_of_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = judging_by_the_first_unit(make())
    draws = torch.tensor([[math.log(3), 0.0], [-1.0, 0.0]])
    monkeypatch.setattr(learner, "trained_prior", lambda count: draws[:count])
    output, _ = learner.terms(torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
    scores = learner.scores(output._replace(code=torch.tensor([[0.0, 5.0], [-math.log(3), 5.0]])), torch.empty(0), None)
    # D = 3/4 and 1/(1 + e) of the draws, 1/2 and 1/4 of the codes: one draw and, at 1/2 no draw, both codes told.
    expected = (-math.log(3 / 4) + math.log(1 + math.e)) / 4 + (-math.log(1 / 2) - math.log(3 / 4)) / 4
    assert scores["discriminator"].item() == pytest.approx(expected, rel=1e-6)
    assert scores["discriminator_accuracy"].item() == pytest.approx(3 / 4)


ADVERSARIAL = ("adversarial", "adversarial_weighted")


def test_a_step_moves_the_autoencoder_by_its_loss_and_the_discriminator_by_its_own() -> None:
    sgd = ("optimizer=sgd", "optimizer.lr=0.1", "optimizer.momentum=0.0", "training.discriminator_lr=0.5")
    parts = make(*sgd, "training.weight=3.0")
    learner = parts.learner
    x = parts.data.scaled(parts.data.train.x[:32])
    output, terms = learner.terms(x, x)
    model, judge = list(parts.model.parameters()), list(learner.discriminator.parameters())
    loss = total(terms)
    expected = [w - 0.1 * g for w, g in zip(model, torch.autograd.grad(loss, model), strict=True)]
    state = torch.get_rng_state()
    scores = learner.scores(output._replace(code=output.code.detach()), x, None)
    gradients = torch.autograd.grad(scores["discriminator"], judge)
    expected += [w - 0.5 * g for w, g in zip(judge, gradients, strict=True)]
    torch.set_rng_state(state)

    logged = learner.step(x, x, None)
    assert list(logged) == ["loss", "reconstruction", *ADVERSARIAL, "discriminator", "discriminator_accuracy"]
    assert logged["loss"].item() == pytest.approx(loss.item())
    assert not any(value.requires_grad for value in logged.values())
    for weight, value in zip([*model, *judge], expected, strict=True):
        torch.testing.assert_close(weight, value)


def test_weight_zero_leaves_the_autoencoder_alone() -> None:
    def trained(*overrides: str) -> dict[str, Tensor]:
        parts = make("training.weight=0.0", *overrides)
        x = parts.data.scaled(parts.data.train.x[:32])
        for _ in range(3):
            parts.learner.step(x, x, None)
        return parts.model.state_dict()

    for key, value in trained().items():
        assert torch.equal(value, trained("training.discriminator_lr=0.1")[key])


# -- the prior -------------------------------------------------------------------------------------------------------


def test_gaussian_draws() -> None:
    draws = make("model.code_size=3").learner.prior(20_000)
    assert draws.shape == (20_000, 3)
    torch.testing.assert_close(draws.mean(dim=0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(torch.cov(draws.T), torch.eye(3), atol=0.04, rtol=0)


def test_mixture_draws() -> None:
    parts = make(
        "model.code_size=3",
        "training.prior=mixture",
        "training.components=4",
        "training.radius=5.0",
        "training.sigma=0.5",
    )
    draws = parts.learner.prior(20_000)
    centres = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-5.0, 0.0], [0.0, -5.0]])
    nearest = torch.cdist(draws[:, :2], centres).argmin(dim=1)
    for component, centre in enumerate(centres):
        own = draws[nearest == component]
        assert len(own) / len(draws) == pytest.approx(1 / 4, abs=0.02)
        torch.testing.assert_close(own[:, :2].mean(dim=0), centre, atol=0.03, rtol=0)
        torch.testing.assert_close(own.std(dim=0), torch.tensor([0.5, 0.5, 1.0]), atol=0.04, rtol=0)


def test_draws_of_units_that_pad_a_stack_are_zero_as_their_codes_are() -> None:
    parts = make("model.code_size=3")
    parts.model.bottleneck.active[2] = 0
    draws = parts.learner.prior(5)
    assert not draws[:, 2].any()
    assert draws[:, :2].all()


# -- what it learns --------------------------------------------------------------------------------------------------


def test_the_codes_come_to_follow_the_prior() -> None:
    def distance(weight: float) -> float:  # of mean and covariance from those of N(0, 1)
        parts = make("optimizer.lr=0.005", "training.discriminator_lr=0.005", f"training.weight={weight}")
        x = parts.data.scaled(parts.data.train.x)
        for _ in range(300):
            parts.learner.step(x, x, None)
        h = parts.model.encode(x).detach()
        return (h.mean(dim=0).norm() + (torch.cov(h.T) - torch.eye(2)).norm()).item()

    assert distance(0.03) < 0.1 * distance(0.0)


# -- several optimizers ----------------------------------------------------------------------------------------------


def test_a_schedule_serves_both_optimizers() -> None:
    parts, used = make("training.epochs=3", "schedule=cosine", "training.discriminator_lr=0.01"), []
    for optimizer in parts.learner.optimizers_used():
        optimizer.register_step_pre_hook(lambda opt, *_: used.append(opt.param_groups[0]["lr"]))
    config, _ = compose_config([*SMALL, "training.epochs=3"])
    build(config.trainer, logger=False).fit(parts.learner)
    # (1 + cos(pi s / 24)) / 2 at s = 0, 8 and 12
    assert [used[2 * step] for step in (0, 8, 12)] == pytest.approx([1e-3, 0.75e-3, 0.5e-3])
    assert [used[2 * step + 1] for step in (0, 8, 12)] == pytest.approx([0.01, 0.0075, 0.005])


def run_training(uri: str, folder: Path, *overrides: str, resume: str | None = None) -> tuple[Run, Parts]:
    quiet = ("callback=quick", "training.log_every_n_steps=4")
    whole, choices = compose_config([*SMALL, *quiet, f"tracking.uri={uri}", *overrides])
    if resume is not None:
        from hourglass.commands.train import resumed

        whole.resume = resume
        whole = resumed(whole, [f"resume={resume}", *overrides])
    result = train(whole, choices=choices, folder=folder)
    return result.run, result.parts


def test_resumed_training_is_the_undisturbed_one(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    initialise_store(uri)
    given = ("noise=masking", "training.prior=mixture", "training.discriminator_lr=0.01")
    straight, whole = run_training(uri, tmp_path, *given, "training.epochs=4")
    first, _ = run_training(uri, tmp_path, *given, "training.epochs=2")
    torch.rand(100)  # whatever happened in between
    second, parts = run_training(uri, tmp_path, "training.epochs=4", resume=first.id)

    assert second.status == "FINISHED"
    for network, other in (
        (parts.model, whole.model),
        (parts.learner.discriminator, whole.learner.discriminator),
    ):
        for key, value in network.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key
    for one, two in zip(parts.learner.optimizers_used(), whole.learner.optimizers_used(), strict=True):
        moments = [state["exp_avg_sq"] for state in one.state_dict()["state"].values()]
        others = [state["exp_avg_sq"] for state in two.state_dict()["state"].values()]
        assert moments
        assert all(torch.equal(m, o) for m, o in zip(moments, others, strict=True))
    for key in ("train/loss", "train/discriminator", "train/discriminator_accuracy", "val/adversarial", "val/loss"):
        assert second.history(key) == straight.history(key), key
        assert second.history(key)
    assert second.artifact("discriminator.safetensors").exists()


def test_the_loss_is_the_autoencoders() -> None:
    learner = fit("training.epochs=1").learner
    values = learner.trainer.callback_metrics
    assert values["val/loss"].item() == pytest.approx(
        values["val/reconstruction"].item() + values["val/adversarial_weighted"].item(), rel=1e-5
    )
    assert 0 <= values["val/discriminator_accuracy"].item() <= 1


# -- refused ---------------------------------------------------------------------------------------------------------

BOUNDED = r"training: the prior's draws may have any value, but the model's code lies in \[%s\]; set bottleneck=linear"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.bottleneck.activation=relu"], BOUNDED % "0, inf"),
        (["model.bottleneck.activation=sigmoid"], BOUNDED % "0, 1"),
        (["training.prior=uniform"], r"training\.prior must be .*gaussian.*mixture.*got 'uniform'"),
        (["training.components=0"], r"training\.components must be at least 1, got 0"),
        (["training.radius=-1.0"], r"training\.radius must be at least 0 and finite, got -1\.0"),
        (["training.sigma=0.0"], r"training\.sigma must be above 0 and finite, got 0\.0"),
        (["training.weight=-1.0"], r"training\.weight must be at least 0 and finite, got -1\.0"),
        (["training.discriminator_widths=[8,0]"], r"training\.discriminator_widths must be at least 1, got \[8, 0\]"),
        (["training.discriminator_lr=-0.1"], r"training\.discriminator_lr must be at least 0 and finite, got -0\.1"),
        (["training.prior=mixture", "model.code_size=1"], r"training\.prior mixture lies in a plane: model\.code_size"),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=f"^{message}"):
        make(*overrides)


@pytest.mark.parametrize("bottleneck", ["binary", "categorical", "vector_quantized"])
def test_codes_of_symbols_are_refused(bottleneck: str) -> None:
    linear = [word for word in SMALL if not word.startswith("model.bottleneck")]
    config, _ = compose_config([*linear, f"bottleneck={bottleneck}", "model.code_size=16"])
    with pytest.raises(HourglassError, match=r"^training: the prior.*; set (model\.)?bottleneck"):
        compose(config)
