"""Finite scalar quantization: each value is bounded and rounded, and the codebook is the grid of all combinations.

    b(a) = H tanh(a + s) - o,    q = round(b(a)),    h = q / floor(L / 2)

with L levels of a value, H = (L - 1)(1 + eps) / 2, and o = 1/2 for an even L, else 0; s = atanh(o / H) lets b(0) be 0.
Values may be spread first (see `hourglass.bottlenecks.spread`): as they come, some never leave the level of 0.

Groups of d values with levels L_1 ... L_d have one of K = L_1 ... L_d entries. Nothing is learned of them, so that none
can die, and no further loss is needed.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks.activity import Activity, Varying
from hourglass.bottlenecks.bottleneck import Bottled, Bottleneck
from hourglass.bottlenecks.codebook import passed
from hourglass.bottlenecks.spread import spread

__all__ = ["FiniteScalar"]

_EPS = 1e-3  # by which the outermost levels are reached before tanh is 1
_MOST = 256
_LARGEST = 2**20


class FiniteScalar(Bottleneck):
    """A code on a fixed grid, without a codebook to learn.

    The gradient of the rounding is the identity's, and it has no loss terms. There is no prior to draw from, as of
    `VectorQuantized`.

    Reference: Finite scalar quantization: VQ-VAE made simple (Mentzer et al., 2024), which takes [8, 6, 5] in place of
    256 entries, [8, 5, 5, 5] of 1,024 and [7, 5, 5, 5, 5] of 4,096.

    Args:
        code_size: number of code units, a multiple of how many levels are listed.
        levels: L of each value of a group, each from 2 to 256; together at most 2^20 entries.
        deviation: of the values before they are bounded, above 0; null: as they come, as in the reference.

    Raises:
        ValueError: levels out of their range, or that don't divide the code.

    Example:
        >>> code = FiniteScalar(code_size=4, levels=[3, 5], deviation=None)
        >>> code
        FiniteScalar(
          code_size=4, levels=[3, 5]
          (spread): Identity()
        )
        >>> code(torch.tensor([[0.1, 9.0, -9.0, -0.5]])).code
        tensor([[ 0.0000,  1.0000, -1.0000, -0.5000]])
    """

    height: Tensor
    offset: Tensor
    shift: Tensor
    steps: Tensor
    place: Tensor

    def __init__(self, *, code_size: int, levels: Sequence[int] = (8, 5, 5, 5), deviation: float | None = 1.0) -> None:
        super().__init__(code_size=code_size, inputs=code_size, code_range=(-1.0, 1.0))
        self.levels = list(levels)
        self.spread = spread(code_size, deviation)
        if not self.levels or not 2 <= min(self.levels) <= max(self.levels) <= _MOST or code_size % len(self.levels):
            raise ValueError(
                f"levels must list numbers from 2 to {_MOST}, as many as divide code_size={code_size},"
                f" got {self.levels}"
            )
        self.entries = math.prod(self.levels)
        if self.entries > _LARGEST:
            raise ValueError(f"levels must make at most {_LARGEST:,} entries, got {self.levels}: {self.entries:,}")
        count = torch.tensor(self.levels)
        offset = torch.where(count % 2 == 0, 0.5, 0.0)
        height = (count - 1) * (1 + _EPS) / 2
        for name, value in (
            ("height", height),
            ("offset", offset),
            ("shift", torch.atanh(offset / height)),
            ("steps", count // 2),
            ("place", torch.tensor([math.prod(self.levels[:at]) for at in range(len(self.levels))])),
        ):
            self.register_buffer(name, value, persistent=False)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{super().extra_repr()}, levels={self.levels}"

    def _bounded(self, a: Tensor) -> Tensor:
        """(B, code_size) to b(a), (B, groups, d)."""
        groups = self.spread(a).reshape(a.shape[0], -1, len(self.levels))
        return self.height * torch.tanh(groups + self.shift) - self.offset

    def forward(self, a: Tensor) -> Bottled:
        """See `Bottleneck.forward`; no loss terms."""
        bounded = self._bounded(a)
        code = passed(bounded, bounded.round(), "straight_through") / self.steps
        return Bottled(code.reshape_as(a) * self.active, {})

    def choices(self, a: Tensor) -> Tensor:
        """See `Symbolic.choices`: the number of each group's entry, (B, code_size / d)."""
        return ((self._bounded(a).round() + self.steps).long() * self.place).sum(dim=2)

    def of_choices(self, choices: Tensor) -> Tensor:
        """See `Spelled.of_choices`: the digits of each number."""
        digits = choices.unsqueeze(2) // self.place % torch.tensor(self.levels, device=choices.device)
        return ((digits - self.steps) / self.steps).flatten(1) * self.active

    def symbols(self, a: Tensor) -> Tensor:
        """See `Symbolic.symbols`: (1, K), of the groups of active units."""
        used = self.active.view(-1, len(self.levels))[:, 0] > 0
        return self.choices(a)[:, used].flatten().bincount(minlength=self.entries).unsqueeze(0)

    @override
    def slope(self, a: Tensor) -> None:
        """None: the code is piecewise constant."""
        return

    def activity(self) -> Activity:
        """See `Bottleneck.activity`: a value is never off, it is in use where it varies."""
        return Varying(least=None)
