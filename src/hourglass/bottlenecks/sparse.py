"""Codes that are sparse by construction: a selection of the units instead of a penalty on all.

With activations p = s(a), rectified ones if nothing else is said, a unit is kept where it is among the largest,

    top_k             of its sample: the k largest of each row
    batch_top_k       of the batch: the B k largest of all
    winner_take_all   of its unit: the share s B largest of each column, so that no unit dies

and zero elsewhere; gradients flow through what is kept. The first two count for how many training steps each unit
has been `idle`, so that a penalty can bring it back.
"""

import math

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.activations import activation as build_activation
from hourglass.activations import activation_range
from hourglass.bottlenecks.activity import Activity, Switched
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, count_idle
from hourglass.bottlenecks.deterministic import KEY
from hourglass.system.checks import check_fraction

__all__ = ["BatchTopK", "TopK", "WinnerTakeAll"]


class TopK(Bottleneck):
    """A k-sparse code: of each sample the k largest activations.

    References: k-sparse autoencoders (Makhzani & Frey, 2013), with linear activations and more units in the test than
    in training; Scaling and evaluating sparse autoencoders (Gao et al., 2024), with rectified ones.

    Args:
        code_size: number of code units.
        k: units kept per sample, from 1 to code_size.
        k_test: units kept outside training, from 1 to code_size; null: k.
        activation: name of the activation s.

    Example:
        >>> TopK(code_size=8, k=2, k_test=None, activation="relu")
        TopK(
          code_size=8, k=2, k_test=2
          (activation): ReLU()
        )
    """

    idle: Tensor

    def __init__(self, *, code_size: int, k: int = 8, k_test: int | None = None, activation: str = "relu") -> None:
        low, high = activation_range(activation, key=KEY)
        super().__init__(code_size=code_size, inputs=code_size, code_range=(min(low, 0.0), max(high, 0.0)))
        self.k = _kept("k", k, code_size)
        self.k_test = self.k if k_test is None else _kept("k_test", k_test, code_size)
        self.differs = self.k_test != self.k
        self.activation = build_activation(activation, key=KEY)
        self.register_buffer("idle", torch.zeros(code_size, dtype=torch.int64))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, k={self.k}, k_test={self.k_test}"

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        if not self.training:
            return Bottled(self._largest(a, self.k_test), {})
        code = self._largest(a, self.k)
        count_idle(self.idle, code, self.active)
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

    @override
    def slope(self, a: Tensor) -> None:
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

    Example:
        >>> BatchTopK(code_size=8, k=2, momentum=0.9)
        BatchTopK(code_size=8, k=2, momentum=0.9)
    """

    mixes_samples = True
    idle: Tensor
    threshold: Tensor
    differs = True

    def __init__(self, *, code_size: int, k: int = 8, momentum: float = 0.99) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        self.k = _kept("k", k, code_size)
        check_fraction("momentum", momentum)
        self.momentum = momentum
        self.register_buffer("threshold", torch.tensor(-1.0))  # below zero: no step has been made
        self.register_buffer("idle", torch.zeros(code_size, dtype=torch.int64))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, k={self.k}, momentum={self.momentum:g}"

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
        count_idle(self.idle, code, self.active)
        return Bottled(code, {})

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: the batch decides, not the threshold."""
        return Bottled(self._largest(a)[0], {})

    def _largest(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """The code (B, code_size), and the smallest activation that is kept in it."""
        p = a.relu() * self.active
        values, places = p.flatten().topk(self.k * len(p))
        return torch.zeros_like(p).flatten().scatter(0, places, values).view_as(p), values[-1]

    @override
    def slope(self, a: Tensor) -> None:
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

    Example:
        >>> WinnerTakeAll(code_size=8, share=0.05)
        WinnerTakeAll(code_size=8, share=0.05)
    """

    mixes_samples = True
    differs = True

    def __init__(self, *, code_size: int, share: float = 0.05) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        self.share = share

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, share={self.share:g}"

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        return self.as_trained(a) if self.training else Bottled(a.relu() * self.active, {})

    def as_trained(self, a: Tensor) -> Bottled:
        """See `Bottleneck.as_trained`: with the sparsity."""
        p = a.relu() * self.active
        values, samples = p.topk(max(1, round(self.share * len(p))), dim=0)
        return Bottled(torch.zeros_like(p).scatter(0, samples, values), {})

    @override
    def slope(self, a: Tensor) -> None:
        """None: what is kept depends on the batch."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: rectified."""
        return Switched()


def _kept(key: str, k: int, code_size: int) -> int:
    if not 1 <= k <= code_size:
        raise ValueError(f"{key} must be from 1 to code_size={code_size}, got {k}")
    return k
