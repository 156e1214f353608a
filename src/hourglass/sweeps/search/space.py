"""The space that is searched, in Hydra's own words.

model.code_size=range(2,64)                 whole numbers 2, 3, ..., 63; range(2,64,2) in steps
model.code_size=int(interval(2,64))         whole numbers 2, 3, ..., 64
optimizer.lr=interval(1e-4,1e-2)            numbers
optimizer.lr=tag(log,interval(1e-4,1e-2))   numbers, evenly spread over their logarithm
noise=choice(none,masking), noise=none,masking    one of these, without order
data=digits                                 no space: every trial has it
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hourglass.system.errors import HourglassError

_DIGITS = 12  # significant ones: 0.1 + 0.2 in a range is 0.3


class Dimension(NamedTuple):
    """One key that is searched."""

    word: str
    """What stands before the = in an override: `model.code_size`, `+model.code_size`."""
    written: str
    """What stood after it."""
    distribution: BaseDistribution
    """What Optuna draws from."""

    def override(self, value: Any) -> str:
        """The override that gives a job this value."""
        return f"{self.word}={value}"

    @property
    def some(self) -> Any:
        """One of its values."""
        space = self.distribution
        return space.choices[0] if isinstance(space, CategoricalDistribution) else space.low  # type: ignore[attr-defined]

    @property
    def values(self) -> list[Any] | None:
        """All values in order; None for a continuous interval."""
        space = self.distribution
        match space:
            case CategoricalDistribution():
                return list(space.choices)
            case IntDistribution():
                return list(range(space.low, space.high + 1, space.step))
            case FloatDistribution(step=float(step)):
                return [_plain(space.low + at * step) for at in range(round((space.high - space.low) / step) + 1)]
        return None


class Space(NamedTuple):
    """What is searched, and what every trial has in common."""

    dimensions: dict[str, Dimension]
    """By key, without `+`."""
    fixed: list[str]
    """Overrides."""

    def overrides(self, point: dict[str, Any]) -> list[str]:
        """All overrides of a job at a point, its values by key."""
        return [*self.fixed, *(self.dimensions[key].override(_plain(value)) for key, value in point.items())]


def parse(overrides: Sequence[Override]) -> Space:
    """Sort parsed overrides into what is searched and what is fixed; of the same key twice the last counts.

    Raises:
        HourglassError: an empty space, one that has no logarithm, nothing to search.
    """
    dimensions: dict[str, Dimension] = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        word, key = override.get_key_element(), override.get_key_element().lstrip("+")
        dimensions.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            written = override.get_value_string().replace(" ", "")
            dimensions[key] = Dimension(word, written, _distribution(override, written))
        else:
            fixed[key] = str(override.input_line)
    if not dimensions:
        raise HourglassError("nothing to search: give a key a space, as in model.code_size=range(2,64)")
    return Space(dimensions, list(fixed.values()))


def _distribution(override: Override, written: str) -> BaseDistribution:
    """Raises HourglassError that says which override makes no space."""
    space = override.value()
    try:
        assert isinstance(space, ChoiceSweep | RangeSweep | IntervalSweep) or override.is_choice_sweep()
        tags: set[str] = getattr(space, "tags", set())
        if unknown := tags - {"log"}:
            raise ValueError(f"the tag must be log, got {', '.join(sorted(unknown))}")
        if getattr(space, "shuffle", False):
            raise ValueError("a search has no order to shuffle")
        log = "log" in tags
        match space:
            case RangeSweep():
                return _range(space, log=log)
            case IntervalSweep(start=low, end=high):
                assert low is not None
                assert high is not None
                if not low < high:
                    raise ValueError(f"an interval must rise, got {low:g} to {high:g}")
                if log and low <= 0:
                    raise ValueError(f"a logarithm must begin above 0, got {low:g}")
                if isinstance(low, int) and isinstance(high, int):
                    return IntDistribution(low, high, log=log)
                return FloatDistribution(low, high, log=log)
        if log:
            raise ValueError("a choice has no logarithm")
        choices = list(dict.fromkeys(override.sweep_string_iterator()))
        if not choices:
            raise ValueError("a choice must hold something")
        return CategoricalDistribution(choices)
    except ValueError as error:
        raise HourglassError(f"{override.get_key_element()}={written}: {error}") from error


def _range(space: RangeSweep, *, log: bool) -> BaseDistribution:
    values = [_plain(value) for value in space.range()] if space.step else []
    if not values:
        raise ValueError("the range holds nothing")
    low, high, step = min(values), max(values), abs(space.step)
    if log and (low <= 0 or step != 1 or not isinstance(low, int)):
        raise ValueError("a range on a logarithm must begin above 0 and have the step 1")
    if isinstance(low, int):
        return IntDistribution(low, high, step=1 if log else int(step), log=log)
    return FloatDistribution(low, high, step=float(step))


def _plain(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
