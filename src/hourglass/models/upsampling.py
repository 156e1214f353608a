"""How a convolutional decoder doubles height and width: c_l = up(s(V_l * c_{l-1} + d_l))."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.activations import activation as build_activation


class Up(nn.Module):
    """One stage of the decoder: convolve, activate, double, and cut to `crop` (height, width) if given."""

    def __init__(
        self,
        *,
        before: int,
        after: int,
        size: tuple[int, int],
        kernel_size: int,
        upsampling: str,
        padding: str,
        activation: str,
        crop: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        margin = kernel_size // 2 if padding == "same" else 0
        lost = 2 * (kernel_size // 2 - margin)
        doubled = (2 * (size[0] - lost), 2 * (size[1] - lost))
        self.size = crop or doubled  # height and width after this stage
        self.cuts = self.size != doubled
        self.transposed = upsampling == "transposed"
        self.repeats = not self.transposed
        self.convolution: nn.Module
        if self.transposed:
            if padding == "valid":
                raise ValueError("decoder_padding valid goes with upsampling nearest, got transposed")
            self.convolution = nn.ConvTranspose2d(
                before, after, kernel_size, stride=2, padding=margin, output_padding=1
            )
        else:
            self.convolution = nn.Conv2d(before, after, kernel_size, padding=margin)
        self.activation = build_activation(activation)

    def forward(self, c: Tensor) -> Tensor:
        c = self.activation(self.convolution(c))
        if self.repeats:
            c = F.interpolate(c, scale_factor=2, mode="nearest")
        return c[:, :, : self.size[0], : self.size[1]] if self.cuts else c


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
