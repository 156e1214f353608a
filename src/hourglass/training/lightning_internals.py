"""What Hourglass knows of Lightning that it doesn't promise: each item with its reason.

Everything else is Lightning's documented interface. `tests/training/test_lightning_internals.py` exercises each item,
so that an upgrade which changes one fails there.
"""

from contextlib import AbstractContextManager
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.loggers import Logger
from pytorch_lightning.trainer.states import TrainerFn


def count_steps(trainer: pl.Trainer, steps: int) -> None:
    """Add to `trainer.global_step`, which checkpoints and loggers need.

    Lightning counts when its own wrapper of the optimizer is called, which would cost more than a small net's whole
    step.
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.total.ready += steps
    progress.total.completed += steps


def record(trainer: pl.Trainer, *, logger: Logger) -> None:
    """Give a trainer its logger.

    It needs the run, which is opened when the trainer has been made: what a person got wrong in the trainer's keys is
    said before anything is recorded.
    """
    trainer.logger = logger


def checkpoint_with(trainer: pl.Trainer, way: CheckpointIO) -> None:
    """Let a trainer write and read checkpoints so; like `record`, it needs the run."""
    trainer.strategy.checkpoint_io = way


def step_precision(trainer: pl.Trainer) -> AbstractContextManager[None]:
    """Within, steps are computed in the trainer's precision, as in its own `fit`."""
    return cast(AbstractContextManager[None], trainer.precision_plugin.train_step_context())


def scaler_of(trainer: pl.Trainer) -> torch.amp.GradScaler | None:
    """What scales the loss of a trainer whose precision has 16 bits with few exponents; None with others.

    Its state is Lightning's to keep in checkpoints.
    """
    return cast(torch.amp.GradScaler | None, getattr(trainer.precision_plugin, "scaler", None))


def evaluated(trainer: pl.Trainer) -> Any:
    """The loader that is measured at the moment: `val_dataloaders` may be one of an earlier fit."""
    loader = trainer._evaluation_loop._combined_loader
    return None if loader is None else loader.iterables


def is_fitting(trainer: pl.Trainer) -> bool:
    """Whether a validation is one of a fit, after steps: not of `validate`, nor of the check before the first step."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def batches_done(trainer: pl.Trainer) -> int:
    """Batches of the epoch at hand that a resumed training made before it was cut off; or all, of the one before."""
    return trainer.fit_loop.epoch_loop.batch_progress.current.ready if trainer.fit_loop.restarted_mid_epoch else 0


def placed(trainer: pl.Trainer, module: pl.LightningModule) -> Any:
    """A module with the precision of its weights, and on the device, that `fit` would give it."""
    return trainer.precision_plugin.convert_module(module).to(device_of(trainer))


def device_of(trainer: pl.Trainer) -> torch.device:
    """Where a trainer computes."""
    return trainer.strategy.root_device
