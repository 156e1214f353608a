"""A learner in a `pl.Trainer` that a person made, with loaders of their own: what they give, and what can't be.

Such a trainer says how long the training is, by epochs, steps and limits; the learner's own settings say the rest. A
loader's batch is one step. Its samples are taken as the model sees them, or as the learner's own data set holds them.
"""

import math
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass.data import Dataset
from hourglass.data.dataset import limits
from hourglass.system.errors import HourglassError
from hourglass.training.batches import Batches, Chunk

if TYPE_CHECKING:
    from hourglass.training.learner import Learner

__all__ = ["as_chunk", "check_plain", "check_train_loader", "is_own", "steps_left"]

MADE_FOR = "the data that the module was made with"


def is_own(loader: Any) -> bool:
    """Whether a loader is one of the learner's, not one that a person made."""
    return isinstance(loader, Batches)


def as_chunk(batch: Any, learner: "Learner") -> Chunk:
    """A batch of any loader as the chunk that a learner takes.

    Args:
        batch: a chunk; or x or (x, y) of a person's own loader: x (B, *shape), or (B, H, W) of images with one channel,
            floats as the model sees them or, where the learner's data are such, uint8 grey levels; y (B,) classes,
            which only a learner that is `labelled` looks at.
        learner: who takes it.

    Raises:
        HourglassError: something else, in one line.
    """
    if isinstance(batch, Chunk):
        return batch
    if learner.data.targets is not None:
        raise HourglassError("a batch of a loader of one's own brings no targets: leave the loader out, fit(learner)")
    x, y = (*batch, None)[:2] if isinstance(batch, list | tuple) and batch else (batch, None)
    if not isinstance(x, Tensor):
        raise HourglassError(f"a batch must be samples x or a pair (x, y), tensors, got {type(x).__name__}")
    if x.is_inference():  # made by a loader within the trainer's inference mode, no derivative goes through it
        x = x.clone()
    return Chunk(_samples(x, learner), None, _classes(y, len(x), learner) if learner.labelled else None, whole=True)


def _samples(x: Tensor, learner: "Learner") -> Tensor:
    data: Dataset = learner.data
    if data.shape[:1] == (1,) and x.shape[1:] == data.shape[1:]:
        x = x.unsqueeze(1)
    if x.shape[1:] != data.shape or not len(x):
        raise HourglassError(
            f"a batch must hold samples of shape {data.shape}, that of {MADE_FOR}, got one of shape {tuple(x.shape)}"
        )
    grey = data.train.x.dtype == torch.uint8
    if x.dtype == torch.uint8 and grey:
        return x
    if not x.is_floating_point():
        kinds = "floats or uint8" if grey else "floats, as the model sees them"
        raise HourglassError(f"samples of a batch must be {kinds}, got {str(x.dtype).removeprefix('torch.')}")
    lowest, highest = data.range if grey else learner.loss.allowed
    low, high = limits(x)
    if low < lowest or high > highest:
        raise HourglassError(
            f"floats of a batch must lie in [{lowest:g}, {highest:g}], as the model sees them, got one in"
            f" [{low:g}, {high:g}]"
        )
    return x.to(torch.get_default_dtype())


def _classes(y: Any, count: int, learner: "Learner") -> Tensor:
    what = type(learner).__name__
    if not isinstance(y, Tensor) or y.is_floating_point() or y.shape != (count,):
        raise HourglassError(f"{what} needs batches (x, y) with classes y, whole numbers ({count},), got y={_said(y)}")
    low, high = (int(bound) for bound in y.aminmax())
    if low < 0 or high >= learner.classes:
        raise HourglassError(f"{what} knows classes from 0 to {learner.classes - 1}, got one from {low} to {high}")
    return y.long()


def _said(y: Any) -> str:
    return f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__


def check_plain(trainer: pl.Trainer) -> None:
    """HourglassError for what no learner can do in a trainer; Lightning itself refuses clipping and accumulation."""
    if trainer.world_size > 1:
        raise HourglassError(
            f"pl.Trainer must have devices=1, got {trainer.world_size}: several devices train one model by"
            " trainer.devices=N of the command line, or of hourglass.fit"
        )
    # The same trainer has no end that a schedule or a learner could know of.
    if trainer.max_epochs == -1 and trainer.max_steps == -1:
        raise HourglassError("pl.Trainer must have max_epochs or max_steps, got max_epochs=-1: there is no end to it")


def check_train_loader(learner: "Learner") -> None:
    """HourglassError for what goes by the learner's own training samples where it is given others."""
    if learner.noise.frozen:
        raise HourglassError(
            "noise.frozen must be false with a loader of your own: it is drawn once for each sample of"
            f" {MADE_FOR}, got true"
        )
    if learner.data.levels is not None:
        raise HourglassError(
            f"data.binarize must be none with a loader of your own, got dynamic, which draws images of {MADE_FOR}"
        )
    if learner.sampler.state_dict():
        raise HourglassError(
            f"sampler must be none with a loader of your own, got {type(learner.sampler).__name__}, which is fitted to"
            f" {MADE_FOR}"
        )


def steps_left(trainer: pl.Trainer, *, epochs: int, done: int, per_epoch: float) -> int:
    """Steps that a trainer makes from here on, when each of its batches is one.

    Args:
        trainer: at the start of its fit.
        epochs: of the whole training.
        done: batches of the epoch at hand that were made before, in a training that is resumed.
        per_epoch: batches of an epoch.

    Raises:
        HourglassError: a loader without a length, and nothing else that ends the training.
    """
    if math.isinf(per_epoch):
        if trainer.max_steps == -1:
            raise HourglassError("a loader without a length needs pl.Trainer(max_steps=...), got none")
        return trainer.max_steps - trainer.global_step
    left = (epochs - trainer.current_epoch) * int(per_epoch) - done
    return left if trainer.max_steps == -1 else min(left, trainer.max_steps - trainer.global_step)
