"""The contract of a sampler, and the one that there is none."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from typing_extensions import override

from hourglass.bottlenecks import Bottleneck, Symbolic
from hourglass.samplers.geometry import Geometry

__all__ = ["HasLogDensity", "NoSampler", "Sampler", "check_codes", "check_samples"]


class Sampler(nn.Module):
    """A density of codes: fitted once, then drawn from. The run keeps its state: what it has learned.

    It is made before the training and must leave the training's random numbers alone.

    Args:
        code_size: number of code units.
    """

    of_symbols = False
    """Whether it is fitted to the numbers of the symbols that codes are made of, (N, parts) int64, and draws these."""

    def __init__(self, *, code_size: int) -> None:
        super().__init__()
        self.code_size = code_size

    def extra_repr(self) -> str:
        """The settings."""
        return f"code_size={self.code_size}"

    @abstractmethod
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """Raise ValueError if the codes that it will be fitted to don't suit.

        Called before the training, with their bottleneck, how many there will be at most, and the metric of them that
        the training learns, where it learns one.

        """

    @abstractmethod
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """Learn the density of codes (N, code_size), or take it from the metric that the training has learned."""

    @abstractmethod
    def sample(self, count: int) -> Tensor | None:
        """Draws (count, code_size), on the device of its state; None where there is no density."""

    def draw(self, bottleneck: Bottleneck, count: int) -> Tensor | None:
        """Draws (count, code_size) within the range of a bottleneck's codes, on its device; None without a density."""
        drawn = self.sample(count)
        return None if drawn is None else drawn.to(bottleneck.active.device).clamp(*bottleneck.code_range)


@runtime_checkable
class HasLogDensity(Protocol):
    """A sampler whose density is known at every code."""

    def log_density(self, code: Tensor) -> Tensor | None:
        """Log p(z) in nats of codes (..., code_size), (...); None where a unit never changes, which has none."""


class NoSampler(Sampler):
    """No density: codes are drawn from the prior that training brings them to, if there is one.

    Example:
        >>> NoSampler(code_size=2)
        NoSampler(code_size=2)
    """

    @override
    def check(self, bottleneck: Bottleneck, *, samples: int, geometry: Geometry | None = None) -> None:
        """See `Sampler.check`: every code suits."""

    @override
    def fit(self, codes: Tensor, *, geometry: Geometry | None = None) -> None:
        """See `Sampler.fit`: there is nothing to learn."""

    @override
    def sample(self, count: int) -> None:
        """See `Sampler.sample`: None."""
        return


def check_codes(bottleneck: Bottleneck, *, samples: int) -> None:
    """ValueError for a code of symbols, which have no density, and for fewer than 2 samples."""
    if isinstance(bottleneck, Symbolic):
        raise ValueError("a density is of numbers, but the model's code is made of symbols: set sampler=autoregressive")
    check_samples(samples)


def check_samples(samples: int) -> None:
    """ValueError for fewer than 2 samples."""
    if samples < 2:
        raise ValueError(f"a density needs at least 2 training samples, got {samples}")
