"""Ways to make the steps of a stack: as the product does, compiled, and as a CUDA graph.

What a graph or a compiled program needs is what `tests/sweeps/fusion/test_capturable.py` checks: nothing in a step
waits for the device, and nothing in it is a number of Python's.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves, tree_map

from hourglass.pipeline.compose import compose
from hourglass.sweeps.fusion.functions import StackedFunctions
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.sweeps.fusion.stack import Stack
from hourglass.training.batches import Chunk
from hourglass.training.minibatch import Minibatch

WARM = 3
"""Steps before a graph is captured: they make what the optimizer remembers, and the libraries' workspaces."""


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


class Captured(Stack):
    """The whole step as a CUDA graph: captured once, then played on what is copied to where it was captured."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.made = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        optimizer = self.update.optimizer
        for group in optimizer.param_groups:
            if "capturable" in group:  # SGD has no counter, and no such key
                group["capturable"] = True
        for step, memory in optimizer.state.items():
            if "step" in memory:  # unless fused, an optimizer keeps its counter on the host
                memory["step"] = memory["step"].to(step.device)
        optimizer._warned_capturable_if_run_uncaptured = True  # which the steps before the capture are

    def _step(self, *given: Any) -> dict[str, Tensor]:
        if self.made < WARM:
            self.made += 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                terms = super()._step(*given)
            torch.cuda.current_stream().wait_stream(side)
            return terms
        if self.graph is None:
            self.held = tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, given)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # which makes no step yet
                self.found = super()._step(*self.held)
        for mine, now in zip(tree_leaves(self.held), tree_leaves(given), strict=True):
            if isinstance(mine, Tensor):
                mine.copy_(now)
        self.graph.replay()
        return {name: term.clone() for name, term in self.found.items()}


class Both(Captured, Compiled):
    """The compiled step, captured."""


WAYS: dict[str, type[Stack]] = {"eager": Stack, "captured": Captured, "compiled": Compiled, "both": Both}


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
