"""Codes that are sparse by construction: a selection of the units instead of a penalty on all.

With activations p = s(a), rectified ones if nothing else is said, a unit is kept where it is among the largest,

    top_k             of its sample: the k largest of each row
    batch_top_k       of the batch: the B k largest of all
    winner_take_all   of its unit: the share s B largest of each column, so that no unit dies

and zero elsewhere; gradients flow through what is kept. The first two count for how many training steps each unit
has been `idle`, so that a penalty can bring it back.
"""

import math
from typing import Any

import torch
from torch import Tensor

from hourglass.activations import activation as build_activation
from hourglass.activations import activation_range
from hourglass.bottlenecks.activity import Activity, Switched
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.bottlenecks.deterministic import KEY
from hourglass.losses import Term
from hourglass.system.checks import check_above, check_fraction, check_level


class TopK(Bottleneck):
    """A k-sparse code: of each sample the k largest activations.

    References: k-sparse autoencoders (Makhzani & Frey, 2013), with linear activations and more units in the test than
    in training; Scaling and evaluating sparse autoencoders (Gao et al., 2024), with rectified ones.

    Args:
        code_size: number of code units.
        k: units kept per sample, from 1 to code_size.
        k_test: units kept outside training, from 1 to code_size; null: k.
        activation: name of the activation s.
    """

    idle: Tensor

    def __init__(self, *, code_size: int, k: int, k_test: int | None, activation: str) -> None:
        low, high = activation_range(activation, key=KEY)
        super().__init__(code_size=code_size, inputs=code_size, code_range=(min(low, 0.0), max(high, 0.0)))
        self.k = _kept("k", k, code_size)
        self.k_test = self.k if k_test is None else _kept("k_test", k_test, code_size)
        self.differs = self.k_test != self.k
        self.activation = build_activation(activation, key=KEY)
        self.register_buffer("idle", torch.zeros(code_size, dtype=torch.int64))

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        if not self.training:
            return Bottled(self._largest(a, self.k_test), {})
        code = self._largest(a, self.k)
        _count_idle(self.idle, code, self.active)
        return Bottled(code, {})

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: k units, not k_test."""
        return Bottled(self._largest(a, self.k), {})

    def _largest(self, a: Tensor, k: int) -> Tensor:
        p = self.activation(a)
        # An inactive unit is never among the largest, not even where all others are negative.
        rank = p.detach().masked_fill(self.active == 0, -math.inf)
        units = rank.topk(k, dim=1).indices
        kept = p.gather(1, units) * self.active[units].to(p.dtype)
        return torch.zeros_like(p).scatter(1, units, kept)

    def slope(self, a: Tensor) -> None:  # noqa: ARG002
        """None: which unit is kept depends on the others."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: what is not kept is exactly zero."""
        return Switched()


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

    idle: Tensor
    threshold: Tensor
    differs = True

    def __init__(self, *, code_size: int, k: int, momentum: float) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        self.k = _kept("k", k, code_size)
        check_fraction("momentum", momentum)
        self.momentum = momentum
        self.register_buffer("threshold", torch.tensor(-1.0))  # below zero: no step has been made
        self.register_buffer("idle", torch.zeros(code_size, dtype=torch.int64))

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        if not self.training:
            p = a.relu() * self.active
            return Bottled(p * (p > self.threshold), {})
        code, smallest = self._largest(a)
        with torch.no_grad():
            smallest = smallest.to(self.threshold)
            mixed = self.momentum * self.threshold + (1 - self.momentum) * smallest
            self.threshold.copy_(torch.where(self.threshold < 0, smallest, mixed))
        _count_idle(self.idle, code, self.active)
        return Bottled(code, {})

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: the batch decides, not the threshold."""
        return Bottled(self._largest(a)[0], {})

    def _largest(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """The code (B, code_size), and the smallest activation that is kept in it."""
        p = a.relu() * self.active
        values, places = p.flatten().topk(self.k * len(p))
        return torch.zeros_like(p).flatten().scatter(0, places, values).view_as(p), values[-1]

    def slope(self, a: Tensor) -> None:  # noqa: ARG002
        """None: which unit is kept depends on the others."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: what is not kept is exactly zero."""
        return Switched()


class WinnerTakeAll(Bottleneck):
    """Lifetime sparsity: of each unit the largest activations within the batch, so that every unit is used.

    Only while training; otherwise the code is the rectified activation, as in the reference.

    Reference: Winner-take-all autoencoders (Makhzani & Frey, 2015).

    Args:
        code_size: number of code units.
        share: share of the batch that each unit keeps, above 0 and at most 1.
    """

    differs = True

    def __init__(self, *, code_size: int, share: float) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        self.share = share

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        return self.as_trained(a) if self.training else Bottled(a.relu() * self.active, {})

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: with the sparsity."""
        p = a.relu() * self.active
        values, samples = p.topk(max(1, round(self.share * len(p))), dim=0)
        return Bottled(torch.zeros_like(p).scatter(0, samples, values), {})

    def slope(self, a: Tensor) -> None:  # noqa: ARG002
        """None: what is kept depends on the batch."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: rectified."""
        return Switched()


class JumpReLU(Bottleneck):
    """A code whose units have learned thresholds, with a penalty on how many are on.

    h_j = a_j H(a_j - d t_j),   l0 = 1/B sum_b sum_j H(a_bj - d t_j),   t_j > 0

    Thresholds and kernel are in units of d, the deviation of all encoder outputs over the first training batch, so that
    one setting suits any data and model. The mean number of units that are on, `l0`, is weighted with lambda. The
    step function H has no gradient; the thresholds are trained through a rectangular kernel K(u) = [|u| < 1/2] of
    width e, with a in units of d:

    d H(a - t) / dt = -1/e K((a - t) / e),   d h / dt = -t/e K((a - t) / e)

    Reference: Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders (Rajamanoharan et
    al., 2024), whose inputs are scaled instead.

    Args:
        code_size: number of code units.
        weight: lambda, at least 0.
        threshold: t at the start, above 0.
        bandwidth: e, above 0.
    """

    weight: Tensor
    deviation: Tensor

    def __init__(self, *, code_size: int, weight: float, threshold: float, bandwidth: float) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        check_level("weight", weight)
        check_above("threshold", threshold)
        check_above("bandwidth", bandwidth)
        self.register_buffer("weight", torch.tensor(weight))
        self.register_buffer("deviation", torch.tensor(0.0))  # no step has been made
        self.bandwidth = bandwidth
        self.log_threshold = torch.nn.Parameter(torch.full((code_size,), math.log(threshold)))

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
        t = self.log_threshold.exp()
        on = _Step.apply(a / d, t, self.bandwidth) * self.active
        code = _Jump.apply(a / d, t, self.bandwidth) * d * self.active
        return Bottled(code, {"l0": Term(on.sum(dim=1).mean(), self.weight)})

    def _unit(self, a: Tensor) -> Tensor:
        return torch.where(self.deviation > 0, self.deviation, 1.0).to(a)

    def slope(self, a: Tensor) -> Tensor:
        """1 where a unit is on, 0 where it is off."""
        return (a > self._unit(a) * self.log_threshold.exp()).to(a.dtype) * self.active

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: a unit below its threshold is exactly zero."""
        return Switched()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # Earlier versions had thresholds in units of the encoder outputs themselves.
        state_dict.setdefault(f"{prefix}deviation", torch.tensor(1.0))
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


@torch.no_grad()
def _count_idle(idle: Tensor, code: Tensor, active: Tensor) -> None:
    """One more step for the active units that are zero in all codes (B, code_size) of a training step, 0 for others."""
    on = (code != 0).any(dim=0) | (active == 0)
    idle.copy_(torch.where(on, 0, idle + 1))


def _kept(key: str, k: int, code_size: int) -> int:
    if not 1 <= k <= code_size:
        raise ValueError(f"{key} must be from 1 to code_size={code_size}, got {k}")
    return k
