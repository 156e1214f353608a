"""The learning rate of every step: a scheduler of torch, and a warm-up before it.

    lr_t = min(1, (t + 1) / W) s_n,    n = t, the epochs or the validations before step t

with W steps of warm-up and s_n the rate of the scheduler after n of its own steps. That makes the rate a function of
the step and of what was measured before it: a resumed training goes on with the rates that it would have had, and one
whose settings were changed with those that it would have had under the new ones. So no scheduler is kept in a
checkpoint, and none touches the optimizers, which a stack of many models has none of: it moves a stand-in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, ReduceLROnPlateau

from hourglass.system.checks import check_choice

__all__ = ["EVERY", "FILLED", "Rates", "Schedule"]

Every = Literal["step", "epoch", "validation"]
EVERY = ("step", "epoch", "validation")
FILLED = ("T_max", "total_steps", "total_iters", "max_lr")
"""Arguments of schedulers that mean the whole training, or the optimizer's own rate, where they are null."""


def _constant(**arguments: Any) -> LRScheduler:
    return ConstantLR(**arguments, factor=1.0, total_iters=1)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate goes over a training.

    Raises:
        ValueError: something else to count.

    Example:
        >>> from torch.optim.lr_scheduler import CosineAnnealingLR
        >>> Schedule(make=CosineAnnealingLR, filled=("T_max",)).every
        'step'
    """

    make: Callable[..., LRScheduler] = _constant
    """Makes a scheduler of torch, but for the optimizer: `make(optimizer=optimizer)`."""
    every: Every = "step"
    """What it counts: optimizer steps, epochs, or validations, whose loss it is given if it asks for one."""
    filled: tuple[str, ...] = ()
    """Those of `FILLED` that are the whole training's."""

    def __post_init__(self) -> None:
        check_choice("schedule.every", self.every, EVERY)


class Rates:
    """The learning rates of one training.

    Args:
        schedule: how they go.
        highest: the configured rate of each group of weights.
        length: of the whole training in what the schedule counts.
        warmup_steps: W; 0: none.

    Raises:
        ValueError: a schedule that changes more than the learning rate.

    Example:
        >>> rates = Rates(schedule=Schedule(), highest=[0.5], length=4)
        >>> rates.at(3, ())
        [0.5]
    """

    def __init__(self, *, schedule: Schedule, highest: Sequence[float], length: int, warmup_steps: int = 0) -> None:
        self.schedule = schedule
        self.highest = highest
        self.length = length
        self.warmup_steps = warmup_steps
        self._begin()

    def _begin(self) -> None:
        groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in self.highest]
        self._stand_in = torch.optim.SGD(groups, lr=0.0)
        filled = {key: list(self.highest) if key == "max_lr" else max(1, self.length) for key in self.schedule.filled}
        self._scheduler = self.schedule.make(optimizer=self._stand_in, **filled)
        if any(group["momentum"] for group in self._stand_in.param_groups):
            raise ValueError("schedule may change the learning rate only: set schedule.cycle_momentum=false")
        self._stand_in.step()  # which torch wants to see before the scheduler's first step
        self._made = 0

    def of_step(self, step: int, *, epoch: int, validated: Sequence[float]) -> list[float]:
        """The rates of the groups at an optimizer step.

        Args:
            step: from 0.
            epoch: that it is in, from 0.
            validated: the loss of every validation before.
        """
        count = {"step": step, "epoch": epoch, "validation": len(validated)}[self.schedule.every]
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        return [rate * warm for rate in self.at(count, validated)]

    def at(self, count: int, measured: Sequence[float]) -> list[float]:
        """The rates of the groups after so many steps of the schedule.

        Args:
            count: in what the schedule counts.
            measured: the loss of every validation before, for a schedule that asks for it.
        """
        if count < self._made:  # steps that are made again
            self._begin()
        while self._made < count:
            if isinstance(self._scheduler, ReduceLROnPlateau):
                self._scheduler.step(measured[self._made])
            else:
                self._scheduler.step()
            self._made += 1
        return [float(group["lr"]) for group in self._stand_in.param_groups]
