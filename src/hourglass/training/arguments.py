"""What a training by mini-batches is given: its arguments by name, and who makes its steps."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NotRequired, Protocol, runtime_checkable

import torch
from torch import Tensor

from hourglass.training.batches import Chunk
from hourglass.training.learner import LearnerArguments
from hourglass.training.rates import Schedule
from hourglass.training.replicas import Replicas

if TYPE_CHECKING:
    from hourglass.training.minibatch import Minibatch

__all__ = ["Closable", "MakeOptimizer", "MinibatchArguments", "Stepper"]

MakeOptimizer = Callable[..., torch.optim.Optimizer]
"""The configured optimizer, but for the parameters: `optimizer(params=model.parameters())`."""


@runtime_checkable
class Stepper(Protocol):
    """What makes the steps of a training in place of its own `own_steps`: a stack makes those of many at once."""

    def __call__(self, learner: "Minibatch", chunk: Chunk, /) -> dict[str, Tensor]:
        """A step for each batch of a chunk; the loss and its terms by name, (n,) over the steps."""


@runtime_checkable
class Closable(Protocol):
    """A `Stepper` that holds something while a fit lasts."""

    def close(self) -> None:
        """Let go of it."""


class MinibatchArguments(LearnerArguments):
    """The arguments of `Minibatch`, which a procedure with more of its own takes as `**shared: Unpack[...]`."""

    optimizer: MakeOptimizer
    epochs: int
    max_steps: int | None
    batch_size: int
    warmup_steps: int
    gradient_clip: float | None
    log_every_n_steps: int
    keep: Literal["best", "last"]
    patience: int | None
    schedule: NotRequired[Schedule]
    replicas: NotRequired[Replicas]
    stepper: NotRequired[Stepper]
