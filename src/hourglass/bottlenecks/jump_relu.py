"""Rectified codes whose units learn from which activation on they are on.

h_j = a_j H(a_j - d t_j),  H(u) = [u > 0]
"""

import math
from typing import Any

import torch
from torch import Tensor

from hourglass.bottlenecks.activity import Activity, Switched
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, count_idle
from hourglass.losses import Term
from hourglass.system.checks import check_above, check_level

__all__ = ["JumpReLU"]


class JumpReLU(Bottleneck):
    """A code whose units have learned thresholds, with a penalty on how many are on.

    h_j = a_j H(a_j - d t_j),   l0 = 1/B sum_b sum_j H(a_bj - d t_j),   t_j > 0

    Thresholds and kernel are in units of d, the deviation of all encoder outputs over the first training batch, so that
    one setting suits any data and model. The mean number of units that are on, `l0`, is weighted with lambda. The
    step function H has no gradient; the thresholds are trained through a rectangular kernel K(u) = [|u| < 1/2] of
    width e, with a in units of d:

    d H(a - t) / dt = -1/e K((a - t) / e),   d h / dt = -t/e K((a - t) / e)

    All thresholds hold a common factor, exp(shift), which is not trained: `regularizer=target_l0` can move it.

    Reference: Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders (Rajamanoharan et
    al., 2024), whose inputs are scaled instead.

    Args:
        code_size: number of code units.
        weight: lambda, at least 0.
        threshold: t at the start, above 0.
        bandwidth: e, above 0.

    Example:
        >>> JumpReLU(code_size=8, weight=0.01, threshold=0.1, bandwidth=0.1)
        JumpReLU(code_size=8, weight=0.01, bandwidth=0.1)
    """

    weight: Tensor
    deviation: Tensor
    shift: Tensor
    idle: Tensor

    def __init__(self, *, code_size: int, weight: float = 1e-3, threshold: float = 1.0, bandwidth: float = 1.0) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        check_level("weight", weight)
        check_above("threshold", threshold)
        check_above("bandwidth", bandwidth)
        self.register_buffer("weight", torch.tensor(weight))
        self.register_buffer("deviation", torch.tensor(0.0))  # no step has been made
        self.register_buffer("shift", torch.tensor(0.0))
        self.register_buffer("idle", torch.zeros(code_size, dtype=torch.int64))
        self.bandwidth = bandwidth
        self.log_threshold = torch.nn.Parameter(torch.full((code_size,), math.log(threshold)))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, weight={self.weight.item():g}, bandwidth={self.bandwidth:g}"

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `l0`."""
        if self.training:
            with torch.no_grad():
                count = len(a) * self.active.sum()
                centred = (a - (a * self.active).sum() / count) * self.active
                found = (centred.square().sum() / count).sqrt().to(self.deviation)
                # Encoder outputs that are all the same, as those of weights of zero, have no scale.
                found = torch.where(found > 0, found, 1.0)
                self.deviation.copy_(torch.where(self.deviation > 0, self.deviation, found))
        d = self._unit(a)
        t = self.thresholds
        on = _Step.apply(a / d, t, self.bandwidth) * self.active
        code = _Jump.apply(a / d, t, self.bandwidth) * d * self.active
        if self.training:
            count_idle(self.idle, code, self.active)
        return Bottled(code, {"l0": Term(on.sum(dim=1).mean(), self.weight)})

    @property
    def thresholds(self) -> Tensor:
        """t, (code_size,), in units of d."""
        return (self.log_threshold + self.shift).exp()

    def _unit(self, a: Tensor) -> Tensor:
        return torch.where(self.deviation > 0, self.deviation, 1.0).to(a)

    def slope(self, a: Tensor) -> Tensor:
        """1 where a unit is on, 0 where it is off."""
        return (a > self._unit(a) * self.thresholds).to(a.dtype) * self.active

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: a unit below its threshold is exactly zero."""
        return Switched()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # Earlier versions had thresholds in units of the encoder outputs themselves.
        state_dict.setdefault(f"{prefix}deviation", torch.tensor(1.0))
        # And didn't count how long units have been off.
        state_dict.setdefault(f"{prefix}idle", torch.zeros(self.code_size, dtype=torch.int64))
        # Nothing moved all thresholds together.
        state_dict.setdefault(f"{prefix}shift", torch.tensor(0.0))
        super()._load_from_state_dict(state_dict, prefix, *args)


class _Jump(torch.autograd.Function):
    """a H(a - t) with the gradient H(a - t) for a, and t times the kernel's for t."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, t: Tensor, bandwidth: float) -> Tensor:  # noqa: ARG004
        return a * (a > t)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:  # type: ignore[no-untyped-def]  # noqa: ARG004
        a, t, ctx.bandwidth = inputs
        ctx.save_for_backward(a, t)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[no-untyped-def]
        a, t = ctx.saved_tensors
        near = ((a - t).abs() < ctx.bandwidth / 2).to(gradient.dtype)
        return gradient * (a > t), -t * (near * gradient).sum(dim=0) / ctx.bandwidth, None


class _Step(torch.autograd.Function):
    """H(a - t) with the kernel's gradient for t, and none for a."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, t: Tensor, bandwidth: float) -> Tensor:  # noqa: ARG004
        return (a > t).to(a.dtype)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:  # type: ignore[no-untyped-def]  # noqa: ARG004
        a, t, ctx.bandwidth = inputs
        ctx.save_for_backward(a, t)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, None]:  # type: ignore[no-untyped-def]
        a, t = ctx.saved_tensors
        near = ((a - t).abs() < ctx.bandwidth / 2).to(gradient.dtype)
        return None, -(near * gradient).sum(dim=0) / ctx.bandwidth, None
