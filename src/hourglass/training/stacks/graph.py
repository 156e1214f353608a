"""A step as a CUDA graph: its kernels are noted once, and played from then on without the program that launched them.

A step of a small net is a hundred kernels or more, each done in microseconds. Launching them takes Python a millisecond
or several, in which the GPU mostly waits; playing them back takes it no time.

References: the chapter on CUDA graphs of the CUDA C++ programming guide; torch.cuda.CUDAGraph.
"""

import logging
import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from hourglass.system.torch_internals import PROTOTYPE, SYNCHRONIZING

log = logging.getLogger("hourglass")

WARM = 3
"""Calls that are made as they are: they make what an optimizer remembers, and the libraries' workspaces."""
SWITCH = "HOURGLASS_CUDA_GRAPHS"
"""Environment variable: `false` leaves graphs out."""


def wanted() -> bool:
    """Whether steps on a GPU are to be graphs."""
    return os.environ.get(SWITCH, "true").lower() not in ("false", "0", "no", "off")


class Graph:
    """A function that is called as it is a few times, and then played.

    Calls with tensors of other shapes than the first call's are made as they are, whenever they come. So are all where
    the function waits for the GPU, for a number of Python's or a shape that values decide, after one line that says so.

    It is given at every call, and not kept, so that nothing holds the memory of what it belongs to.
    """

    def __init__(self) -> None:
        self.why_not: str | None = None
        """Why it isn't played, in one line; None: it is, or will be."""
        self._called = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._shapes: list[Any] = []
        self._held: Any = None
        self._found: dict[str, Tensor] = {}

    @property
    def is_played(self) -> bool:
        """Whether the kernels are noted."""
        return self._graph is not None

    def __call__(self, function: Callable[..., dict[str, Tensor]], *given: Any) -> dict[str, Tensor]:
        """What a function returns.

        Args:
            function: always the same; launches kernels on one GPU, on tensors that stay where they are and on what it
                is given. Returns detached tensors by name.
            given: tensors, None, or tuples of such.
        """
        if not self._called:
            self._shapes = _shapes(given)
        if self.why_not is not None or _shapes(given) != self._shapes:
            return function(*given)
        if self._called < WARM:
            self._called += 1
            return self._warmed(function, given)
        if self._graph is None:
            self._capture(function, given)
        if self._graph is None:
            return function(*given)
        for mine, now in zip(tree_leaves(self._held), tree_leaves(given), strict=True):
            if isinstance(mine, Tensor):
                mine.copy_(now)
        self._graph.replay()
        return {name: value.clone() for name, value in self._found.items()}

    def _warmed(self, function: Callable[..., dict[str, Tensor]], given: tuple[Any, ...]) -> dict[str, Tensor]:
        """A call beside the stream that everything else is on, as the capture will be; the last one is watched."""
        side = _side(torch.cuda.current_device())
        side.wait_stream(torch.cuda.current_stream())
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as said, torch.cuda.stream(side):
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn" if self._called == WARM else before)
            try:
                found = function(*given)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        torch.cuda.current_stream().wait_stream(side)
        for each in said:
            if SYNCHRONIZING in str(each.message):
                self._leave(f"{each.filename}:{each.lineno} waits for the GPU")
            elif PROTOTYPE not in str(each.message):
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return found

    def _capture(self, function: Callable[..., dict[str, Tensor]], given: tuple[Any, ...]) -> None:
        """Note the kernels of a call, which does not make it."""
        self._held = tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, given)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph):
                self._found = function(*self._held)
        except Exception as error:
            torch.cuda.set_stream(stream)  # a capture that failed goes on being the current stream
            self._held, self._found = None, {}
            _renew_generator()
            first = error.__context__ or error  # what ended the capture comes before its end
            if not isinstance(first, RuntimeError) or isinstance(first, torch.OutOfMemoryError):
                raise first from None
            self._leave(str(first).strip().splitlines()[0])
        else:
            self._graph = graph

    def _leave(self, why: str) -> None:
        if self.why_not is None:
            self.why_not = why
            log.info("steps are not a CUDA graph, and are launched one by one: %s", why)


@cache
def _side(device: int) -> torch.cuda.Stream:
    """One for all graphs of a GPU: each stream that multiplies keeps up to 32 MiB for it."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _shapes(given: Any) -> list[Any]:
    return [(each.shape, each.dtype) if isinstance(each, Tensor) else each for each in tree_leaves(given)]


def _renew_generator() -> None:
    """Take the GPU's generator out of a capture that failed, in which PyTorch leaves it; its draws go on."""
    device = torch.cuda.current_device()
    generator = torch.cuda.default_generators[device]
    fresh = torch.Generator(device=f"cuda:{device}")
    fresh.manual_seed(generator.initial_seed())
    fresh.set_offset(generator.get_offset())
    generator.graphsafe_set_state(fresh.graphsafe_get_state())
