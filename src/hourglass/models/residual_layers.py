"""The layers of residual convolutional autoencoders.

    block        y = k * x + c_2 * s(n_2(c_1 * s(n_1(x))))       k a 1x1 convolution where channels change, else 1
    attention    y = x + o * Σ_p softmax_p(q · k_p / √C) v_p     over all places p of the map, q, k, v of n(x)
    down, up     a convolution at every other place; each value repeated 2x2, cut, and a convolution

with n group normalisation, which looks at one sample alone, and s the activation.

References: Deep residual learning (He et al., 2016); Group normalization (Wu & He, 2018); Taming transformers for
high-resolution image synthesis (Esser et al., 2021), whose autoencoder they are of.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.activations import activation as build_activation

__all__ = ["Attention", "Doubling", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3, each after norm and activation, added to what came in.

    Args:
        before: channels of the map that comes in.
        after: channels of the map that goes out.
        groups: of the norms; divides both.
        activation: name of the activation.
    """

    def __init__(self, *, before: int, after: int, groups: int, activation: str) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.GroupNorm(groups, before),
            build_activation(activation),
            nn.Conv2d(before, after, 3, padding=1),
            nn.GroupNorm(groups, after),
            build_activation(activation),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.kept = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, H, W)."""
        y: Tensor = self.kept(x) + self.change(x)
        return y


class Attention(nn.Module):
    """Each place takes from all places, by one head, what is like it.

    Args:
        channels: of the map.
        groups: of the norm; divides the channels.
    """

    def __init__(self, *, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        # No bias: that of the keys adds the same to all places, so that the softmax takes no notice of it.
        self.asked = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        q, k, v = self.asked(self.norm(x)).flatten(2).chunk(3, dim=1)  # (B, C, P) each
        weights = (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(dim=2)  # (B, P, P)
        taken: Tensor = self.out((v @ weights.transpose(1, 2)).view_as(x))
        return x + taken


class Doubling(nn.Module):
    """Height and width doubled by repetition, cut, and a convolution of 3x3.

    Args:
        channels: of the map.
        size: height and width that the doubled map is cut to.
    """

    def __init__(self, *, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def extra_repr(self) -> str:
        """The settings."""
        return f"size={self.size}"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C, *size)."""
        high, wide = self.size
        doubled = F.interpolate(x, scale_factor=2, mode="nearest")[:, :, :high, :wide]
        y: Tensor = self.convolution(doubled)
        return y
