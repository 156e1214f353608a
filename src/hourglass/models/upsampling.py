"""How a convolutional decoder doubles height and width, or a length: c_l = up(s(V_l * c_{l-1} + d_l))."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.activations import activation as build_activation

__all__ = ["CONVOLUTIONS", "DoublingConv1d", "DoublingConv2d", "Up"]

CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
"""By how many directions a map has: signals have one, images two."""


class Up(nn.Module):
    """One stage of the decoder: convolve, activate, double, and cut.

    Example:
        >>> up = Up(before=2, after=3, kernel_size=3, upsampling="nearest", padding="same", activation="relu")
        >>> up(torch.zeros(1, 2, 4, 4)).shape
        torch.Size([1, 3, 8, 8])

    Args:
        before: channels of the map that comes in.
        after: channels of the map that goes out.
        kernel_size: side of the kernel in pixels; odd.
        upsampling: `nearest` or `transposed`, see `Conv`.
        padding: `same`; or `valid` with `nearest`, for a map that is smaller by kernel_size - 1 before it is doubled.
        activation: name of the activation.
        size: height and width, or length, that the doubled map is cut to; None: it is not cut.
        repeats: whether values are repeated here, for `nearest`; else a `DoublingConv2d` comes next, which doubles.
        directions: 2 for images, 1 for signals.
    """

    def __init__(
        self,
        *,
        before: int,
        after: int,
        kernel_size: int,
        upsampling: str,
        padding: str,
        activation: str,
        size: tuple[int, ...] | None = None,
        repeats: bool = True,
        directions: int = 2,
    ) -> None:
        super().__init__()
        margin = kernel_size // 2 if padding == "same" else 0
        self.convolution: nn.Module
        if upsampling == "transposed":
            transposed = nn.ConvTranspose1d if directions == 1 else nn.ConvTranspose2d
            self.convolution = transposed(before, after, kernel_size, stride=2, padding=margin, output_padding=1)
        else:
            self.convolution = CONVOLUTIONS[directions](before, after, kernel_size, padding=margin)
        self.activation = build_activation(activation)
        self.repeats = repeats and upsampling == "nearest"
        self.size = size

    def extra_repr(self) -> str:
        """The settings."""
        return f"repeats={self.repeats}, size={self.size}"

    def forward(self, c: Tensor) -> Tensor:
        """(B, before, H, W) or (B, before, L) to (B, after, *size)."""
        c = self.activation(self.convolution(c))
        if self.repeats:
            c = F.interpolate(c, scale_factor=2, mode="nearest")
        for axis, side in enumerate(self.size or (), start=2):
            c = c.narrow(axis, 0, side)
        return c


class DoublingConv1d(nn.Conv1d):
    """The convolution of a signal doubled by repetition, conv(up(c)).

    Args:
        before: channels of the short signal.
        after: channels of the doubled one.
        kernel_size: length of the kernel; odd. The signal is padded with zeros to keep its length.

    Example:
        >>> DoublingConv1d(2, 3, 5)(torch.zeros(1, 2, 4)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, before: int, after: int, kernel_size: int) -> None:
        super().__init__(before, after, kernel_size, padding="same")

    def forward(self, c: Tensor) -> Tensor:
        """(B, before, L) to (B, after, 2L)."""
        return super().forward(F.interpolate(c, scale_factor=2, mode="nearest"))


class DoublingConv2d(nn.Conv2d):
    """The convolution of an image doubled by repetition: conv(up(c)), computed without making up(c).

    Of a doubled image each kernel tap meets a value that its neighbour may meet too, so that for each of the four
    positions (a, b) of a pixel within its 2x2 block the kernel amounts to a smaller one on the small image,

        up-conv(c)[2i + a, 2j + b] = sum_mn  (P_a w P_b^T)[m, n]  c[i + m - s, j + n - s]

    where P_a (2s + 1, k) adds the taps that fall on the same value. The same function with less work and memory:
    the weights are those of the plain convolution, and results agree to rounding.

    Args:
        before: channels of the small image.
        after: channels of the doubled one.
        kernel_size: side k of the kernel; odd. The image is padded with zeros to keep its size.

    Example:
        >>> DoublingConv2d(2, 3, 5)(torch.zeros(1, 2, 4, 4)).shape
        torch.Size([1, 3, 8, 8])
    """

    phases: Tensor

    def __init__(self, before: int, after: int, kernel_size: int) -> None:
        super().__init__(before, after, kernel_size, padding="same")
        radius = kernel_size // 2
        self.reach = (radius + 1) // 2  # s
        phases = torch.zeros(2, 2 * self.reach + 1, kernel_size)
        for phase in range(2):
            for tap in range(kernel_size):
                phases[phase, (phase + tap - radius) // 2 + self.reach, tap] = 1
        self.register_buffer("phases", phases, persistent=False)

    def forward(self, c: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, 2H, 2W)."""
        small = torch.einsum("amk,bnl,ockl->oabcmn", self.phases, self.phases, self.weight)
        small = small.flatten(0, 2)  # (4 after, before, 2s + 1, 2s + 1)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return F.pixel_shuffle(F.conv2d(c, small, bias, padding=self.reach), 2)
