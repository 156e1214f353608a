"""How many steps a training by mini-batches makes, and how long each of them is.

Over the steps t = 0 .. T - 1 the learning rate is

    lr_t = lr  min(1, (t + 1) / W)  c_t,    c_t = 1 (constant)  or  1/2 (1 + cos(pi t / T)) (cosine)

with W steps of warm-up.
"""

import math
from dataclasses import dataclass
from typing import Literal

from hourglass.system.checks import check_above, check_choice, check_whole

__all__ = ["Schedule", "StepSettings", "learning_rate"]

Schedule = Literal["constant", "cosine"]
"""How the learning rate goes over a training once it has warmed up."""
SCHEDULES = ("constant", "cosine")


def learning_rate(step: int, *, highest: float, steps: float, schedule: Schedule, warmup_steps: int) -> float:
    """The learning rate of a step.

    Example:
        >>> rates = [learning_rate(t, highest=1.0, steps=4, schedule="cosine", warmup_steps=2) for t in range(4)]
        >>> [round(rate, 3) for rate in rates]
        [0.5, 0.854, 0.5, 0.146]

    Args:
        step: t, counted from 0.
        highest: lr, the configured one.
        steps: T, of the whole training.
        schedule: `constant` or `cosine`.
        warmup_steps: W; 0: none.
    """
    factor = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    if schedule == "cosine":
        factor *= 0.5 * (1 + math.cos(math.pi * step / steps))
    return highest * factor


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """How steps are counted, scheduled, clipped and logged.

    Raises:
        ValueError: a number out of its range.
    """

    epochs: int
    """Passes over the training set, at least 1."""
    max_steps: int | None
    """Optimizer steps after which training ends even within an epoch; None: no limit."""
    batch_size: int
    """Samples of a batch, at least 1."""
    schedule: Schedule
    """`constant`, or `cosine` down to zero over the whole training."""
    warmup_steps: int
    """Steps over which the learning rate rises linearly from zero, at least 0."""
    gradient_clip: float | None
    """Largest norm of the gradient, above 0; None: no clipping."""
    log_every_n_steps: int
    """A training point is the mean over that many steps, at least 1."""

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, lowest=1)
        check_whole("max_steps", self.max_steps, lowest=1, null=True)
        check_whole("batch_size", self.batch_size, lowest=1)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_whole("warmup_steps", self.warmup_steps, lowest=0)
        check_above("gradient_clip", self.gradient_clip, null=True)
        check_whole("log_every_n_steps", self.log_every_n_steps, lowest=1)

    def steps_per_epoch(self, samples: int) -> int:
        """Steps of an epoch over that many samples, the last of which may have a smaller batch."""
        return -(-samples // self.batch_size)

    def steps(self, samples: int) -> int:
        """Steps of a whole training on that many samples."""
        steps = self.epochs * self.steps_per_epoch(samples)
        return min(steps, self.max_steps or steps)
