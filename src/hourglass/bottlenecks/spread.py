"""Encoder outputs brought to one mean and deviation, unit by unit, before a choice is made of them.

    b_j = d (a_j - m_j) / sqrt(v_j + eps)

with mean m_j and variance v_j over the batch in a training step, over the batches so far otherwise: batch normalisation
(Ioffe & Szegedy, 2015) without a learned scale. A discrete choice saturates where its logits are all on one side, and
has no gradient there to come back: of logits around 0 each bit is 1 for about half of the samples. Values that are
rounded stay at one level for all samples where they vary by less than it is wide.
"""

import torch
from torch import Tensor, nn

from hourglass.system.checks import check_above

__all__ = ["EPS", "Spread", "spread"]

EPS = 1e-5


class Spread(nn.Module):
    """See the module.

    Args:
        units: number of encoder outputs.
        deviation: d, above 0.
        decay: share of the old running mean and variance that a step keeps, from 0 to below 1.

    Raises:
        ValueError: a number out of its range.

    Example:
        >>> Spread(units=3, deviation=4.0)
        Spread(deviation=4, decay=0.99)
    """

    mixes_samples = True
    mean: Tensor
    variance: Tensor
    started: Tensor

    def __init__(self, *, units: int, deviation: float, decay: float = 0.99) -> None:
        super().__init__()
        check_above("deviation", deviation)
        self.deviation = deviation
        self.decay = decay
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("variance", torch.ones(units))
        self.register_buffer("started", torch.tensor(0.0))  # 1 after the first step

    def extra_repr(self) -> str:
        """The settings."""
        return f"deviation={self.deviation:g}, decay={self.decay:g}"

    def forward(self, a: Tensor) -> Tensor:
        """(B, units) to the same shape."""
        if not self.training:
            return self._brought(a, self.mean, self.variance)
        mean, variance = a.mean(dim=0), a.var(dim=0, correction=0)
        with torch.no_grad():
            keep = self.decay * self.started
            self.mean.copy_(keep * self.mean + (1 - keep) * mean)
            self.variance.copy_(keep * self.variance + (1 - keep) * variance)
            self.started.fill_(1.0)
        return self._brought(a, mean, variance)

    def _brought(self, a: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return self.deviation * (a - mean) * (variance + EPS).rsqrt()


def spread(units: int, deviation: float | None) -> nn.Module:
    """`Spread`, or for None what leaves encoder outputs as they come.

    Raises:
        ValueError: a deviation that isn't above 0.
    """
    check_above("deviation", deviation, null=True)
    return nn.Identity() if deviation is None else Spread(units=units, deviation=deviation)
