"""Steps as CUDA graphs: played they are what they were, and what can't be one is said and done all the same."""

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from hourglass.training.stacks.graph import WARM, Graph

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


class Walk:
    """Adds to a total, at random or not."""

    def __init__(self) -> None:
        self.total = torch.zeros(4, device="cuda")

    def step(self, x: Tensor, noise: Tensor | None) -> dict[str, Tensor]:
        self.total += x if noise is None else x + torch.rand_like(x)
        return {"total": self.total.detach()}

    def waiting(self, x: Tensor, noise: Tensor | None) -> dict[str, Tensor]:
        return self.step(x if float(x.sum()) < 1e9 else 0 * x, noise)

    def decomposing(self, x: Tensor, noise: Tensor | None) -> dict[str, Tensor]:
        if torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()  # which no capture survives
        return self.step(x, noise)


def calls(function: Any, inputs: list[Tensor], graph: Graph | None, noise: Tensor | None = None) -> list[list[float]]:
    return [(function(x, noise) if graph is None else graph(function, x, noise))["total"].tolist() for x in inputs]


def inputs(count: int = 8) -> list[Tensor]:
    return [torch.full((4,), float(number), device="cuda") for number in range(count)]


def test_what_is_played_is_what_would_be_called() -> None:
    graph = Graph()
    assert calls(Walk().step, inputs(), graph) == calls(Walk().step, inputs(), None)
    assert graph.is_played


def test_draws_are_those_of_calls() -> None:
    noise = torch.zeros(1, device="cuda")
    torch.manual_seed(0)
    called = calls(Walk().step, inputs(), None, noise)
    torch.manual_seed(0)
    assert calls(Walk().step, inputs(), Graph(), noise) == called


def test_other_shapes_are_called_in_between() -> None:
    walk, graph = Walk(), Graph()
    for x in inputs(WARM + 2):
        graph(walk.step, x, None)
    graph(walk.step, torch.ones(1, device="cuda"), None)
    assert graph(walk.step, torch.ones(4, device="cuda"), None)["total"].tolist() == [12.0] * 4  # 0 + ... + 4, + 1 + 1


@pytest.mark.parametrize("way", ["waiting", "decomposing"])
def test_what_no_graph_holds_is_called_and_said(way: str, caplog: pytest.LogCaptureFixture) -> None:
    walk, graph = Walk(), Graph()
    with caplog.at_level(logging.INFO, "hourglass"):
        assert calls(getattr(walk, way), inputs(), graph) == calls(Walk().step, inputs(), None)
    assert not graph.is_played
    (line,) = [each.getMessage() for each in caplog.records if "CUDA graph" in each.getMessage()]
    assert ("test_graph.py" in line) == (way == "waiting"), line
    torch.manual_seed(0)
    after = torch.rand(3, device="cuda")  # a capture that failed leaves the generator as it was
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3, device="cuda"))
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty")
def test_an_error_of_the_function_is_its_own() -> None:
    walk, graph = Walk(), Graph()

    def step(x: Tensor, noise: Tensor | None) -> dict[str, Tensor]:
        if torch.cuda.is_current_stream_capturing():
            raise ValueError("mine")
        return walk.step(x, noise)

    with pytest.raises(ValueError, match="mine"):
        calls(step, inputs(), graph)
