"""Rectified codes whose gate, which units are on, is apart from their magnitude, how far.

    h_j = H(a_j) relu(exp(r_j) a_j + b_j),    H(u) = [u > 0]

A price on the activity of a rectified code also shrinks what it keeps. Here the price is on the gate alone, which
learns from a reconstruction of its own what is worth being on; no gradient goes through H.

    gate                  1/B sum_b sum_j relu(a_bj),    weighted with lambda
    gate_reconstruction   the loss of sg(g)(relu(a)), by a decoder that is held
"""

import math

import torch
from torch import Tensor, nn

from hourglass.bottlenecks.activity import Activity, Switched
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck, count_idle
from hourglass.losses import Term
from hourglass.system.checks import check_level

__all__ = ["Gated"]


class Gated(Bottleneck):
    """A gated code: one layer of weights for both paths, with a scale exp(r) and a bias b of the magnitudes.

    The reference writes the magnitude's path as exp(r_j) (W x)_j + b'_j; with a = W x + c that is b' = b + exp(r) c.
    Decoder and price go together as in L1: the decoder needs atoms of norm 1, as `model=dictionary` has.

    Reference: Improving dictionary learning with gated sparse autoencoders (Rajamanoharan et al., 2024).

    Args:
        code_size: number of code units.
        weight: lambda, at least 0.

    Example:
        >>> Gated(code_size=8, weight=0.01)
        Gated(code_size=8, weight=0.01)
    """

    weight: Tensor
    idle: Tensor

    def __init__(self, *, code_size: int, weight: float = 1e-3) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(0.0, math.inf))
        check_level("weight", weight)
        self.register_buffer("weight", torch.tensor(weight))
        self.register_buffer("idle", torch.zeros(code_size, dtype=torch.int64))
        self.log_scale = nn.Parameter(torch.zeros(code_size))
        self.bias = nn.Parameter(torch.zeros(code_size))

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, weight={self.weight.item():g}"

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; the loss term is `gate`."""
        code = self._magnitude(a).relu() * (a > 0) * self.active
        if self.training:
            count_idle(self.idle, code, self.active)
        gate = (a.relu() * self.active).sum(dim=1).mean()
        return Bottled(code, {"gate": Term(gate, self.weight)})

    def auxiliary(self, a: Tensor) -> dict[str, Tensor]:
        """See `HasAuxiliary`: what the gate's own activations reconstruct."""
        return {"gate_reconstruction": a.relu() * self.active}

    def _magnitude(self, a: Tensor) -> Tensor:
        return self.log_scale.exp() * a + self.bias

    def slope(self, a: Tensor) -> Tensor:
        """exp(r) where a unit is on, 0 where it is off."""
        on = (a > 0) & (self._magnitude(a) > 0)
        return on.to(a.dtype) * self.log_scale.exp() * self.active

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: a unit whose gate is shut is exactly zero."""
        return Switched()
