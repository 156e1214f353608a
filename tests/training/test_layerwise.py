"""Layerwise: whose turn it is, what the others do meanwhile, what each stage learns from, and going on in between."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from hourglass.commands.train import resumed
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

SMALL = (
    "data=digits",
    "data.train_size=96",
    "model=multilayer",
    "model.widths=[12]",
    "model.code_size=5",
    "training=layerwise",
    "training.pretrain_epochs=2",
    "training.epochs=6",
    "training.batch_size=32",
    "training.log_every_n_steps=1",
    "trainer.accelerator=cpu",
)
"""64-12-5-12-64: two stages of two epochs, then two of fine-tuning, of three steps each."""


def make(*overrides: str) -> Parts:
    torch.manual_seed(0)
    return compose(compose_config([*SMALL, *overrides])[0])


class History(pl.Callback):
    """The weights before the training and after each epoch."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []

    def on_train_start(self, _trainer: pl.Trainer, pl_module: Any) -> None:
        self.keep(pl_module)

    def on_train_epoch_end(self, _trainer: pl.Trainer, pl_module: Any) -> None:
        self.keep(pl_module)

    def keep(self, learner: Any) -> None:
        self.weights.append({name: value.clone() for name, value in learner.model.state_dict().items()})

    def moved(self) -> list[set[str]]:
        """Names of the weights that each epoch changed."""
        pairs = zip(self.weights, self.weights[1:], strict=False)
        return [
            {name for name, value in after.items() if not torch.equal(value, before[name])} for before, after in pairs
        ]


def fit(*overrides: str) -> tuple[Any, History]:
    learner, history = make(*overrides).learner, History()
    trainer = build(compose_config([*SMALL, *overrides])[0].trainer, logger=False, callbacks=[history])
    trainer.fit(learner)
    return learner, history


def test_one_stage_after_another_then_all() -> None:
    learner, history = fit("noise=masking")
    names = {id(weight): name for name, weight in learner.model.named_parameters()}
    outer, inner = ({names[id(weight)] for weight in stage.parameters} for stage in learner.stages)
    assert len(outer) == len(inner) == 4
    assert outer.isdisjoint(inner)
    assert history.moved() == [outer, outer, inner, inner, outer | inner, outer | inner]
    assert learner.steps_done == 18


def test_the_first_stage_learns_as_a_loop_by_hand_does() -> None:
    learner, history = fit("optimizer=sgd", "training.epochs=5", "loss=mse")
    data, model, _ = make("optimizer=sgd", "training.epochs=5", "loss=mse")
    encoder, decoder = model.encoder[1], model.decoder[2]  # 64-12 and 12-64
    weights = [encoder.weight, encoder.bias, decoder.weight, decoder.bias]
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
    for epoch in range(2):
        generator = torch.Generator().manual_seed(epoch)
        for rows in torch.randperm(96, generator=generator).split(32):
            x = (data.train.x[rows].float() / 255).flatten(1)
            hidden = torch.relu(x @ encoder.weight.T + encoder.bias)
            error = F.mse_loss(torch.sigmoid(hidden @ decoder.weight.T + decoder.bias), x)
            sgd.zero_grad()
            error.backward()
            sgd.step()
    torch.testing.assert_close(history.weights[2], dict(model.state_dict()), rtol=1e-5, atol=1e-6)
    assert learner.steps_done == 15


def test_a_further_stage_learns_clean_activations_from_corrupted_ones() -> None:
    learner = make("noise=masking", "noise.masking.share=1.0").learner
    learner.trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    learner.trainer.fit_loop.epoch_progress.current.processed = 2  # the second stage's first epoch
    learner.trainer.fit_loop.epoch_progress.current.completed = 2
    assert learner.current_epoch == 2
    x = torch.rand(7, 1, 8, 8)
    outer, inner = learner.stages
    with torch.no_grad():
        target = outer.encode(x)  # of the clean input
        expected = F.mse_loss(inner.decode(inner.encode(torch.zeros_like(target))), target)  # all masked
    terms = learner.step(x, learner.noise(x), None)
    assert list(terms) == ["loss", "stage_2"]
    assert terms["stage_2"].item() == pytest.approx(expected.item())


def test_bounds_of_hidden_noise_are_those_of_the_activations() -> None:
    learner = make("noise=salt_and_pepper", "noise.salt_and_pepper.share=1.0").learner
    h = torch.tensor([[3.0, 5.0, 9.0]]).repeat(20, 1)
    assert set(learner._corrupt(h).unique().tolist()) == {3.0, 9.0}


def test_the_best_epoch_is_one_of_fine_tuning_and_patience_begins_there() -> None:
    # At rate 0 no epoch is better than the first that counts, the fifth; one epoch of patience ends it after the sixth.
    learner, _ = fit("optimizer.lr=0.0", "training.epochs=9", "training.patience=1")
    assert learner.keep_best.epoch == 4
    assert learner.steps_done == 3 * 6


def test_no_pretraining_is_backpropagation() -> None:
    _, layerwise = fit("training.pretrain_epochs=0", "noise=masking", "training.epochs=2")
    words = [word for word in SMALL if "pretrain" not in word and word != "training=layerwise"]
    config, _ = compose_config([*words, "noise=masking", "training.epochs=2"])
    torch.manual_seed(0)
    history = History()
    build(config.trainer, logger=False, callbacks=[history]).fit(compose(config).learner)
    for name, value in history.weights[-1].items():
        assert torch.equal(value, layerwise.weights[-1][name])


# -- through the composition root ------------------------------------------------------------------------------------


def run_training(uri: str, folder: Path, *overrides: str, resume: str | None = None) -> tuple[Run, Parts]:
    quiet = ("callback=quick", f"tracking.uri={uri}")
    whole, choices = compose_config([*SMALL, "noise=masking", *quiet, *overrides])
    if resume is not None:
        whole.resume = resume
        whole = resumed(whole, [f"resume={resume}", *overrides])
    result = train(whole, choices=choices, folder=folder)
    return result.run, result.parts


def test_resumed_in_the_middle_of_a_stage_or_after_all_it_is_the_undisturbed_training(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    straight, whole = run_training(uri, tmp_path)
    # The second stage has six steps, of which the first run makes three: it ends with the third epoch.
    first, _ = run_training(uri, tmp_path, "training.max_steps=9")
    torch.rand(100)
    second, parts = run_training(uri, tmp_path, "training.max_steps=null", resume=first.id)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
    for key in ("train/stage_1", "train/stage_2", "train/reconstruction", "train/loss", "val/reconstruction"):
        assert second.history(key) == straight.history(key), key
    # Curves of their own: steps 1-6, 7-12, 13-18.
    for key, steps in (("stage_1", range(1, 7)), ("stage_2", range(7, 13)), ("reconstruction", range(13, 19))):
        assert [step for step, _ in straight.history(f"train/{key}")] == list(steps)


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.pretrain_epochs=-1"], r"training\.pretrain_epochs must be at least 0, got -1"),
        (["training.epochs=4"], r"training\.epochs must exceed pretrain_epochs x stages, 2 x 2 = 4, got 4"),
        (["noise=masking", "noise.frozen=true"], r"set noise\.frozen=false"),
        (["noise=block"], r"noise=block doesn't suit the activations of stage 1: .*needs images"),
        (["model.decoder_widths=[7]"], r"decoder_widths must be null or the mirror image \[12\]"),
    ],
)
def test_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(HourglassError, match=message):
        make(*overrides)
