"""Trainings that can be gone on with."""

import io
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from typing_extensions import override

from hourglass.callbacks.recording import RunCallback
from hourglass.tracking import Run

CHECKPOINT = "checkpoints/last.ckpt"
"""Where a run keeps the state of its training, below its artifacts."""


class Checkpoints(RunCallback):
    """Keeps the state of the training in the run, so that `hourglass train resume=RUN_ID` goes on with it.

    The last callback: what an epoch leaves, points above all, is in the store before the state that goes on after it.

    Args:
        every: epochs between two checkpoints, at least 1; the end of the training always makes one.

    Raises:
        ValueError: fewer.
    """

    order = 2

    def __init__(self, *, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.every = every

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save at the end of the epoch."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if last or (trainer.current_epoch + 1) % self.every == 0:
            self.run(trainer).flush()
            trainer.save_checkpoint(CHECKPOINT)


class CheckpointsOfRun(TorchCheckpointIO):
    """Lightning's way to checkpoints: the run's own lies among its files, others where a person's callbacks put them.

    Args:
        run: where they go.
        earlier: the checkpoint to go on from, read already; None: there is none.
    """

    def __init__(self, *, run: Run, earlier: dict[str, Any] | None) -> None:
        self.run = run
        self.earlier = earlier

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Store it in the run as the file `path`, if it is the run's own."""
        if path != CHECKPOINT:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        self.run.log_bytes(content.getbuffer(), str(path))

    def load_checkpoint(self, *_: Any, **__: Any) -> dict[str, Any]:
        """The one to go on from."""
        if self.earlier is None:
            raise FileNotFoundError(f"run {self.run.name} goes on from no checkpoint")
        return self.earlier
