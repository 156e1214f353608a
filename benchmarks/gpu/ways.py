"""Ways to make the steps of a stack: as the product does, compiled, and as a CUDA graph.

What a graph or a compiled program needs is what `tests/sweeps/fusion/test_capturable.py` checks: nothing in a step
waits for the device, and nothing in it is a number of Python's.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, cast

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map

from hourglass.pipeline.compose import compose
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks.functions import StackedFunctions
from hourglass.training.stacks.stack import Stack


class Compiled(Stack):
    """Forward and backward of a step as one program of TorchInductor's; the optimizer's own kernels stay.

    The program is made of the operations that one step was seen to make, not of the code that made them.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.program: Callable[..., tuple[dict[str, Tensor], list[Tensor]]] | None = None

    def _step(self, *given: Any) -> dict[str, Tensor]:
        *samples, corrupted, y, rate = given
        inputs = [list(self.weights.values()), list(self.others.values()), tree_leaves(samples), corrupted, y]
        if self.program is None:
            with StackedFunctions():
                traced = make_fx(lambda *each: self._gradients(*each))(*tree_map(_copied, inputs))
            self.program = torch.compile(traced, dynamic=False, fullgraph=True)
        with torch.no_grad():  # the program has its own way back
            terms, gradients = self.program(*tree_map(_bare, inputs))
        for weight, gradient in zip(self.weights.values(), gradients, strict=True):
            weight.grad = gradient.contiguous()  # as backward leaves it, which a fused optimizer takes for granted
        self.update(rate)
        return terms

    def _gradients(
        self, weights: list[Tensor], others: list[Tensor], samples: list[Tensor], corrupted: Tensor | None, y: Any
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        held = dict(zip((*self.weights, *self.others), (*weights, *others), strict=True))
        together = torch.func.vmap(
            lambda each, mine: torch.func.functional_call(self.terms, each, (*samples, mine, y)),
            in_dims=(0, None if corrupted is None else 0),
            randomness="different",
        )
        terms = together({f"learner.{name}": tensor for name, tensor in held.items()}, corrupted)
        gradients = torch.autograd.grad(terms["loss"].sum(), weights)
        return {name: term.detach() for name, term in terms.items()}, list(gradients)


def _bare(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _copied(value: Any) -> Any:
    """To be traced on: tracing makes the operations too, those on buffers among them."""
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


WAYS: dict[str, Callable[..., Stack]] = {
    "eager": partial(Stack, graph=False),
    "captured": partial(Stack, graph=True),
    "compiled": partial(Compiled, graph=False),
    "both": partial(Compiled, graph=True),
}


def learner_of(config: DictConfig, device: str) -> Minibatch:
    """A learner on a device, ready to make steps."""
    learner = cast(Minibatch, compose(config).learner).to(device).train()
    learner.configure_optimizers()
    return learner


def stack_of(way: str, learner: Minibatch, config: DictConfig, size: int) -> Stack:
    """Copies of a learner as a stack."""
    members = [deepcopy(learner, {id(learner.data): learner.data}) for _ in range(size)]
    return WAYS[way](members=members, template=template_of(members, [config], learner.data))


def chunk_of(learner: Minibatch, steps: int) -> Chunk:
    """Batches for so many steps at most, all of one size: programs and graphs are made for one."""
    size = learner.settings.batch_size
    x = learner.data.train.x
    x = x[: size * min(steps, len(x) // size)]
    return Chunk(x.to(next(learner.parameters()).device), None)
