"""Backpropagation: the chunked loop is the plain one, and what it counts, keeps, logs, refuses and resumes."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor, nn

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.train import train
from hourglass.system.errors import Diverged
from hourglass.tracking import Run, initialise_store
from hourglass.training import Backprop

SMALL = ("data=digits", "data.train_size=250", "model.code_size=4", "training.batch_size=32", "trainer.accelerator=cpu")
"""250 samples in batches of 32: 8 steps an epoch, the last of 26 samples."""


@cache
def config(*overrides: str) -> Any:
    return compose_config([*SMALL, *overrides])[0]


def make(*overrides: str) -> Parts:
    torch.manual_seed(0)
    return compose(config(*overrides))


class Points(Logger):
    """Keeps what is logged."""

    name, version = "points", "0"
    exact = True  # as a run's

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing to keep."""

    def of(self, key: str) -> list[tuple[int, float]]:
        return [(step, metrics[key]) for step, metrics in self.rows if key in metrics]


def fit(*overrides: str, callbacks: Sequence[pl.Callback] = ()) -> tuple[Backprop, Points]:
    learner, points = make(*overrides).learner, Points()
    trainer = build(config(*overrides).trainer, logger=points, callbacks=list(callbacks))
    trainer.fit(learner)
    return learner, points


def weights(learner: Backprop) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in learner.model.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{name}: off by {(value - other[name]).abs().max().item():g}"


@pytest.fixture
def chunk(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """Makes a chunk hold this many batches of digits."""
    batches: int = request.param
    monkeypatch.setattr("hourglass.training.batches.CHUNK_BYTES", batches * 32 * 64)
    return batches


# -- the mathematics -------------------------------------------------------------------------------------------------


def plain(*overrides: str, steps: int | None = None) -> tuple[nn.Module, list[float]]:
    """The same training as a loop that knows nothing of this package but model, data, loss, noise and penalties."""
    whole = config(*overrides)
    data, model, learner = make(*overrides)
    settings = {key: value for key, value in whole.optimizer.items() if not key.startswith("_")}
    adam = torch.optim.Adam(model.parameters(), **settings)
    losses: list[float] = []
    for epoch in range(whole.training.epochs):
        generator = torch.Generator().manual_seed(data.order_seed * 1_000_003 + epoch)
        for rows in torch.randperm(len(data.train.x), generator=generator).split(whole.training.batch_size):
            if steps is not None and len(losses) == steps:
                return model, losses
            x = data.train.x[rows].float() / 255
            output = model(learner.noise(x))
            total = learner.loss(output.reconstruction, x)
            for penalty in learner.penalties(model, x, output).values():
                total = total + penalty.weighted
            adam.zero_grad()
            total.backward()
            if whole.training.gradient_clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), whole.training.gradient_clip)
            adam.step()
            losses.append(total.item())
    return model, losses


LAST = ("training.epochs=3", "training.keep=last", "training.log_every_n_steps=1")


@pytest.mark.parametrize("chunk", [1, 3, 100], indirect=True)  # 3 divides neither 8 steps nor, with its rest, 250
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model=multilayer", "regularizer=[l1]"),
        ("noise=masking",),
        ("training.gradient_clip=0.01",),
    ],
    ids=str,
)
def test_chunks_are_a_plain_loop_bit_for_bit(chunk: int, overrides: tuple[str, ...]) -> None:  # noqa: ARG001
    learner, points = fit(*LAST, *overrides)
    model, losses = plain(*LAST, *overrides)
    assert learner.steps_done == len(losses) == 24
    assert [value for _, value in points.of("train/loss")] == losses
    assert_same(weights(learner), model.state_dict())


@pytest.mark.parametrize("chunk", [3, 5], indirect=True)
@pytest.mark.parametrize("steps", [1, 7, 13])
def test_max_steps_ends_within_a_chunk(chunk: int, steps: int) -> None:  # noqa: ARG001
    overrides = (*LAST, f"training.max_steps={steps}")
    learner, points = fit(*overrides)
    model, losses = plain(*overrides, steps=steps)
    assert learner.steps_done == steps
    assert [step for step, _ in points.of("train/loss")] == list(range(1, steps + 1))
    assert [value for _, value in points.of("train/loss")] == losses
    assert_same(weights(learner), model.state_dict())


@pytest.mark.parametrize("model", ["multilayer", "conv"])
def test_bfloat16_in_chunks_is_bfloat16_batch_by_batch(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = (f"model={model}", *LAST, "trainer.precision=bf16-mixed", "trainer.deterministic=false")
    trained, losses = [], []
    for batches in (1, 100):
        monkeypatch.setattr("hourglass.training.batches.CHUNK_BYTES", batches * 32 * 64)
        learner, points = fit(*overrides)
        trained.append(weights(learner))
        losses.append(points.of("train/loss"))
    assert losses[0] == losses[1]
    assert_same(*trained)
    exact = [value for _, value in fit(*overrides, "trainer.precision=32-true")[1].of("train/loss")]
    assert exact != [value for _, value in losses[0]]  # it was bfloat16 indeed
    assert [value for _, value in losses[0]] == pytest.approx(exact, rel=0.02)


def test_no_step_sees_the_cast_weights_of_an_earlier_one() -> None:
    # Autocast keeps the bfloat16 casts of weights until its region ends. Lightning's own regions keep none; in one
    # that does, here around the whole training, every step but the first would see the weights of the first.
    overrides = (*LAST, "trainer.deterministic=false")
    expected, points = fit(*overrides, "trainer.precision=bf16-mixed")
    with torch.autocast("cpu", torch.bfloat16):
        learner, cached = fit(*overrides, "trainer.precision=32-true")
    assert cached.of("train/loss") == points.of("train/loss")
    assert_same(weights(learner), weights(expected))


class Fed(pl.Callback):
    """What the model saw in training, a set of samples for each epoch."""

    def __init__(self) -> None:
        self.epochs: list[set[bytes]] = []

    def on_train_start(self, _trainer: pl.Trainer, pl_module: Any) -> None:
        def keep(module: nn.Module, given: tuple[Tensor]) -> None:
            if module.training:
                self.epochs[-1].update(row.numpy().tobytes() for row in given[0])

        pl_module.model.register_forward_pre_hook(keep)

    def on_train_epoch_start(self, *_: Any) -> None:
        self.epochs.append(set())


def fed(*overrides: str) -> list[set[bytes]]:
    seen = Fed()
    fit("noise=masking", "training.epochs=3", *overrides, callbacks=[seen])
    return seen.epochs


def test_frozen_noise_is_drawn_once_and_fresh_noise_anew() -> None:
    frozen = fed("noise.frozen=true")
    assert frozen[0] == frozen[1] == frozen[2]
    assert len(frozen[0]) == 250
    assert fed("noise.frozen=true", "noise.seed=1")[0].isdisjoint(frozen[0])
    fresh = fed()
    assert fresh[0].isdisjoint(fresh[1] | fresh[2])


def test_the_target_is_the_clean_input() -> None:
    learner = make("noise=masking", "noise.masking.share=1.0", "loss=mse").learner
    x = torch.rand(5, 1, 8, 8)
    output, terms = learner.terms(x, learner.noise(x))
    assert torch.equal(output.code, learner.model.encode(torch.zeros_like(x)))
    assert terms["reconstruction"].value.item() == pytest.approx((output.reconstruction - x).square().mean().item())


def test_noise_on_validation_is_the_same_in_every_epoch() -> None:
    _, points = fit("noise=masking", "optimizer.lr=0.0", "training.epochs=3")
    values = [value for _, value in points.of("val/loss")]
    assert len(values) == 3
    assert len(set(values)) == 1
    assert len({value for _, value in points.of("val/psnr_input")}) == 1


# -- rates and gradients ---------------------------------------------------------------------------------------------


def rates(*overrides: str) -> list[float]:
    """The learning rate of every step, over an initial rate of 0.001."""
    learner, used = make(*LAST, *overrides).learner, []
    learner.optimizer.register_step_pre_hook(lambda opt, *_: used.append(opt.param_groups[0]["lr"] / 1e-3))
    build(config(*LAST, *overrides).trainer, logger=False).fit(learner)
    return used


def test_a_constant_rate() -> None:
    assert rates() == [1.0] * 24


def test_warm_up_rises_linearly() -> None:
    assert rates("training.warmup_steps=4") == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 21)


def test_cosine_falls_to_zero_over_the_whole_training() -> None:
    used = rates("schedule=cosine")
    # (1 + cos(pi s / 24)) / 2 at s = 0, 8 = a third, 12 = half, 16, and 23, one before the end
    assert [used[step] for step in (0, 8, 12, 16, 23)] == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.004278], abs=1e-6)
    assert len(used) == 24


def test_cosine_counts_the_steps_that_are_made() -> None:
    used = rates("schedule=cosine", "training.max_steps=12")
    assert [used[step] for step in (0, 4, 6, 8)] == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_warm_up_and_cosine_multiply() -> None:
    used = rates("schedule=cosine", "training.warmup_steps=16")
    # s = 8: 9/16 of .75;  s = 12: 13/16 of .5;  s = 16: all of .25
    assert [used[step] for step in (8, 12, 16)] == pytest.approx([0.421875, 0.40625, 0.25])


@pytest.mark.parametrize(("clip", "limited"), [("0.01", True), ("1000", False), ("null", False)])
def test_gradient_clipping_limits_the_norm(clip: str, limited: bool) -> None:
    sgd = ("optimizer=sgd", "optimizer.lr=1.0", "optimizer.momentum=0.0", "training.max_steps=1", "training.keep=last")
    before = torch.cat([w.flatten() for w in weights(make(*sgd).learner).values()])

    def moved(*overrides: str) -> Tensor:
        learner, _ = fit(*sgd, *overrides)
        return torch.cat([w.flatten() for w in weights(learner).values()]) - before

    free, step = moved(), moved(f"training.gradient_clip={clip}")
    assert free.norm() > 0.02
    if not limited:
        assert torch.equal(step, free)
        return
    # One step of plain gradient descent at rate 1 moves the weights by the gradient: same direction, norm .01.
    assert step.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.cosine_similarity(step, free, dim=0).item() == pytest.approx(1.0, abs=1e-5)


# -- counting and logging --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 3, 100], indirect=True)
def test_points_are_means_over_the_steps_since_the_last_one(chunk: int) -> None:  # noqa: ARG001
    overrides = ("training.epochs=3", "regularizer=[l1,weight_l2]")
    _, every = fit(*overrides, "training.log_every_n_steps=1")
    _, some = fit(*overrides, "training.log_every_n_steps=5")
    for key in ("train/loss", "train/reconstruction", "train/l1", "train/weight_l2"):
        single = [value for _, value in every.of(key)]
        assert len(single) == 24
        # the last point holds the four steps that are left
        expected = [sum(part) / len(part) for part in (single[at : at + 5] for at in range(0, 24, 5))]
        assert [step for step, _ in some.of(key)] == [5, 10, 15, 20, 24]
        assert [value for _, value in some.of(key)] == pytest.approx(expected, rel=1e-12)


ADDED = ("reconstruction", "l1_weighted", "weight_l2_weighted")


def test_the_loss_is_the_sum_of_its_terms() -> None:
    weighted = ("regularizer.l1.weight=0.1", "regularizer.weight_l2.weight=0.2")
    _, points = fit("regularizer=[l1,weight_l2]", *weighted, "training.epochs=1", "training.log_every_n_steps=1")
    for stage in ("train", "val"):
        # The terms themselves don't depend on their weights.
        for name, weight in (("l1", 0.1), ("weight_l2", 0.2)):
            term, weighted = (points.of(f"{stage}/{key}")[0][1] for key in (name, f"{name}_weighted"))
            assert weighted == pytest.approx(weight * term, rel=1e-5)
        parts = [[v for _, v in points.of(f"{stage}/{key}")] for key in ADDED]
        whole = [value for _, value in points.of(f"{stage}/loss")]
        assert whole
        assert whole == pytest.approx([sum(values) for values in zip(*parts, strict=True)], rel=1e-6)


@pytest.mark.parametrize("chunk", [3], indirect=True)
def test_lightning_counts_the_same_steps(chunk: int) -> None:  # noqa: ARG001
    learner, points = fit("training.epochs=2")
    assert learner.trainer.global_step == learner.steps_done == learner.steps == 16
    assert [step for step, _ in points.of("val/loss")] == [8, 16]


# -- which weights are kept ------------------------------------------------------------------------------------------


class Every(pl.Callback):
    """The weights after each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, Tensor]] = []

    def on_validation_end(self, _trainer: pl.Trainer, pl_module: Any) -> None:
        self.epochs.append(weights(pl_module))


@pytest.mark.parametrize("keep", ["best", "last"])
def test_keep(keep: str) -> None:
    every = Every()
    # A rate at which the validation loss goes up and down
    learner, points = fit(
        f"training.keep={keep}", "bottleneck=relu", "optimizer.lr=0.3", "training.epochs=6", callbacks=[every]
    )
    values = [value for _, value in points.of("val/reconstruction")]
    best = values.index(min(values))
    assert best < 5, f"the last epoch is the best, nothing is tested: {values}"
    assert_same(weights(learner), every.epochs[best if keep == "best" else -1])


def test_the_best_epoch_is_chosen_by_the_loss_that_is_trained() -> None:
    # A penalty that goes on falling while the reconstruction gets worse again.
    every = Every()
    given = ("regularizer=weight_l2", "regularizer.weight_l2.weight=0.01", "optimizer.lr=0.03", "training.epochs=4")
    learner, points = fit(*given, callbacks=[every])
    values, totals = ([value for _, value in points.of(f"val/{key}")] for key in ("reconstruction", "loss"))
    assert values.index(min(values)) != totals.index(min(totals))
    assert_same(weights(learner), every.epochs[totals.index(min(totals))])


WARM = (
    *("bottleneck=gaussian", "loss=bce", "loss.reduction=sum", "model.bottleneck.beta=4"),
    *("model.bottleneck.warmup_steps=20", "training.epochs=5"),
)


def test_epochs_before_the_end_of_a_warm_up_are_no_candidates() -> None:
    """8 steps an epoch: beta has risen in the third. Before it the loss is lower, because it lacks the divergence."""
    every = Every()
    learner, points = fit(*WARM, "optimizer.lr=1e-4", callbacks=[every])
    values = [value for _, value in points.of("val/loss")]
    assert min(values[:2]) < min(values[2:])
    assert_same(weights(learner), every.epochs[2 + values[2:].index(min(values[2:]))])


def test_a_warm_up_that_outlasts_the_training_is_told(caplog: pytest.LogCaptureFixture) -> None:
    every = Every()
    learner, _ = fit(*WARM, "training.epochs=2", callbacks=[every])
    assert_same(weights(learner), every.epochs[-1])
    assert learner.best_epoch is None
    assert "training.keep=best had no epoch to choose from" in caplog.text


def test_what_the_verdict_on_the_best_epoch_goes_by_are_the_epochs_that_count() -> None:
    learner, points = fit(*WARM, "optimizer.lr=1e-4")
    assert learner.validated == [value for _, value in points.of("val/loss")][2:]


def test_patience_waits_for_the_end_of_a_warm_up() -> None:
    _, points = fit(*WARM, "optimizer.lr=0.0", "training.epochs=10", "training.patience=1")
    assert len(points.of("val/loss")) == 4  # two that don't count, the first that does, one that is no better


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_patience(patience: int) -> None:
    # Rate 0: the first epoch is the best, the others are no better.
    learner, points = fit("optimizer.lr=0.0", "training.epochs=10", f"training.patience={patience}")
    assert len(points.of("val/loss")) == 1 + patience
    assert learner.steps_done == 8 * (1 + patience)


def test_no_patience_needed_while_it_gets_better() -> None:
    learner, _ = fit("training.epochs=5", "training.patience=1")
    assert learner.steps_done == 40


# -- through the composition root ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    address = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    initialise_store(address)
    return address


QUIET = ("callback=quick", "training.log_every_n_steps=4")


def run_training(uri: str, folder: Path, *overrides: str, resume: str | None = None) -> tuple[Run, Parts]:
    given = [*SMALL, *QUIET, f"tracking.uri={uri}", *overrides]
    whole, choices = compose_config(given)
    if resume is not None:
        from hourglass.commands.train import resumed

        whole.resume = resume
        whole = resumed(whole, [f"resume={resume}", *overrides])
    result = train(whole, choices=choices, folder=folder)
    return result.run, result.parts


def test_a_loss_that_is_no_number_ends_the_run_as_failed(uri: str, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"^train/loss became (nan|inf) at step \d+: training diverged; lower"):
        run_training(
            uri,
            tmp_path,
            "optimizer=sgd",
            "optimizer.lr=1e30",
            "model.output_activation=linear",
            "loss=mse",
            "name=diverges",
        )
    run = Run.find("diverges", uri)
    assert run.status == "FAILED"
    assert run.tags["failure"].startswith("hourglass.system.errors.Diverged: train/loss became")
    assert run.history("train/loss")  # how it came to that
    assert "Traceback (most recent call last)" in run.artifact("traceback.txt").read_text()
    assert all(math.isfinite(value) for _, value in run.history("train/loss"))


@pytest.mark.long
@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("noise", ["noise=masking", "noise=[gaussian,salt_and_pepper_count]"])
def test_resumed_training_is_the_undisturbed_one(uri: str, tmp_path: Path, noise: str, keep: str) -> None:
    given = (noise, f"training.keep={keep}", "optimizer.lr=0.01")
    straight, whole = run_training(uri, tmp_path, *given, "training.epochs=4")
    first, _ = run_training(uri, tmp_path, *given, "training.epochs=2")
    torch.rand(100)  # whatever happened in between
    second, parts = run_training(uri, tmp_path, "training.epochs=4", resume=first.id)

    assert second.id == first.id
    assert second.status == "FINISHED"
    assert_same(weights(parts.learner), weights(whole.learner))
    assert_same(second.load_weights(), straight.load_weights())
    for key in ("train/loss", "train/reconstruction", "val/loss", "val/mse", "val/psnr_gain"):
        assert second.history(key) == straight.history(key), key
    assert [step for step, _ in second.history("train/loss")] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert second.metrics["test/mse"] == straight.metrics["test/mse"]


def test_a_training_cut_off_within_an_epoch_goes_on(uri: str, tmp_path: Path) -> None:
    straight, whole = run_training(uri, tmp_path, "training.keep=last", "training.epochs=3")
    first, _ = run_training(uri, tmp_path, "training.keep=last", "training.epochs=3", "training.max_steps=8")
    second, parts = run_training(uri, tmp_path, "training.max_steps=null", resume=first.id)
    assert_same(weights(parts.learner), weights(whole.learner))
    assert second.history("val/loss") == straight.history("val/loss")


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1 or null, got 0"),
        ({"log_every_n_steps": 0}, "log_every_n_steps must be at least 1, got 0"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0, got -1"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0 and finite, or null, got 0.0"),
        ({"keep": "first"}, "keep must be one of best, last, got 'first'"),
        ({"patience": 0}, "patience must be at least 1 or null, got 0"),
        ({"code_threshold": -1.0}, "code_threshold must be at least 0 and finite, or null, got -1.0"),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    settings = {key: value for key, value in config().training.items() if key != "_target_"}
    data, model, learner = make()
    with pytest.raises(ValueError, match=f"^{message}$"):
        Backprop(
            model=model,
            noise=learner.noise,
            penalties=learner.penalties,
            loss=learner.loss,
            optimizer=learner.make_optimizer,
            data=data,
            sampler=learner.sampler,
            **{**settings, **changed},
        )
