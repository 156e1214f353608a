"""Samples cut into patches, and what tells the place of each.

An image (C, H, W) with patches of side p has ceil(H / p) ceil(W / p) of them, each of C p^2 values; a signal, or a row,
is cut along its length. What a patch lacks at an edge are zeros, which are cut off again.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["Joined", "Patches", "positions"]


class Patches(nn.Module):
    """Samples (B, *shape) to patches (B, N, values), row by row.

    Args:
        shape: of one sample.
        size: side of a patch.

    Example:
        >>> Patches(shape=(1, 4, 4), size=2)(torch.arange(16.0).view(1, 1, 4, 4))[0, 1]
        tensor([2., 3., 6., 7.])
    """

    def __init__(self, *, shape: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.shape, self.size = shape, size
        self.channels = shape[0] if len(shape) > 1 else 1
        self.sides = shape[1:] if len(shape) > 1 else shape
        self.grid = tuple(-(-side // size) for side in self.sides)
        self.values = self.channels * size ** len(self.grid)

    def extra_repr(self) -> str:
        """The settings."""
        return f"shape={self.shape}, size={self.size}"

    @property
    def _split(self) -> list[int]:
        return [each for side in self.grid for each in (side, self.size)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) to (B, N, values)."""
        x = x.reshape(x.shape[0], self.channels, *self.sides)
        missing = [side * self.size - have for side, have in zip(self.grid, self.sides, strict=True)]
        x = F.pad(x, [each for gap in reversed(missing) for each in (0, gap)])
        x = x.reshape(x.shape[0], self.channels, *self._split)
        among = range(2, 2 + len(self._split), 2)  # the axes of the grid, each before its side of a patch
        x = x.permute(0, *among, 1, *(axis + 1 for axis in among))
        return x.reshape(x.shape[0], math.prod(self.grid), self.values)

    def joined(self, patches: Tensor) -> Tensor:
        """(B, N, values) to (B, *shape)."""
        ways = len(self.grid)
        x = patches.reshape(patches.shape[0], *self.grid, self.channels, *[self.size] * ways)
        x = x.permute(0, 1 + ways, *(axis for way in range(ways) for axis in (1 + way, 2 + ways + way)))
        x = x.reshape(x.shape[0], self.channels, *(side * self.size for side in self.grid))
        for way, side in enumerate(self.sides):
            x = x.narrow(2 + way, 0, side)
        return x.reshape(x.shape[0], *self.shape)


class Joined(nn.Module):
    """Patches (B, N, values) to samples (B, *shape): see `Patches.joined`."""

    def __init__(self, cut: Patches) -> None:
        super().__init__()
        self._cut = (cut,)  # in a tuple: it is the encoder's module

    @override
    def forward(self, patches: Tensor) -> Tensor:
        return self._cut[0].joined(patches)


def positions(grid: Sequence[int], width: int) -> Tensor:
    """The fixed codes of the places of a grid, (N, width): sines and cosines of each coordinate, side by side.

        p(i)_k = sin(i w_k), p(i)_{k + K} = cos(i w_k),    w_k = 10000^(-k / K),  K = width / 2 over the coordinates

    References: Attention is all you need (Vaswani et al., 2017); He et al. (2022), for images.

    Example:
        >>> positions([3], 4)[1]
        tensor([0.8415, 0.0100, 0.5403, 0.9999])
    """
    each = width // len(grid)
    frequency = 10_000 ** (-torch.arange(each // 2) / (each // 2))
    places = torch.cartesian_prod(*(torch.arange(float(side)) for side in grid)).view(-1, len(grid))
    angles = places[:, :, None] * frequency  # (N, coordinates, K)
    return torch.cat([angles.sin(), angles.cos()], dim=2).flatten(1)
