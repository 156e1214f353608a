"""How fast can the small net be on this machine at all? A step written by hand, without autograd, modules or logging.

    python benchmarks/bound.py

Prints steps per second, the best of several stretches of 20 steps, for the step through autograd and the step by
hand, each in 32 bits and with the matrix products in bfloat16. What the hand-written one reaches is a bound on what any
pipeline on these operations can reach.
"""

import time
from collections.abc import Callable

from hourglass.system import process

process.before_torch()

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

BATCH, STRETCH, STRETCHES = 256, 20, 40
Step = Callable[[Tensor], None]


def by_autograd(precision: torch.dtype) -> Step:
    """The step as every pipeline takes it."""
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 784))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step(rows: Tensor) -> None:
        x = rows.float().div_(255)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32, cache_enabled=False):
            a = model(x)
        loss = F.mse_loss(a.float().sigmoid(), x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def by_hand(precision: torch.dtype) -> Step:
    """The same step with its gradients written out, in place where possible."""
    first, second = nn.Linear(784, 64), nn.Linear(64, 784)
    weights = [*first.parameters(), *second.parameters()]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer = torch.optim.Adam(weights, 1e-3, fused=True)

    @torch.no_grad()
    def step(rows: Tensor) -> None:
        x = rows.float().div_(255)
        low, w1, w2 = x.to(precision), first.weight.to(precision), second.weight.to(precision)
        h = torch.addmm(first.bias.to(precision), low, w1.t()).relu_()
        r = torch.addmm(second.bias.to(precision), h, w2.t()).float().sigmoid_()
        g = (r - x).mul_(2 / x.numel()).mul_(r).mul_(1 - r).to(precision)
        back = (g @ w2).mul_(h > 0)
        for weight, gradient in zip(weights, (back.t() @ low, back.sum(0), g.t() @ h, g.sum(0)), strict=True):
            weight.grad.copy_(gradient)
        optimizer.step()

    return step


def rate(step: Step, data: Tensor) -> float:
    """Steps per second in the best stretch."""
    best = float("inf")
    for _ in range(STRETCHES):
        start = time.perf_counter()
        for batch in data.split(BATCH):
            step(batch)
        best = min(best, time.perf_counter() - start)
    return STRETCH / best


if __name__ == "__main__":
    process.before_training()
    images = torch.randint(0, 256, (STRETCH * BATCH, 784), dtype=torch.uint8)
    for name, build in (("autograd", by_autograd), ("by hand", by_hand)):
        for precision in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            print(f"{name}, {precision}: {rate(build(precision), images):.0f} steps/s")
