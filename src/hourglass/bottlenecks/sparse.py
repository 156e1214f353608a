"""Codes that are sparse by construction: a selection of the units instead of a penalty on all.

With rectified activations p = relu(a), a unit is kept where it is among the largest,

    top_k             of its sample: the k largest of each row
    batch_top_k       of the batch: the B k largest of all
    winner_take_all   of its unit: the share s B largest of each column, so that no unit dies

and zero elsewhere; gradients flow through what is kept.
"""

import math

import torch
from torch import Tensor

from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck


class TopK(Bottleneck):
    """A k-sparse code: of each sample the k largest activations.

    References: k-sparse autoencoders (Makhzani & Frey, 2013); Scaling and evaluating sparse autoencoders (Gao et al.,
    2024).

    Args:
        code_size: number of code units.
        k: units kept per sample, from 1 to code_size.
    """

    def __init__(self, *, code_size: int, k: int) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        self.k = _kept(k, code_size)

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        p = a.relu() * self.active
        values, units = p.topk(self.k, dim=1)
        return Bottled(torch.zeros_like(p).scatter(1, units, values), {})

    def slope(self, a: Tensor) -> None:  # noqa: ARG002
        """None: which unit is kept depends on the others."""
        return


class BatchTopK(Bottleneck):
    """A sparse code of k units per sample on average: the batch decides which samples need more.

    While training the B k largest activations of the batch are kept; otherwise those above the running mean of the
    smallest kept one, so that a sample's code doesn't depend on its company.

    Reference: BatchTopK sparse autoencoders (Bussmann, Leask & Nanda, 2024).

    Args:
        code_size: number of code units.
        k: units kept per sample on average, from 1 to code_size.
        momentum: share of the old running threshold that a step keeps, from 0 to below 1.
    """

    threshold: Tensor

    def __init__(self, *, code_size: int, k: int, momentum: float) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        self.k = _kept(k, code_size)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1, got {momentum}")
        self.momentum = momentum
        self.register_buffer("threshold", torch.tensor(-1.0))  # below zero: no step has been made

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        p = a.relu() * self.active
        if not self.training:
            return Bottled(p * (p > self.threshold), {})
        values, places = p.flatten().topk(self.k * len(p))
        with torch.no_grad():
            smallest = values[-1].to(self.threshold)
            mixed = self.momentum * self.threshold + (1 - self.momentum) * smallest
            self.threshold.copy_(torch.where(self.threshold < 0, smallest, mixed))
        return Bottled(torch.zeros_like(p).flatten().scatter(0, places, values).view_as(p), {})

    def slope(self, a: Tensor) -> None:  # noqa: ARG002
        """None: which unit is kept depends on the others."""
        return


class WinnerTakeAll(Bottleneck):
    """Lifetime sparsity: of each unit the largest activations within the batch, so that every unit is used.

    Only while training; otherwise the code is the rectified activation, as in the reference.

    Reference: Winner-take-all autoencoders (Makhzani & Frey, 2015).

    Args:
        code_size: number of code units.
        share: share of the batch that each unit keeps, above 0 and at most 1.
    """

    def __init__(self, *, code_size: int, share: float) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        self.share = share

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        p = a.relu() * self.active
        if not self.training:
            return Bottled(p, {})
        values, samples = p.topk(max(1, round(self.share * len(p))), dim=0)
        return Bottled(torch.zeros_like(p).scatter(0, samples, values), {})

    def slope(self, a: Tensor) -> None:  # noqa: ARG002
        """None: what is kept depends on the batch."""
        return


class JumpReLU(Bottleneck):
    """A code whose units have learned thresholds, with a penalty on how many are on.

    h_j = a_j H(a_j - t_j),   l0 = lambda / B sum_b sum_j H(a_bj - t_j),   t_j > 0

    The step function H has no gradient; the thresholds are trained through a rectangular kernel of width e,
    d H(a - t) / dt = -1/e [|a - t| < e/2] (and a times that for h).

    Reference: Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders (Rajamanoharan et
    al., 2024).

    Args:
        code_size: number of code units.
        weight: lambda, at least 0.
        threshold: t at the start, above 0.
        bandwidth: e, above 0.
    """

    weight: Tensor

    def __init__(self, *, code_size: int, weight: float, threshold: float, bandwidth: float) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0, got {weight}")
        for key, value in (("threshold", threshold), ("bandwidth", bandwidth)):
            if not value > 0:
                raise ValueError(f"{key} must be above 0, got {value}")
        self.register_buffer("weight", torch.tensor(weight))
        self.bandwidth = bandwidth
        self.log_threshold = torch.nn.Parameter(torch.full((code_size,), math.log(threshold)))

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `l0`."""
        t = self.log_threshold.exp()
        on = _Step.apply(a, t, self.bandwidth) * self.active
        # Through `on` the kernel's gradient comes with the factor a that the reference has.
        return Bottled(a * on, {"l0": self.weight * on.sum(dim=1).mean()})

    def slope(self, a: Tensor) -> Tensor:
        """1 where a unit is on, 0 where it is off."""
        return (a > self.log_threshold.exp()).to(a.dtype) * self.active


class _Step(torch.autograd.Function):
    """H(a - t) with the kernel's gradient for t, and none for a."""

    @staticmethod
    def forward(ctx, a: Tensor, t: Tensor, bandwidth: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(a, t)
        ctx.bandwidth = bandwidth
        return (a > t).to(a.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor, None]:  # type: ignore[no-untyped-def]
        a, t = ctx.saved_tensors
        near = ((a - t).abs() < ctx.bandwidth / 2).to(gradient.dtype)
        return None, -(near * gradient).sum(dim=0) / ctx.bandwidth, None


def _kept(k: int, code_size: int) -> int:
    if not 1 <= k <= code_size:
        raise ValueError(f"k must be from 1 to code_size={code_size}, got {k}")
    return k
