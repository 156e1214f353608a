"""Residual convolutional autoencoders: the nets in which latent diffusion and image transformers have their codes.

Blocks of two convolutions with a way around them (see `hourglass.models.residual_layers`), some at each resolution,
from which a convolution leads to half of it; at the lowest one attention between two blocks. The decoder mirrors it.

    encoder   28x28: conv, blocks, down · 14x14: blocks, down · 7x7: blocks, block-attention-block, conv to the code
    decoder   7x7: conv, block-attention-block, blocks, up · 14x14: blocks, up · 28x28: blocks, conv to the image
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hourglass.activations import activation as build_activation
from hourglass.bottlenecks import Bottleneck, Deterministic
from hourglass.models.autoencoder import Autoencoder, exact_squared_jacobian, initialise
from hourglass.models.places import FromPlaces, ToPlaces, bottleneck_of_places
from hourglass.models.residual_layers import Attention, Doubling, ResidualBlock
from hourglass.system.checks import check_whole, check_widths

__all__ = ["Residual"]


class Residual(Autoencoder):
    """A residual convolutional autoencoder over images of any size, with group norm and attention.

    Its code is a map: `code_channels` values at each place of the lowest resolution, of any bottleneck. With
    `bottleneck=gaussian` it is the autoencoder of latent diffusion (KL), with a quantizing one that of VQ-GAN. With a
    `code_size` dense layers make a code of that size of the map, and the map of the code.

    References: Taming transformers for high-resolution image synthesis (Esser et al., 2021); High-resolution image
    synthesis with latent diffusion models (Rombach et al., 2022), with 128 channels and more, and a block more at each
    resolution of the decoder.

    Args:
        shape: (channels, height, width) of one image.
        code_size: null: the code is a map; a number: a dense code of that size.
        code_channels: values at each place of the map, at least 1.
        depth: how often the resolution is halved, an odd side being rounded up; at least 0, at most what halving leaves
            of the image.
        widths: channels at each of the depth + 1 resolutions; null: 32 at the first, 64 at the others.
        blocks: residual blocks at each resolution, at least 1.
        attention: heights of the maps whose blocks are each followed by attention, besides that at the lowest.
        groups: of each norm; divides all widths.
        activation: of the blocks.
        output_activation: activation of the reconstruction.
        bottleneck: builds the bottleneck from the code size.

    Raises:
        ValueError: data that are no images, a number out of its range, widths or heights that don't fit.

    Example:
        >>> from functools import partial
        >>> from hourglass.bottlenecks import FiniteScalar
        >>> model = Residual(
        ...     shape=(3, 32, 32), code_channels=3, bottleneck=partial(FiniteScalar, levels=[8, 6, 5])
        ... )
        >>> model.code_size, model.code_shape
        (192, (8, 8, 3))
    """

    pads_widths = False  # norms over more channels are other norms

    def __init__(
        self,
        *,
        shape: Sequence[int],
        code_size: int | None = None,
        code_channels: int = 4,
        depth: int = 2,
        widths: Sequence[int] | None = None,
        blocks: int = 1,
        attention: Sequence[int] = (),
        groups: int = 8,
        activation: str = "silu",
        output_activation: str = "sigmoid",
        bottleneck: Callable[..., Bottleneck] = Deterministic,
    ) -> None:
        nets = _Nets(
            shape=tuple(shape),
            depth=depth,
            widths=[32, *[64] * depth] if widths is None else list(widths),
            blocks=blocks,
            attention=list(attention),
            groups=groups,
            activation=activation,
        )
        check_whole("code_size", code_size, lowest=1, null=True)
        *_, size = nets.sizes
        if code_size is None:
            neck, values = bottleneck_of_places(bottleneck, channels=code_channels, size=size)
            ends: tuple[list[nn.Module], list[nn.Module]] = ([ToPlaces(blocks=values)], [FromPlaces(size=size)])
        else:
            check_whole("code_channels", code_channels, lowest=1)
            neck, values = bottleneck(code_size=code_size), 1
            whole = torch.Size((code_channels, *size))
            ends = (
                [nn.Flatten(), nn.Linear(whole.numel(), neck.inputs)],
                [nn.Linear(code_size, whole.numel()), nn.Unflatten(1, whole)],
            )
        super().__init__(
            shape=nets.shape,
            encoder=nn.Sequential(*nets.encoder(values * code_channels), *ends[0]),
            bottleneck=neck,
            decoder=nn.Sequential(*ends[1], *nets.decoder(code_channels)),
            output_activation=output_activation,
        )
        self.code_shape = (*size, code_channels) if code_size is None else None
        self.widths = nets.widths
        initialise(self.encoder, self.decoder)
        self.to(memory_format=torch.channels_last)  # as in `Conv`

    def squared_jacobian(self, x: Tensor) -> Tensor:
        """See `Autoencoder.squared_jacobian`; exact, by differentiation."""
        return exact_squared_jacobian(self.encode, x)


@dataclass(frozen=True, kw_only=True)
class _Nets:
    """Both sides up to the map of the code; fields as in `Residual`."""

    shape: tuple[int, ...]
    depth: int
    widths: list[int]
    blocks: int
    attention: list[int]
    groups: int
    activation: str

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise ValueError(
                f"a convolution needs images (channels, height, width), got rows of shape {self.shape};"
                " model=vanilla and model=multilayer take rows, model=conv signals"
            )
        high, wide = self.shape[1:]
        deepest = (min(high, wide) - 1).bit_length()
        if not 0 <= self.depth <= deepest:
            raise ValueError(
                f"depth must be from 0 to {deepest} for images of {high}x{wide} (each halves them), got {self.depth}"
            )
        if len(self.widths) != self.depth + 1:
            raise ValueError(
                f"widths must list one width for each of depth + 1 = {self.depth + 1} resolutions or be null, got"
                f" {self.widths}"
            )
        check_widths("widths", self.widths)
        check_whole("blocks", self.blocks, lowest=1)
        if self.groups < 1 or any(width % self.groups for width in self.widths):
            raise ValueError(f"groups must be at least 1 and divide widths {self.widths}, got {self.groups}")
        heights = [high for high, _ in self.sizes]
        if wrong := [each for each in self.attention if each not in heights]:
            raise ValueError(f"attention must list heights of the maps, {heights}, got {wrong[0]}")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width at each resolution, the image's first."""
        _, high, wide = self.shape
        return [(-(-high // 2**at), -(-wide // 2**at)) for at in range(self.depth + 1)]

    def encoder(self, channels: int) -> list[nn.Module]:
        """From the image to so many channels at the lowest resolution."""
        before = self.widths[0]
        layers: list[nn.Module] = [nn.Conv2d(self.shape[0], before, 3, padding=1)]
        for at, width in enumerate(self.widths):
            layers += self._blocks(before, width, at)
            before = width
            if at < self.depth:
                layers.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
        return [*layers, *self._middle(), *self._last(before, channels)]

    def decoder(self, channels: int) -> list[nn.Module]:
        """From so many channels at the lowest resolution to the image, without its activation."""
        before = self.widths[-1]
        layers: list[nn.Module] = [nn.Conv2d(channels, before, 3, padding=1), *self._middle()]
        for at in reversed(range(self.depth + 1)):
            layers += self._blocks(before, self.widths[at], at)
            before = self.widths[at]
            if at:
                layers.append(Doubling(channels=before, size=self.sizes[at - 1]))
        return [*layers, *self._last(before, self.shape[0])]

    def _blocks(self, before: int, width: int, at: int) -> list[nn.Module]:
        """Those of a resolution."""
        layers: list[nn.Module] = []
        for number in range(self.blocks):
            layers.append(self._block(width if number else before, width))
            if self.sizes[at][0] in self.attention:
                layers.append(Attention(channels=width, groups=self.groups))
        return layers

    def _middle(self) -> list[nn.Module]:
        width = self.widths[-1]
        return [self._block(width, width), Attention(channels=width, groups=self.groups), self._block(width, width)]

    def _block(self, before: int, after: int) -> ResidualBlock:
        return ResidualBlock(before=before, after=after, groups=self.groups, activation=self.activation)

    def _last(self, before: int, after: int) -> list[nn.Module]:
        activation = build_activation(self.activation)
        return [nn.GroupNorm(self.groups, before), activation, nn.Conv2d(before, after, 3, padding=1)]
