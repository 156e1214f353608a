"""A corruption process C(x~ | x): what it draws, what it suits, and what restores it classically."""

import math
from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Process(nn.Module):
    """One corruption process: (B, *shape) to (B, *shape), drawn from torch's global random numbers."""

    baselines: tuple[str, ...] = ()
    """The classical restorations that a model has to be compared with, by name: see `measures.restorations`."""

    @abstractmethod
    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:
        """Corrupt x; `bounds` (2,) holds the lowest and the highest value of the training data."""

    def check(self, shape: Sequence[int]) -> None:
        """ValueError for samples of a shape that the process does not suit; every shape does unless it says so."""


def check_level(key: str, value: float, highest: float = math.inf) -> None:
    """ValueError unless 0 <= value <= highest and value is finite."""
    if not 0 <= value <= highest or math.isinf(value):
        allowed = "at least 0 and finite" if math.isinf(highest) else f"from 0 to {highest:g}"
        raise ValueError(f"{key} must be {allowed}, got {value}")


def check_whole(key: str, value: int, lowest: int) -> None:
    """ValueError unless value is at least `lowest`."""
    if value < lowest:
        raise ValueError(f"{key} must be at least {lowest}, got {value}")


def check_images(name: str, shape: Sequence[int]) -> None:
    """ValueError unless samples of this shape are images (channels, height, width)."""
    if len(shape) != 3:
        raise ValueError(f"{name} needs images (channels, height, width), got samples of shape {tuple(shape)}")
