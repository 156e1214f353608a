"""Codes that are maps: at each place of a convolutional encoder's last map stand c values of the code.

    h = (h_1, ..., h_P),  P = height x width places, row by row,  each of c values

So what a bottleneck takes for groups of neighbouring values are groups of one place: c values that become an entry of a
codebook make a map of symbols, and the same codebook serves all places. An encoder that gives several values for each
unit, as a mean and a log variance, gives them in blocks of the whole map, one after another.

References: Neural discrete representation learning (van den Oord et al., 2017); High-resolution image synthesis with
latent diffusion models (Rombach et al., 2022) for gaussian maps.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Bottleneck, Symbolic

__all__ = ["FromPlaces", "ToPlaces", "bottleneck_of_places"]


class ToPlaces(nn.Module):
    """Maps (B, blocks c, *size) to values in the order of places, (B, blocks P c).

    Args:
        blocks: values that the bottleneck takes for each code unit.

    Example:
        >>> ToPlaces(blocks=1)(torch.tensor([[[[1, 2]], [[3, 4]]]]))  # two channels of two places
        tensor([[1, 3, 2, 4]])
    """

    def __init__(self, *, blocks: int) -> None:
        super().__init__()
        self.blocks = blocks

    def extra_repr(self) -> str:
        """The settings."""
        return f"blocks={self.blocks}"

    def forward(self, maps: Tensor) -> Tensor:
        """(B, blocks c, *size) to (B, blocks P c)."""
        blocks = maps.reshape(maps.shape[0], self.blocks, -1, *maps.shape[2:])
        return blocks.movedim(2, -1).flatten(1)


class FromPlaces(nn.Module):
    """Codes (B, P c) to maps (B, c, *size).

    Args:
        size: of the map, (height, width) or (length,).

    Example:
        >>> FromPlaces(size=(1, 2))(torch.tensor([[1, 3, 2, 4]]))
        tensor([[[[1, 2]],
        <BLANKLINE>
                 [[3, 4]]]])
    """

    def __init__(self, *, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def extra_repr(self) -> str:
        """The settings."""
        return f"size={self.size}"

    def forward(self, code: Tensor) -> Tensor:
        """(B, P c) to (B, c, *size)."""
        return code.reshape(code.shape[0], *self.size, -1).movedim(-1, 1)


def bottleneck_of_places(
    bottleneck: Callable[..., Bottleneck], *, channels: int, size: tuple[int, ...]
) -> tuple[Bottleneck, int]:
    """The bottleneck of a code with so many values at each place, and the values that it takes for each of them.

    Raises:
        ValueError: a number below 1; a symbol that would not be of one place.
    """
    if channels < 1:
        raise ValueError(f"code_channels must be at least 1, got {channels}")
    places = torch.Size(size).numel()
    neck = bottleneck(code_size=channels * places)
    if neck.inputs % neck.code_size:
        raise ValueError(
            f"code_channels needs a bottleneck that takes as many values for every unit, {type(neck).__name__} takes"
            f" {neck.inputs} for {neck.code_size}: set a code_size"
        )
    if isinstance(neck, Symbolic):
        symbols = neck.choices(neck.active.new_zeros(1, neck.inputs)).shape[1]
        if symbols % places:
            raise ValueError(
                f"code_channels must be a multiple of the values of a symbol, got {channels}: {neck.code_size} values"
                f" of {places} places make {symbols} symbols of {type(neck).__name__}"
            )
    return neck, neck.inputs // neck.code_size
