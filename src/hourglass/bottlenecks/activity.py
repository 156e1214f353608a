"""When is a unit of a code on, and when is it active? That depends on the code.

Over samples i, with unit j's values h_ij, lowest l_j and highest u_j:

    Switched    rectified and selected codes    on: h_ij != 0
    HalfRange   sigmoid, tanh, bits             on: h_ij > (l_j + u_j) / 2, the upper half of the unit's own range
    Varying     linear and gaussian codes       on: Var_i h_ij > v, for every sample or for none
    Above       a threshold that a person set   on: |h_ij| > t

A unit is active where it is on for some sample. A code that is never exactly zero has no sample-by-sample answer for
a fixed threshold: a sigmoid is above .001 wherever it rests, a gaussian mean wherever the prior left it.

References: Importance weighted autoencoders (Burda et al., 2016) for the variance of the posterior mean as the measure
of a unit's activity, and v = .01; the upper half of a range is the half-maximum by which tuning curves are measured.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from typing_extensions import override

from hourglass.system.checks import check_level

__all__ = ["LEAST_RANGE", "LEAST_SHARE", "LEAST_VARIANCE", "Above", "Activity", "HalfRange", "Switched", "Varying"]

LEAST_VARIANCE = 0.01
"""v for a gaussian code, whose prior has variance 1 (Burda et al., 2016)."""
LEAST_SHARE = 1e-6
"""v for a code without a scale of its own, as a share of its most variable unit's variance: a thousandth of the
deviation. What varies less is rounding beside it."""
LEAST_RANGE = 0.01
"""Share of the interval of all possible values below which a bounded unit's own range counts as constant."""

_HELD = 16_000_000  # values of bounded codes that are kept to find the ranges: 64 MB, the first samples


class Activity(ABC):
    """Accumulates codes (B, n), batch by batch, and tells how much each unit is in use."""

    words: str
    """When a unit is on, in few words."""
    switches: bool = True
    """Whether a unit can be off for one sample and on for another."""
    dense: float = 1.0
    """Share of the units that are on for a sample of a code that nothing has made sparse."""

    def __init__(self) -> None:
        self._count = 0
        self._on: Tensor | None = None

    def update(self, code: Tensor) -> None:
        """Add a batch of codes (B, n), whose sums stay on its device."""
        on = self.mask(code).sum(0)
        self._on = on if self._on is None else self._on + on
        self._count += len(code)

    def on(self) -> Tensor:
        """(n,) float64: the share of the samples added so far for which each unit is on. At least one sample."""
        assert self._on is not None, "update comes first"
        return self._on.double() / self._count

    @abstractmethod
    def mask(self, code: Tensor) -> Tensor:
        """(N, n) bool: which unit is on for which of these samples, as if there were no others."""


class Switched(Activity):
    """Units that are exactly zero when they are off.

    Example:
        >>> activity = Switched()
        >>> activity.update(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
        >>> activity.on()
        tensor([0.0000, 0.5000], dtype=torch.float64)
    """

    words = "h is not 0"

    @override
    def mask(self, code: Tensor) -> Tensor:
        return code.abs() > 0  # a NaN is not on


class Above(Activity):
    """Units against one threshold.

    Args:
        threshold: t, at least 0.

    Raises:
        ValueError: a threshold out of its range.

    Example:
        >>> activity = Above(threshold=1.0)
        >>> activity.update(torch.tensor([[0.5, 2.0], [-3.0, 0.0]]))
        >>> activity.on()
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    def __init__(self, *, threshold: float) -> None:
        super().__init__()
        check_level("threshold", threshold)
        self.threshold = threshold
        self.words = f"|h| > {threshold:g}"

    @override
    def mask(self, code: Tensor) -> Tensor:
        return code.abs() > self.threshold


class HalfRange(Activity):
    """Bounded units, each against its own range over the data. One that hardly moves is never on.

    Ranges are known at the end, so that codes are held: the first 16 million values.

    Args:
        width: of the interval of all possible values, above 0.

    Example:
        >>> activity = HalfRange(width=1.0)
        >>> activity.update(torch.tensor([[0.1, 0.7], [0.3, 0.9], [0.2, 0.9]]))
        >>> activity.on()
        tensor([0.3333, 0.6667], dtype=torch.float64)
    """

    words = "h is in the upper half of the unit's range"
    dense = 0.5

    def __init__(self, *, width: float) -> None:
        super().__init__()
        self.width = width
        self._codes: list[Tensor] = []

    @override
    def update(self, code: Tensor) -> None:
        room = max(1, _HELD // code.shape[1]) - self._count
        if room > 0:
            self._codes.append(code[:room].detach().clone())
            self._count += len(self._codes[-1])

    @override
    def on(self) -> Tensor:
        return self.mask(torch.cat(self._codes)).double().mean(0)

    @override
    def mask(self, code: Tensor) -> Tensor:
        low, high = code.aminmax(dim=0)
        moves = high - low > LEAST_RANGE * self.width
        return (code > (low + high) / 2) & moves


class Varying(Activity):
    """Units that are never off: in use where they vary over the data.

    Args:
        least: v, the variance that a unit has to exceed, above 0; None: `LEAST_SHARE` of the largest variance.

    Example:
        >>> activity = Varying(least=0.01)
        >>> activity.update(torch.tensor([[0.0, 2.0], [1.0, 2.0]]))
        >>> activity.on()
        tensor([1., 0.], dtype=torch.float64)
    """

    words = "the unit varies"
    switches = False

    def __init__(self, *, least: float | None) -> None:
        super().__init__()
        self.least = least
        self._origin: Tensor  # the first code: deviations from it keep the variance free of cancellation
        self._sums: tuple[Tensor, Tensor] | None = None

    @override
    def update(self, code: Tensor) -> None:
        if not len(code):
            return
        if self._sums is None:
            self._origin = code[0].detach().double()
            self._sums = (torch.zeros_like(self._origin), torch.zeros_like(self._origin))
        deviation = code.detach().double() - self._origin
        first, second = self._sums
        self._sums = (first + deviation.sum(0), second + deviation.square().sum(0))
        self._count += len(code)

    def variance(self) -> Tensor:
        """(n,) float64: the variance of each unit over the samples added so far."""
        assert self._sums is not None, "update comes first"
        first, second = self._sums
        return (second / self._count - (first / self._count).square()).clamp(min=0)

    @override
    def on(self) -> Tensor:
        return self._varies(self.variance()).double()

    @override
    def mask(self, code: Tensor) -> Tensor:
        return self._varies(code.double().var(0, correction=0)).expand_as(code)

    def _varies(self, variance: Tensor) -> Tensor:
        least = LEAST_SHARE * variance.max() if self.least is None else self.least
        return variance > least
