"""Ways to halve a map by the maxima of 2 x 2 values, forwards and backwards, on one core in channels-last.

    python benchmarks/pooling.py [--rounds 10]

Torch's own remembers where each maximum stood; the others don't.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hourglass.system import process

MAPS = ((256, 16, 28, 28), (256, 8, 14, 14))


def slices(x: Tensor) -> Tensor:
    """The larger of neighbouring rows, then of neighbouring columns."""
    rows = torch.maximum(x[..., ::2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def view(x: Tensor) -> Tensor:
    """The maximum over two directions of a view."""
    samples, channels, height, width = x.shape
    return x.reshape(samples, channels, height // 2, 2, width // 2, 2).amax((3, 5))


class Compared(torch.autograd.Function):
    """Slices forwards; backwards the gradient goes to every value that equals the maximum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """As `slices`."""
        found = slices(x)
        ctx.save_for_backward(x, found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compare again."""
        x, found = ctx.saved_tensors
        large, gradient = (each.repeat_interleave(2, -1).repeat_interleave(2, -2) for each in (found, gradients[0]))
        return (x == large) * gradient


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "torch's max_pool2d": lambda x: F.max_pool2d(x, 2, ceil_mode=True),
    "slices": slices,
    "maximum over a view": view,
    "slices, compared again": Compared.apply,
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    process.before_training()
    torch.set_num_threads(1)
    for shape in MAPS:
        x = torch.randn(shape).contiguous(memory_format=torch.channels_last).requires_grad_()
        gradient = torch.randn(*shape[:2], shape[2] // 2, shape[3] // 2).contiguous(memory_format=torch.channels_last)
        print(f"{' x '.join(map(str, shape))}")
        for name, way in WAYS.items():
            times = []
            for _ in range(rounds + 2):
                x.grad = None
                began = time.perf_counter()
                way(x).backward(gradient)
                times.append(time.perf_counter() - began)
            print(f"{sorted(times[2:])[rounds // 2] * 1000:8.2f} ms  {name}")


if __name__ == "__main__":
    main()
