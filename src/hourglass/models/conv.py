"""Convolutional autoencoders over images.

Each stage of the encoder convolves, halves height and width by max-pooling (or by the convolution's stride) and applies
the activation;
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
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Bottleneck
from hourglass.models.autoencoder import Autoencoder, Stage, exact_squared_jacobian, initialise
from hourglass.models.layers import UnitNormLinear
from hourglass.models.upsampling import DoublingConv2d, Up

DOWNSAMPLINGS = ("pooling", "stride")
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
        dense_widths: dense hidden layers between the encoder's map and a dense code; empty: none.
        decoder_dense_widths: the same between a dense code and the decoder's map; null: the mirror image.
        kernel_size: side of every kernel in pixels; odd.
        downsampling: `pooling` halves the map by the maxima of 2x2 values; `stride` convolves at every other place
            only, a quarter of the work.
        upsampling: `nearest` repeats each value 2x2 after the convolution; `transposed` makes convolution and
            doubling one transposed convolution with stride 2.
        decoder_padding: `same` or `valid` for each of the decoder's depth + 1 convolutions; null: all `same`.
        unit_norm: whether the decoder's weight vector of each unit of a dense code has norm 1, see `UnitNormLinear`.
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
        dense_widths: Sequence[int],
        decoder_dense_widths: Sequence[int] | None,
        kernel_size: int,
        downsampling: Literal["pooling", "stride"],
        upsampling: Literal["nearest", "transposed"],
        decoder_padding: Sequence[Literal["same", "valid"]] | None,
        unit_norm: bool,
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
        if downsampling not in DOWNSAMPLINGS:
            raise ValueError(f"downsampling must be one of {', '.join(DOWNSAMPLINGS)}, got {downsampling!r}")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got {upsampling!r}")
        stages = list(widths) if widths is not None else [16, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8][:depth]
        mirrored = list(decoder_widths) if decoder_widths is not None else stages[::-1]
        paddings = list(decoder_padding) if decoder_padding is not None else ["same"] * (depth + 1)
        for key, values in (("widths", stages), ("decoder_widths", mirrored)):
            if len(values) != depth:
                raise ValueError(f"{key} must list one width for each of depth={depth} stages or be null, got {values}")
        dense = list(dense_widths)
        decoder_dense = list(decoder_dense_widths) if decoder_dense_widths is not None else dense[::-1]
        for key, values in (
            ("widths", stages),
            ("decoder_widths", mirrored),
            ("dense_widths", dense),
            ("decoder_dense_widths", decoder_dense),
        ):
            if any(value < 1 for value in values):
                raise ValueError(f"{key} must be at least 1, got {values}")
        if code_size is None and (dense or decoder_dense):
            raise ValueError(f"dense_widths need a dense code: set code_size, got null and {dense or decoder_dense}")
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
        if unit_norm and code_size is None:
            raise ValueError("unit_norm needs a dense code: set code_size, got null")
        neck = bottleneck(code_size=features if code_size is None else code_size)

        encoder: list[nn.Module] = []
        strided = downsampling == "stride"
        for before, after in pairwise([channels, *stages]):
            encoder.append(nn.Conv2d(before, after, kernel_size, stride=2 if strided else 1, padding=kernel_size // 2))
            if not strided:
                # ceil_mode keeps the last row and column of an odd size, as the stride does: 7 becomes 4.
                encoder.append(nn.MaxPool2d(2, ceil_mode=True))
            encoder.append(build_activation(activation))
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
            encoder.append(nn.Flatten())
            for before, after in pairwise([features, *dense]):
                encoder += [nn.Linear(before, after), build_activation(activation)]
            encoder.append(nn.Linear(dense[-1] if dense else features, neck.inputs))
            first, *further = [nn.Linear(*sizes) for sizes in pairwise([code_size, *decoder_dense, features])]
            for layer in (UnitNormLinear(first) if unit_norm else first, *further):
                decoder += [layer, build_activation(activation)]
            decoder.append(nn.Unflatten(1, code_shape))

        exact = all(padding == "same" for padding in paddings)
        channels_before, size = code_shape[0], sizes[-1]
        for stage, (after, target) in enumerate(zip(mirrored, sizes[-2::-1] if depth else [], strict=True)):
            up = Up(
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
        initialise(self.encoder)
        initialise(self.decoder)
        # On a CPU convolutions in this layout are 2 to 3 times faster, on a GPU with tensor cores too.
        self.to(memory_format=torch.channels_last)
        self.depth, self.strided, self.dense = depth, strided, code_size is not None
        self.dense_widths, self.decoder_dense_widths = dense, decoder_dense
        self.widths, self.decoder_widths, self.decoder_padding = stages, mirrored, paddings

    def stages(self) -> list[Stage]:
        """See `Autoencoder.stages`: a stage for each halving, and one for a dense code.

        The decoder has a convolution more than the encoder, in the outermost stage: so what comes out of each stage
        has the channels that went in if decoder_widths is the mirror image shifted by one. For widths [16, 8, 8] that
        is [8, 16, n] with any n.
        """
        fitting = self.widths[:-1][::-1]
        if self.decoder_widths[:-1] != fitting:
            raise ValueError(
                f"decoder_widths must start with {fitting}, before a last one of any size, for a model of stages of"
                f" widths {self.widths}, got {self.decoder_widths}"
            )
        if any(padding != "same" for padding in self.decoder_padding):
            raise ValueError(f"decoder_padding must be null for a model of stages, got {self.decoder_padding}")
        # Convolution, pooling if there is any, and activation or what flattens the code.
        encoder = [2 if self.strided else 3] * self.depth or [2]
        decoder = [1] * len(encoder)
        decoder[-1] += 1 if self.depth else 0  # the last convolution
        if self.dense:  # flatten, (linear, activation)..., linear; (linear, activation)..., unflatten
            down, up = 2 + 2 * len(self.dense_widths), 3 + 2 * len(self.decoder_dense_widths)
            return self._cut([*encoder, down], [up, *decoder])
        decoder[0] += 1  # unflatten
        return self._cut(encoder, decoder)

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; exact, by differentiation."""
        return exact_squared_jacobian(self.encode, x)
