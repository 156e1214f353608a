"""What Hourglass knows of torch is so in the torch that is installed: each item is seen at work."""

import os
import subprocess
import sys

import pytest
import torch

from hourglass.system.torch_internals import (
    NO_HOOKS,
    OUT_OF_MEMORY,
    TRACE,
    cpu_has_bfloat16,
    is_wrapped,
    standard_gamma,
)


def test_torch_says_whether_the_cpu_computes_in_bfloat16() -> None:
    assert cpu_has_bfloat16() in (True, False)


def test_values_of_a_transform_are_told_from_others() -> None:
    seen: list[bool] = []

    def f(x: torch.Tensor) -> torch.Tensor:
        seen.append(is_wrapped(x))
        return x.sum()

    torch.func.grad(f)(torch.ones(2))
    torch.vmap(f)(torch.ones(2, 3))
    assert seen == [True, True]
    assert not is_wrapped(torch.ones(2))


def test_a_lack_of_memory_says_so() -> None:
    with pytest.raises(RuntimeError, match=OUT_OF_MEMORY):
        torch.empty(2**62, dtype=torch.uint8)


def test_a_gradient_within_lets_nobody_watch_what_is_kept() -> None:
    with (
        pytest.raises(RuntimeError, match=NO_HOOKS),
        torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x),
    ):
        torch.func.grad(lambda x: x.square().sum())(torch.ones(2))


def test_where_torch_raised_an_error_stands_behind_these_words() -> None:
    code = "import torch; torch.ones(2, 3).view(5)"
    shown = {**os.environ, "TORCH_SHOW_CPP_STACKTRACES": "1"}
    ended = subprocess.run([sys.executable, "-c", code], env=shown, capture_output=True, text=True)
    said, found, behind = " ".join(ended.stderr.split()).partition(TRACE)
    assert found
    assert said.endswith("shape '[5]' is invalid for input of size 6")
    assert " at " in behind


def test_gamma_draws_pass_their_gradient_to_the_shape() -> None:
    """E z = s, so that the mean of dz/ds is 1."""
    torch.manual_seed(0)
    shape = torch.full((50_000,), 2.5, requires_grad=True)
    drawn = standard_gamma(shape)
    drawn.sum().backward()
    assert abs(drawn.mean().item() - 2.5) < 0.05
    assert abs(shape.grad.mean().item() - 1) < 0.02


def test_what_a_training_does_to_convolutions_is_undone() -> None:
    script = """
import torch
from hourglass.system import process
from hourglass.system.torch_internals import narrowing
cudnn = torch.backends.cudnn
put_back = narrowing()
process.before_training()
assert not cudnn.allow_tf32
put_back()
assert cudnn.allow_tf32
cudnn.conv.fp32_precision = "ieee"
put_back = narrowing()
process.before_training()
put_back()
assert (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision) == ("ieee", "tf32")
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
