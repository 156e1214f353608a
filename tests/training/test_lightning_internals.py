"""What Hourglass knows of Lightning is so in the Lightning that is installed: each item is seen at work."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn

from hourglass.training.lightning_internals import (
    batches_done,
    checkpoint_with,
    count_steps,
    device_of,
    evaluated,
    is_fitting,
    placed,
    record,
    step_precision,
)


class ByHand(pl.LightningModule):
    """Two steps for each batch, by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Tensor) -> None:
        assert self.layer(batch).dtype == torch.bfloat16
        count_steps(self.trainer, 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Seen(pl.Callback):
    """What Lightning says at the end of an epoch."""

    steps = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.steps = trainer.global_step
        assert pl_module.logger is trainer.logger
        trainer.save_checkpoint("by hand")


class Kept(TorchCheckpointIO):
    """Keeps a checkpoint in memory."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        self.held[str(path)] = checkpoint

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return self.held[str(path)]


def trainer(**keys: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **keys,
    )


def test_steps_logger_and_checkpoints_are_those_that_we_give(tmp_path: Path) -> None:
    data = torch.utils.data.DataLoader(torch.ones(3, 1), batch_size=1)
    seen, kept = Seen(), Kept()
    first = trainer(max_epochs=1, callbacks=[seen])
    record(first, logger=CSVLogger(tmp_path))
    checkpoint_with(first, kept)
    first.fit(ByHand(), data)
    assert seen.steps == 6
    assert kept.held["by hand"]["global_step"] == 6

    seen = Seen()
    again = trainer(max_epochs=2, callbacks=[seen])
    record(again, logger=CSVLogger(tmp_path))
    checkpoint_with(again, kept)
    again.fit(ByHand(), data, ckpt_path="by hand")
    assert seen.steps == 12


class Loaders(pl.Callback):
    """Which loader is measured, in a fit or not, and how many batches of an epoch a resumed fit had made."""

    def __init__(self) -> None:
        self.measured: list[tuple[Any, bool]] = []
        self.done: list[int] = []

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.done.append(batches_done(trainer))

    def on_validation_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.measured.append((evaluated(trainer), is_fitting(trainer)))


class Measured(ByHand):
    def validation_step(self, *_: Any) -> None:
        """Nothing to measure."""


def test_the_loader_that_is_measured_and_where_a_fit_was_cut_off(tmp_path: Path) -> None:
    held: Any = torch.ones(3, 1)
    loaders: list[Any] = [torch.utils.data.DataLoader(held, batch_size=1) for _ in range(3)]
    train, one, other = loaders
    seen, kept = Loaders(), pl.callbacks.ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=4)
    first = pl.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        logger=False,
        enable_progress_bar=False,
        max_epochs=1,
        callbacks=[seen, kept],
    )
    first.fit(Measured(), train, one)  # two steps a batch
    first.validate(Measured(), other, verbose=False)
    assert seen.measured == [(one, False), (one, True), (other, False)]
    trainer(max_epochs=1, callbacks=[seen]).fit(Measured(), train, one, ckpt_path=kept.best_model_path)
    assert seen.done == [0, 2]


def test_steps_outside_of_a_fit_have_the_precision_and_the_place_of_those_in_it() -> None:
    made = trainer()
    assert device_of(made) == torch.device("cpu")
    module = placed(made, ByHand())
    assert module.layer.weight.device == device_of(made)
    with step_precision(made):
        assert module.layer(torch.ones(1, 1)).dtype == torch.bfloat16
    double = pl.Trainer(accelerator="cpu", precision="64-true", logger=False, enable_checkpointing=False)
    assert placed(double, ByHand()).layer.weight.dtype == torch.float64
