"""Convolutional autoencoders over images, and over signals.

Each stage of the encoder convolves, applies the activation and halves height and width by max-pooling (or by the
convolution's stride); each stage of the decoder convolves, applies the activation and doubles height and width.

    encoder stage:  a_l = pool(s(W_l * a_{l-1} + b_l))
    decoder stage:  c_l = up(s(V_l * c_{l-1} + d_l))

Where the activation is monotone, pooling stands before it: the maximum of the activations is the activation of the
maximum, with a quarter of the work. Where the map itself is the code, the bottleneck brings the last activation, which
comes after pooling whatever it is. Signals (channels, length) are convolved in their one direction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models.autoencoder import Autoencoder, exact_squared_jacobian, initialise
from hourglass.models.layers import dense, in_a_row
from hourglass.models.maps import Maps
from hourglass.models.places import FromPlaces, ToPlaces, bottleneck_of_places
from hourglass.models.staged import Stage, paired
from hourglass.models.upsampling import CONVOLUTIONS
from hourglass.system.checks import check_widths

__all__ = ["Conv"]


class Conv(Autoencoder):
    """A convolutional autoencoder over images (channels, height, width), or over signals (channels, length).

    `depth` counts the stages of the encoder, each of which halves the image, an odd size being rounded up.
    For MNIST (1x28x28), widths [16, 8, 8] and code_size null:

    - encoder 28-14-7-4, code 8x4x4 = 128 values;
    - decoder 4-8-16-28: an upsampled map that is larger than the encoder's at the same stage is cut to it
      (8 to 7), so that any image size comes back whole; with decoder_padding [same, same, valid, same] nothing
      is cut: the third convolution of the decoder takes no padding, and the sizes are 4-8-16-14-28.

    Depth 0 is a single convolution on each side.

    Reference: Stacked convolutional auto-encoders for hierarchical feature extraction (Masci et al., 2011).

    Args:
        shape: (channels, height, width) of one image, or (channels, length) of one signal.
        code_size: null: the code is the last stage's map, flattened; a number: a dense layer makes a code of that
            size from the map and another one the map from the code. At most the number of values of the map.
        code_channels: a number: the code is a map of so many values at each place, which a 1x1 convolution makes of the
            last stage's; place by place, so that a quantizing bottleneck makes a map of symbols (see
            `hourglass.models.places`). null: as `code_size` says.
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
        target_shape: shape of one target, of as many pixels as the input; null: the target is the input.

    Raises:
        ValueError: data that are no images, a number out of its range, lists that don't fit the depth, a decoder
            that doesn't come back to the size of the input.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import Deterministic
        >>> Conv(
        ...     shape=(1, 8, 8),
        ...     code_size=None,
        ...     depth=2,
        ...     widths=[4, 2],
        ...     decoder_widths=None,
        ...     dense_widths=[],
        ...     decoder_dense_widths=None,
        ...     kernel_size=3,
        ...     downsampling="pooling",
        ...     upsampling="nearest",
        ...     decoder_padding=None,
        ...     unit_norm=False,
        ...     activation="relu",
        ...     output_activation="sigmoid",
        ...     bottleneck=partial(Deterministic, activation="relu"),
        ... )
        Conv(
          (encoder): Sequential(
            (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
            (1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=True)
            (2): ReLU()
            (3): Conv2d(4, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
            (4): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=True)
            (5): Flatten(start_dim=1, end_dim=-1)
          )
          (bottleneck): Deterministic(
            code_size=8
            (activation): ReLU()
          )
          (decoder): Sequential(
            (0): Unflatten(dim=1, unflattened_size=(2, 2, 2))
            (1): Up(
              repeats=True, size=None
              (convolution): Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
              (activation): ReLU()
            )
            (2): Up(
              repeats=False, size=None
              (convolution): Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
              (activation): ReLU()
            )
            (3): DoublingConv2d(4, 1, kernel_size=(3, 3), stride=(1, 1), padding=same)
          )
          (output_activation): Sigmoid()
        )
    """

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int | None = None,
        code_channels: int | None = None,
        depth: int = 3,
        widths: Sequence[int] | None = None,
        decoder_widths: Sequence[int] | None = None,
        dense_widths: Sequence[int] = (),
        decoder_dense_widths: Sequence[int] | None = None,
        kernel_size: int = 3,
        downsampling: Literal["pooling", "stride"] = "pooling",
        upsampling: Literal["nearest", "transposed"] = "nearest",
        decoder_padding: Sequence[Literal["same", "valid"]] | None = None,
        unit_norm: bool = False,
        activation: str = "relu",
        output_activation: str = "sigmoid",
        bottleneck: Callable[..., Bottleneck] = Deterministic,
        target_shape: Sequence[int] | None = None,
    ) -> None:
        maps = Maps(
            shape=tuple(shape),
            target_shape=None if target_shape is None else tuple(target_shape),
            depth=depth,
            widths=widths,
            decoder_widths=decoder_widths,
            kernel_size=kernel_size,
            downsampling=downsampling,
            upsampling=upsampling,
            decoder_padding=decoder_padding,
            activation=activation,
        )
        code = Code(
            size=code_size,
            channels=code_channels,
            widths=dense_widths,
            decoder_widths=decoder_dense_widths,
            unit_norm=unit_norm,
        )
        encoder, neck, decoder = code.between(maps, bottleneck)
        rows = {"encoder": in_a_row(encoder), "decoder": in_a_row(decoder)}
        super().__init__(
            shape=maps.shape,
            bottleneck=neck,
            output_activation=output_activation,
            target_shape=target_shape,
            **rows,
        )
        self.code_shape = None if code_channels is None else (*maps.innermost[1:], code_channels)
        initialise(self.encoder, self.decoder)
        # On a CPU convolutions in this layout are 2 to 3 times faster, on a GPU with tensor cores too.
        self.to(memory_format=torch.channels_last)
        self.widths, self.decoder_widths, self.paddings = maps.encoder_channels, maps.decoder_channels, maps.paddings
        self._encoders, self._decoders = tuple(encoder), tuple(decoder)
        self.dense_widths, self.decoder_dense_widths = list(code.widths), code.outwards

    def stages(self) -> list[Stage]:
        """See `Staged.stages`: a stage for each halving, and one for a dense code.

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
        if any(padding != "same" for padding in self.paddings):
            raise ValueError(f"decoder_padding must be null for a model of stages, got {self.paddings}")
        return paired(self, self._encoders, self._decoders)

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; exact, by differentiation."""
        return exact_squared_jacobian(self.encode, x)


@dataclass(frozen=True, kw_only=True)
class Code:
    """What stands between the innermost map and the code.

    Raises:
        ValueError: a width below 1; layers or norms without a dense code; a dense code that is to be a map.
    """

    size: int | None
    """Of a dense code; None: the map itself."""
    channels: int | None
    """Of a map that is the code place by place; None: another code."""
    widths: Sequence[int]
    """Dense hidden layers between the encoder's map and the code."""
    decoder_widths: Sequence[int] | None
    """The same between the code and the decoder's map; None: the mirror image."""
    unit_norm: bool
    """Whether the first layer of the decoder is a `UnitNormLinear`."""

    def __post_init__(self) -> None:
        if self.channels is not None and self.size is not None:
            raise ValueError(f"code_channels make the code a map: set code_size=null, got {self.size}")
        check_widths("dense_widths", self.widths)
        check_widths("decoder_dense_widths", self.outwards)
        if self.size is None and (found := list(self.widths) or self.outwards):
            raise ValueError(f"dense_widths need a dense code: set code_size, got null and {found}")
        if self.size is None and self.unit_norm:
            raise ValueError("unit_norm needs a dense code: set code_size, got null")

    @property
    def outwards(self) -> list[int]:
        """Widths of the decoder's hidden layers."""
        return list(self.widths)[::-1] if self.decoder_widths is None else list(self.decoder_widths)

    def between(
        self, maps: Maps, bottleneck: Callable[..., Bottleneck]
    ) -> tuple[list[nn.Sequential], Bottleneck, list[nn.Sequential]]:
        """The stages of the encoder, the bottleneck, and the stages of the decoder."""
        if self.channels is not None:
            return self._of_places(maps, bottleneck, self.channels)
        if self.size is None:
            return self._of_a_map(maps, bottleneck(code_size=maps.values))
        if not 1 <= self.size <= maps.values:
            raise ValueError(
                f"code_size must be from 1 to {maps.values}, the values of the last stage's"
                f" {'x'.join(map(str, maps.innermost))} map, or null for the map itself, got {self.size}"
            )
        neck = bottleneck(code_size=self.size)
        encoder = maps.encoder(bare=False)
        down = dense([maps.values, *self.widths, neck.inputs], maps.activation)
        encoder.append(nn.Sequential(nn.Flatten(), *in_a_row(down)))
        up = dense([self.size, *self.outwards, maps.values], maps.activation, unit_norm=self.unit_norm)
        inner = nn.Sequential(*in_a_row(up), build_activation(maps.activation), nn.Unflatten(1, maps.innermost))
        return encoder, neck, [inner, *maps.decoder()]

    def _of_a_map(self, maps: Maps, neck: Bottleneck) -> tuple[list[nn.Sequential], Bottleneck, list[nn.Sequential]]:
        if neck.inputs != maps.values:
            raise ValueError(
                f"code_size null gives the bottleneck {maps.values} values, but it needs {neck.inputs}: set code_size"
            )
        encoder, decoder = maps.encoder(bare=True), maps.decoder()
        encoder[-1].append(nn.Flatten())
        decoder[0].insert(0, nn.Unflatten(1, maps.innermost))
        return encoder, neck, decoder

    def _of_places(
        self, maps: Maps, bottleneck: Callable[..., Bottleneck], channels: int
    ) -> tuple[list[nn.Sequential], Bottleneck, list[nn.Sequential]]:
        size = maps.innermost[1:]
        neck, blocks = bottleneck_of_places(bottleneck, channels=channels, size=size)
        pointwise = CONVOLUTIONS[maps.directions]
        down = nn.Sequential(pointwise(maps.innermost[0], blocks * channels, 1), ToPlaces(blocks=blocks))
        up = nn.Sequential(
            FromPlaces(size=size), pointwise(channels, maps.innermost[0], 1), build_activation(maps.activation)
        )
        return [*maps.encoder(bare=False), down], neck, [up, *maps.decoder()]
