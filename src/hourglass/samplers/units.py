"""Codes in units of their own: u_j = (h_j - mean_j) / deviation_j, so that small and large codes are fitted alike."""

import torch
from torch import Tensor, nn

_ROUNDING = 1e-6  # of a unit's mean: what it varies by less is rounding in 32 bits


class Units(nn.Module):
    """The mean and the deviation of every unit, known once it has been fitted.

    A unit that never changes has deviation 0, and its mean in every draw. In units of its own it is noise N(0, 1),
    which has a density, as a constant has none.

    Args:
        code_size: number of code units.

    Example:
        >>> units = Units(code_size=2)
        >>> units.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))[:, 0]
        tensor([-1.,  1.])
        >>> units.undo(torch.tensor([[2.0, 2.0]]))
        tensor([[4., 5.]])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, code_size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(code_size))
        self.register_buffer("deviation", torch.zeros(code_size))

    def fit(self, codes: Tensor) -> Tensor:
        """Learn from codes (N, code_size), and give them in their own units, float32."""
        h = codes.detach().double()
        mean, deviation = h.mean(0), h.std(0, correction=0)
        deviation[deviation <= _ROUNDING * mean.abs()] = 0
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        units = ((h - mean) / deviation.where(deviation > 0, 1.0)).float()
        noise = torch.randn(h.shape, generator=torch.Generator().manual_seed(0)).to(units)
        return torch.where(deviation > 0, units, noise)

    def undo(self, units: Tensor) -> Tensor:
        """(count, code_size) in their own units to codes."""
        return self.mean + self.deviation * units
