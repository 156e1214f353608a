"""Convolutional autoencoders over images.

Each stage of the encoder convolves, halves height and width by max-pooling and applies the activation;
each stage of the decoder convolves, applies the activation and doubles height and width.

    encoder stage:  a_l = s(pool(W_l * a_{l-1} + b_l))
    decoder stage:  c_l = up(s(V_l * c_{l-1} + d_l))

Pooling stands before the activation: for a monotone activation the maximum of the activations is the
activation of the maximum, with a quarter of the work.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Bottleneck
from hourglass.models.autoencoder import Autoencoder, exact_squared_jacobian

UPSAMPLINGS = ("nearest", "transposed")
PADDINGS = ("same", "valid")


class Conv(Autoencoder):
    """A convolutional autoencoder over images (channels, height, width).

    `depth` counts the stages of the encoder, each of which halves the image, an odd size being rounded up.
    For MNIST (1x28x28), widths [16, 8, 8] and code_size null:

    - encoder 28-14-7-4, code 8x4x4 = 128 values;
    - decoder 4-8-16-28: an upsampled map that is larger than the encoder's at the same stage is cut to it
      (8 to 7), so that any image size comes back whole; with decoder_padding [same, same, valid, same] nothing
      is cut: the third convolution of the decoder takes no padding, and the sizes are 4-8-16-14-28.

    Depth 0 is a single convolution on each side.

    Reference: Stacked convolutional auto-encoders for hierarchical feature extraction (Masci et al., 2011).

    Args:
        shape: (channels, height, width) of one image.
        code_size: null: the code is the last stage's map, flattened; a number: a dense layer makes a code of that
            size from the map and another one the map from the code. At most the number of values of the map.
        depth: stages of the encoder, at least 0, at most what halving leaves of the image.
        widths: channels of each stage; null: 16 in the first and 8 in each further one.
        decoder_widths: channels of each stage of the decoder; null: the mirror image.
        kernel_size: side of every kernel in pixels; odd.
        upsampling: `nearest` repeats each value 2x2 after the convolution; `transposed` makes convolution and
            doubling one transposed convolution with stride 2.
        decoder_padding: `same` or `valid` for each of the decoder's depth + 1 convolutions; null: all `same`.
        activation: activation of the stages.
        output_activation: activation of the reconstruction.
        bottleneck: builds the bottleneck from the code size.

    Raises:
        ValueError: data that are no images, a number out of its range, lists that don't fit the depth, a decoder
            that doesn't come back to the size of the input.
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int | None,
        depth: int,
        widths: Sequence[int] | None,
        decoder_widths: Sequence[int] | None,
        kernel_size: int,
        upsampling: Literal["nearest", "transposed"],
        decoder_padding: Sequence[Literal["same", "valid"]] | None,
        activation: str,
        output_activation: str,
        bottleneck: Callable[..., Bottleneck],
    ) -> None:
        shape = tuple(shape)
        if len(shape) != 3:
            raise ValueError(
                f"a convolution needs images (channels, height, width), got rows of shape {shape};"
                " model=vanilla and model=multilayer take rows"
            )
        channels, height, width = shape
        deepest = (min(height, width) - 1).bit_length()
        if not 0 <= depth <= deepest:
            raise ValueError(
                f"depth must be from 0 to {deepest} for images of {height}x{width} (each stage halves them),"
                f" got {depth}"
            )
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 1, got {kernel_size}")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got {upsampling!r}")
        stages = list(widths) if widths is not None else [16, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8][:depth]
        mirrored = list(decoder_widths) if decoder_widths is not None else stages[::-1]
        paddings = list(decoder_padding) if decoder_padding is not None else ["same"] * (depth + 1)
        for key, values in (("widths", stages), ("decoder_widths", mirrored)):
            if len(values) != depth:
                raise ValueError(f"{key} must list one width for each of depth={depth} stages or be null, got {values}")
            if any(value < 1 for value in values):
                raise ValueError(f"{key} must be at least 1, got {values}")
        if len(paddings) != depth + 1 or any(padding not in PADDINGS for padding in paddings):
            raise ValueError(
                f"decoder_padding must list same or valid for each of the decoder's {depth + 1} convolutions or"
                f" be null, got {paddings}"
            )

        sizes = [(height, width)]
        for _ in range(depth):
            sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))  # type: ignore[arg-type]
        # Depth 0 has no stage whose map could be the code: there the image's own channels are.
        code_shape = (stages[-1] if stages else channels, *sizes[-1])
        features = int(torch.Size(code_shape).numel())
        if code_size is not None and not 1 <= code_size <= features:
            raise ValueError(
                f"code_size must be from 1 to {features}, the values of the last stage's"
                f" {'x'.join(map(str, code_shape))} map, or null for the map itself, got {code_size}"
            )
        neck = bottleneck(code_size=features if code_size is None else code_size)

        encoder: list[nn.Module] = []
        for before, after in pairwise([channels, *stages]):
            encoder += [
                nn.Conv2d(before, after, kernel_size, padding="same"),
                # ceil_mode keeps the last row and column of an odd size: 7 becomes 4.
                nn.MaxPool2d(2, ceil_mode=True),
                build_activation(activation),
            ]
        if not stages:
            encoder += [
                nn.Conv2d(channels, channels, kernel_size, padding="same"),
                build_activation(activation),
            ]
        decoder: list[nn.Module] = []
        if code_size is None:
            # The bottleneck brings the last activation.
            encoder[-1] = nn.Flatten()
            decoder.append(nn.Unflatten(1, code_shape))
            if neck.inputs != features:
                raise ValueError(
                    f"code_size null gives the bottleneck {features} values, but it needs {neck.inputs}: set code_size"
                )
        else:
            encoder += [nn.Flatten(), nn.Linear(features, neck.inputs)]
            decoder += [
                nn.Linear(code_size, features),
                build_activation(activation),
                nn.Unflatten(1, code_shape),
            ]

        exact = all(padding == "same" for padding in paddings)
        channels_before, size = code_shape[0], sizes[-1]
        for stage, (after, target) in enumerate(zip(mirrored, sizes[-2::-1] if depth else [], strict=True)):
            up = _Up(
                before=channels_before,
                after=after,
                size=size,
                kernel_size=kernel_size,
                upsampling=upsampling,
                padding=paddings[stage],
                activation=activation,
                crop=target if exact else None,
            )
            decoder.append(up)
            channels_before, size = after, up.size
        if depth and upsampling == "nearest" and paddings[-1] == "same" and not up.cuts:
            # The last doubling and the last convolution, most of the decoder's work, as one.
            up.repeats = False
            decoder.append(DoublingConv2d(channels_before, channels, kernel_size))
        else:
            decoder.append(nn.Conv2d(channels_before, channels, kernel_size, padding=paddings[-1]))
        if paddings[-1] == "valid":
            size = (size[0] - kernel_size + 1, size[1] - kernel_size + 1)
        if size != (height, width):
            raise ValueError(
                f"decoder_padding {paddings} leads to images of {size[0]}x{size[1]}, the input has {height}x{width}"
            )
        super().__init__(
            shape=shape,
            encoder=nn.Sequential(*encoder),
            bottleneck=neck,
            decoder=nn.Sequential(*decoder),
            output_activation=output_activation,
        )
        # On a CPU convolutions in this layout are 2 to 3 times faster, on a GPU with tensor cores too.
        self.to(memory_format=torch.channels_last)

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; exact, by differentiation."""
        return exact_squared_jacobian(self.encode, x)


class _Up(nn.Module):
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
