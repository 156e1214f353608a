"""A corruption process C(x~ | x): what it draws, what it suits, and what restores it classically."""

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
