"""The maps of a convolutional autoencoder: their sizes, and the stages that lead from one to the next.

Each stage of the encoder halves height and width, or the length of a signal, an odd size being rounded up: n to
ceil(n / 2). Each of the decoder doubles them, and cuts the map to the encoder's at the same place where nothing else is
lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from hourglass.activations import activation as build_activation
from hourglass.activations import is_monotone
from hourglass.models.upsampling import CONVOLUTIONS, DoublingConv1d, DoublingConv2d, Up
from hourglass.system.checks import check_choice, check_widths

__all__ = ["DOWNSAMPLINGS", "PADDINGS", "UPSAMPLINGS", "Maps"]

DOWNSAMPLINGS = ("pooling", "stride")
UPSAMPLINGS = ("nearest", "transposed")
PADDINGS = ("same", "valid")

Size = tuple[int, ...]
"""Height and width of images, length of signals."""


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The convolutional stages on both sides, as `Conv` is told them.

    Example:
        >>> maps = Maps(
        ...     shape=(1, 28, 28),
        ...     depth=3,
        ...     widths=None,
        ...     decoder_widths=None,
        ...     kernel_size=3,
        ...     downsampling="pooling",
        ...     upsampling="nearest",
        ...     decoder_padding=None,
        ...     activation="relu",
        ... )
        >>> maps.sizes, maps.decoder_sizes, maps.innermost
        ([(28, 28), (14, 14), (7, 7), (4, 4)], [(7, 7), (14, 14), (28, 28)], (8, 4, 4))

    Raises:
        ValueError: data that are no images, a number out of its range, lists that don't fit the depth, a decoder that
            doesn't come back to the size of the input.
    """

    shape: tuple[int, ...]
    """(channels, height, width) of one image, (channels, length) of one signal."""
    depth: int
    """Stages of the encoder, at least 0, at most what halving leaves of the image; 0: a convolution on each side."""
    widths: Sequence[int] | None
    """Channels of each stage; None: 16 in the first and 8 in each further one."""
    decoder_widths: Sequence[int] | None
    """Channels of each stage of the decoder; None: the mirror image."""
    kernel_size: int
    """Side of every kernel in pixels; odd."""
    downsampling: Literal["pooling", "stride"]
    """`pooling`: maxima of 2x2 values after the convolution; `stride`: the convolution at every other place."""
    upsampling: Literal["nearest", "transposed"]
    """`nearest`: values are repeated 2x2 after the convolution; `transposed`: the convolution itself doubles."""
    decoder_padding: Sequence[Literal["same", "valid"]] | None
    """`same` or `valid` for each of the decoder's depth + 1 convolutions; None: all `same`."""
    activation: str
    """Activation of the stages."""
    target_shape: tuple[int, ...] | None = None
    """The same of what is made; None: as the input."""

    def __post_init__(self) -> None:
        if len(self.shape) not in (2, 3):
            raise ValueError(
                f"a convolution needs images (channels, height, width), got rows of shape {self.shape};"
                " model=vanilla and model=multilayer take rows; signals (channels, length) come by data=signals"
            )
        if self.target_shape is not None and self.target_shape[1:] != self.shape[1:]:
            raise ValueError(
                f"a convolution makes targets of the input's {self._sized(self.shape[1:])}, got targets of shape"
                f" {self.target_shape}; model=vanilla and model=multilayer make any"
            )
        deepest = (min(self.shape[1:]) - 1).bit_length()
        if not 0 <= self.depth <= deepest:
            raise ValueError(
                f"depth must be from 0 to {deepest} for {self._sized(self.shape[1:])} (each stage halves them),"
                f" got {self.depth}"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 1, got {self.kernel_size}")
        check_choice("downsampling", self.downsampling, DOWNSAMPLINGS)
        check_choice("upsampling", self.upsampling, UPSAMPLINGS)
        build_activation(self.activation)  # a wrong name is a mistake also where the bottleneck brings the only one
        for key, values in (("widths", self.encoder_channels), ("decoder_widths", self.decoder_channels)):
            if len(values) != self.depth:
                raise ValueError(
                    f"{key} must list one width for each of depth={self.depth} stages or be null, got {values}"
                )
            check_widths(key, values)
        self._check_paddings()

    def _check_paddings(self) -> None:
        paddings = self.paddings
        if len(paddings) != self.depth + 1 or any(padding not in PADDINGS for padding in paddings):
            raise ValueError(
                f"decoder_padding must list same or valid for each of the decoder's {self.depth + 1} convolutions or"
                f" be null, got {paddings}"
            )
        if self.upsampling == "transposed" and "valid" in paddings[:-1]:
            raise ValueError("decoder_padding valid goes with upsampling nearest, got transposed")
        *_, last = [self.sizes[-1], *self.decoder_sizes]
        left = tuple(side - self._lost(paddings[-1]) for side in last)
        if left != self.sizes[0]:
            raise ValueError(
                f"decoder_padding {paddings} leads to {self._sized(left)},"
                f" the input has {'x'.join(map(str, self.shape[1:]))}"
            )

    def _sized(self, size: Size) -> str:
        return f"{'images' if self.directions == 2 else 'signals'} of {'x'.join(map(str, size))}"

    @property
    def directions(self) -> int:
        """2 for images, 1 for signals."""
        return len(self.shape) - 1

    @property
    def channels_made(self) -> int:
        """Of what is made."""
        return (self.target_shape or self.shape)[0]

    @property
    def encoder_channels(self) -> list[int]:
        """Of each stage of the encoder."""
        return list(self.widths) if self.widths is not None else [16, *[8] * (self.depth - 1)][: self.depth]

    @property
    def decoder_channels(self) -> list[int]:
        """Of each stage of the decoder, the code's first."""
        return list(self.decoder_widths) if self.decoder_widths is not None else self.encoder_channels[::-1]

    @property
    def paddings(self) -> list[str]:
        """Of each convolution of the decoder."""
        return list(self.decoder_padding) if self.decoder_padding is not None else ["same"] * (self.depth + 1)

    @property
    def sizes(self) -> list[Size]:
        """Height and width of the image and of what comes out of each stage of the encoder."""
        sizes: list[Size] = [self.shape[1:]]
        for _ in range(self.depth):
            sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
        return sizes

    @property
    def decoder_sizes(self) -> list[Size]:
        """Height and width of what comes out of each stage of the decoder."""
        if all(padding == "same" for padding in self.paddings):
            return self.sizes[:-1][::-1]
        sizes = [self.sizes[-1]]
        for padding in self.paddings[:-1]:
            sizes.append(self._doubled(sizes[-1], padding))
        return sizes[1:]

    @property
    def innermost(self) -> tuple[int, ...]:
        """Shape of the encoder's last map; without a stage it has the image's own channels."""
        return ([self.shape[0], *self.encoder_channels][-1], *self.sizes[-1])

    @property
    def values(self) -> int:
        """Of the encoder's last map."""
        return torch.Size(self.innermost).numel()

    def encoder(self, *, bare: bool) -> list[nn.Sequential]:
        """The stages of the encoder.

        Args:
            bare: whether the last has no activation, because the bottleneck brings it.
        """
        if not self.depth:
            convolution = CONVOLUTIONS[self.directions](self.shape[0], self.shape[0], self.kernel_size, padding="same")
            return [nn.Sequential(convolution, *([] if bare else [build_activation(self.activation)]))]
        channels = [self.shape[0], *self.encoder_channels]
        return [
            self._halving(before, after, bare=bare and stage == self.depth)
            for stage, (before, after) in enumerate(pairwise(channels), start=1)
        ]

    def _halving(self, before: int, after: int, *, bare: bool) -> nn.Sequential:
        strided = self.downsampling == "stride"
        convolution = CONVOLUTIONS[self.directions](
            before, after, self.kernel_size, stride=2 if strided else 1, padding=self.kernel_size // 2
        )
        # ceil_mode keeps the last row and column of an odd size, as the stride does: 7 becomes 4.
        maxima = nn.MaxPool1d if self.directions == 1 else nn.MaxPool2d
        pooling = [] if strided else [maxima(2, ceil_mode=True)]
        activation = [] if bare else [build_activation(self.activation)]
        order = [*pooling, *activation] if is_monotone(self.activation) else [*activation, *pooling]
        return nn.Sequential(convolution, *order)

    def decoder(self) -> list[nn.Sequential]:
        """The stages of the decoder.

        The last, or without a stage the only one, ends with the convolution that makes the image.
        """
        channels = [self.innermost[0], *self.decoder_channels]
        sizes = [self.sizes[-1], *self.decoder_sizes]
        stages = [nn.Sequential() for _ in range(max(1, self.depth))]
        merged = self._doubles_last
        for at, (before, after) in enumerate(pairwise(channels)):
            up = Up(
                before=before,
                after=after,
                kernel_size=self.kernel_size,
                upsampling=self.upsampling,
                padding=self.paddings[at],
                activation=self.activation,
                size=sizes[at + 1] if sizes[at + 1] != self._doubled(sizes[at], self.paddings[at]) else None,
                repeats=not (merged and at == self.depth - 1),
                directions=self.directions,
            )
            stages[at].append(up)
        if merged:
            doubling = DoublingConv1d if self.directions == 1 else DoublingConv2d
            stages[-1].append(doubling(channels[-1], self.channels_made, self.kernel_size))
        else:
            plain = CONVOLUTIONS[self.directions]
            stages[-1].append(plain(channels[-1], self.channels_made, self.kernel_size, padding=self.paddings[-1]))
        return stages

    @property
    def _doubles_last(self) -> bool:
        """Whether the last doubling and the last convolution, most of the decoder's work, can be one."""
        if not self.depth or self.upsampling != "nearest" or self.paddings[-1] != "same":
            return False
        *_, before, after = [self.sizes[-1], *self.decoder_sizes]
        return after == self._doubled(before, self.paddings[-2])

    def _doubled(self, size: Size, padding: str) -> Size:
        """A map of this size after a convolution and the doubling."""
        return tuple(2 * (side - self._lost(padding)) for side in size)

    def _lost(self, padding: str) -> int:
        """By how much a convolution makes a side smaller."""
        return 0 if padding == "same" else self.kernel_size - 1
