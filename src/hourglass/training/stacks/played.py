"""The steps of one training on a GPU: a stack of one, whose step is a CUDA graph."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from hourglass.training.batches import Chunk
from hourglass.training.lightning_internals import scaler_of
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.graph import wanted
from hourglass.training.stacks.stack import Stack
from hourglass.training.stacks.update import ELEMENTWISE

__all__ = ["Played"]


class Played:
    """Makes the steps of a training as a graph, where they can be one, and lets it make its own elsewhere.

    They can on a GPU, if each is one way down a gradient by an optimizer that goes weight by weight, and nobody watches
    single batches. The weights are those of the training's own steps up to rounding.
    """

    def __init__(self) -> None:
        self._stack: Stack | None = None

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        """A copy begins anew: graphs stay where they were made."""
        return type(self), ()

    def __call__(self, learner: Minibatch, chunk: Chunk, /) -> dict[str, Tensor]:
        """See `hourglass.training.Stepper`."""
        if not _suits(learner, chunk):
            self._stack = None
            return learner.own_steps(chunk)
        self._stack = self._stack or Stack(members=[learner], template=learner)
        (terms,) = self._stack.advance([chunk])
        return terms

    def close(self) -> None:
        """Let go of the graph and its memory: the fit has ended."""
        self._stack = None


def _suits(learner: Minibatch, chunk: Chunk) -> bool:
    trainer = learner._trainer
    return (
        chunk.x.is_cuda
        and wanted()
        and learner.stackable
        and type(learner.optimizer) in ELEMENTWISE
        and len(learner.optimizer.param_groups) == 1
        and learner.replicas.count == 1
        and not learner.watched
        and (trainer is None or scaler_of(trainer) is None)
    )
