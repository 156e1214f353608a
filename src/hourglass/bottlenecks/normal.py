"""Normal distributions of independent units, and small nets that give one.

N(z; m, s^2) = prod_j (2 pi s_j^2)^(-1/2) exp(-(z_j - m_j)^2 / 2 s_j^2),    v = ln s^2
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["Gives", "Normal", "together"]


class Normal(NamedTuple):
    """A normal distribution of independent units."""

    mean: Tensor
    """(..., units)."""
    log_variance: Tensor
    """(..., units)."""

    def draw(self) -> Tensor:
        """A value of each unit."""
        return self.mean + (0.5 * self.log_variance).exp() * torch.randn_like(self.mean)

    def log_density(self, z: Tensor) -> Tensor:
        """Of each unit: -1/2 ((z - m)^2 / s^2 + ln s^2 + ln 2 pi)."""
        square = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (square + self.log_variance + math.log(2 * math.pi))

    def divergence(self, other: "Normal") -> Tensor:
        """KL(self, other) of each unit, 1/2 (s^2 / t^2 + (m - n)^2 / t^2 - 1 - ln s^2 / t^2)."""
        ratio = self.log_variance - other.log_variance
        square = (self.mean - other.mean).square() * (-other.log_variance).exp()
        return 0.5 * (ratio.exp() + square - 1 - ratio)


class Gives(nn.Module):
    """A hidden layer of rectifiers, and a normal distribution of what it knows.

    Mean and variance have layers of their own, not one in two blocks, so that a smaller one is the beginning of a
    larger one: that is how models of different code sizes stack.

    Args:
        given: units of each tensor that goes in.
        width: units of the hidden layer.
        size: units of the distribution.
    """

    def __init__(self, given: Sequence[int], width: int, size: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(units, width) for units in given)
        self.mean, self.log_variance = nn.Linear(width, size), nn.Linear(width, size)

    @override
    def forward(self, *given: Tensor) -> tuple[Tensor, Normal]:
        parts = [layer(each) for layer, each in zip(self.hidden, given, strict=True)]
        hidden = cast(Tensor, sum(parts[1:], parts[0])).relu()
        return hidden, Normal(self.mean(hidden), self.log_variance(hidden))


def together(one: Normal, other: Normal) -> Normal:
    """The product of two normal densities, normed: means weighted by the precisions, which add up.

    Example:
        >>> zero = torch.zeros(1)
        >>> together(Normal(zero + 1, zero), Normal(zero + 3, zero)).mean
        tensor([2.])
    """
    share = (other.log_variance - one.log_variance).sigmoid()  # of the precision that is the first one's
    mean = share * one.mean + (1 - share) * other.mean
    return Normal(mean, -torch.logaddexp(-one.log_variance, -other.log_variance))
