"""Trainings that can be gone on with."""

import tempfile
from pathlib import Path

import pytorch_lightning as pl

from hourglass.tracking import Run

CHECKPOINT = "checkpoints/last.ckpt"
"""Where a run keeps the state of its training, below its artifacts."""


class Checkpoints(pl.Callback):
    """Keeps the state of the training in the run, so that `hourglass train resume=RUN_ID` goes on with it.

    Args:
        run: where the checkpoint goes.
        every: epochs between two checkpoints; the end of the training always makes one.
    """

    def __init__(self, *, run: Run, every: int) -> None:
        self.run = run
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Save at the end of the epoch."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if last or (trainer.current_epoch + 1) % self.every == 0:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / Path(CHECKPOINT).name
                trainer.save_checkpoint(path)
                self.run.log_file(path, str(Path(CHECKPOINT).parent))
