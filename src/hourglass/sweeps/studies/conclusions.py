"""What a study says of each of its axes, in a sentence: the effect, whether seeds could have made it, how many agree.

Values of an axis are compared where all else is equal: over the settings of the other axes at which each of them has a
finished job with every seed, else with any. With m_s(v) the mean test error of seed s at the value v over those points,
and m(v) the mean of these over the seeds,

    best = argmin_v m(v),   range(v) = [min_s m_s(v), max_s m_s(v)],   a seed agrees where argmin_v m_s(v) = best

All jobs of a seed see the same batches in the same order, so that values are compared seed by seed. An effect is clear
where the 95 % interval of the paired difference m_s(worst) - m_s(best) lies above 0 (`hourglass.measures.paired`); one
that holds 0 shows no difference, and no equality either. Best and worst are chosen by the same numbers: of many values
the interval is narrower than it should be. An error that is rounding beside the variance of the data
(`hourglass.measures.health.is_rounding`) is said to be, and nothing is told as a multiple of it.
"""

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from hourglass.measures.health import OK, is_rounding
from hourglass.measures.paired import Difference, paired_difference
from hourglass.sweeps.studies.table import ERROR, Point, Row, Spread, Table, at, in_words, is_number

_COUNTED = re.compile(r"^\d+ of \d+ ")  # the number of a verdict, as of "3 of 9 units dead"
_EQUAL = 1e-9  # what two means of the same numbers differ by, at most, as a share: the order of their sum


class Effect(NamedTuple):
    """What one axis does to the test error."""

    axis: str
    spreads: dict[str, Spread]
    """By value, over the seeds, of the points that all values have."""
    errors: dict[str, tuple[float, ...]]
    """By value, of each seed, in one order of the seeds, the mean over these points."""
    rounding: frozenset[str]
    """Values whose error is rounding."""
    agree: int
    """Seeds whose best value is the best of all."""
    seeds: int
    compared: int
    """Jobs that were compared."""

    @property
    def best(self) -> str:
        """The value of least error."""
        return min(self.spreads, key=lambda value: self.spreads[value].mean)

    @property
    def worst(self) -> str:
        """The value of largest error."""
        return max(self.spreads, key=lambda value: self.spreads[value].mean)

    def above_best(self, value: str) -> Difference | None:
        """By how much more its error is than that of the best value, seed by seed; None with one seed."""
        return paired_difference(self.errors[value], self.errors[self.best]) if self.seeds > 1 else None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference between worst and best lies above 0; with one seed nobody knows."""
        above = self.above_best(self.worst)
        return above is not None and above.low > 0

    @property
    def sentence(self) -> str:
        """It in words."""
        best, worst = self.spreads[self.best], self.spreads[self.worst]
        name, over = in_words(self.axis), ""
        if self.seeds > 1:
            over = f" ({best.low:.3g} to {best.high:.3g} over {self.seeds} seeds)"
        if self._is_same():
            return f"{name}: the test MSE is the same at every value, {best.mean:.3g}{over}."
        if self.worst in self.rounding:
            return f"{name}: the test MSE is rounding at every value, {worst.mean:.1g} at most: nothing to compare."
        less = _less(best, worst) if self.best not in self.rounding else "which is rounding, unlike that"
        above = self.above_best(self.worst)
        if above is None:
            said = f"{name}: {self.best} is best with a test MSE of {best.mean:.3g}, {less} at {self.worst}"
            return f"{said} ({worst.mean:.3g}); one seed can't tell whether others would say the same."
        interval = f"95 % interval {above.low:.3g} to {above.high:.3g}"
        said = f"{less} at {self.worst} ({worst.mean:.3g}; difference {above.mean:.3g}, {interval})"
        if not self.is_clear:
            least = f"{name}: {self.best} has the least test MSE, {best.mean:.3g}{over}"
            return f"{least}, {said}: no difference is shown, since the interval holds 0."
        near = [value for value in self.errors if value != self.best and not self._is_worse(value)]
        unshown = f"; no difference from {_listed(near)} is shown" if near else ""
        first = f"{name}: {self.best} is best with a test MSE of {best.mean:.3g}{over}"
        return f"{first}, {said}{self._trend()}{unshown}; {self.agree} of {self.seeds} seeds agree."

    def _is_same(self) -> bool:
        """Whether the values have the same errors, number by number, as where a setting isn't used."""
        best = self.errors[self.best]
        pairs = ((one, other) for errors in self.errors.values() for one, other in zip(errors, best, strict=True))
        return all(math.isclose(one, other, rel_tol=_EQUAL) for one, other in pairs)

    def _is_worse(self, value: str) -> bool:
        above = self.above_best(value)
        return above is not None and above.low > 0

    def _trend(self) -> str:
        """What happens from value to value, of three numbers or more."""
        if len(self.errors) < 3 or not all(map(is_number, self.errors)):
            return ""
        steps = [paired_difference(after, before) for before, after in pairwise(self.errors.values())]
        if all(step.high < 0 for step in steps):
            return ", and every step up helps"
        if all(step.low > 0 for step in steps):
            return ", and every step up costs"
        if all(step.mean < 0 for step in steps):
            return ", and the mean falls at every step up"
        return ", and the mean rises at every step up" if all(step.mean > 0 for step in steps) else ""


def effects(table: Table) -> list[Effect]:
    """What each setting of a grid does, the largest ratio of worst to best first; none for a search."""
    if table.scattered:
        return []
    found = [effect for axis in table.settings if (effect := _effect(table, axis)) is not None]
    return sorted(found, key=lambda effect: -_strength(effect))


def short(value: str) -> str:
    """A setting as a sentence says it: a number that a search drew has more digits than anybody reads."""
    return f"{float(value):.3g}" if is_number(value) and len(value) > 6 else value


def _strength(effect: Effect) -> float:
    """Worst over best: infinite over rounding, 1 where both are."""
    if effect.best in effect.rounding:
        return 1.0 if effect.worst in effect.rounding else math.inf
    return effect.spreads[effect.worst].mean / effect.spreads[effect.best].mean


def _effect(table: Table, axis: str) -> Effect | None:
    others = [other for other in table.values if other != axis]
    held: dict[str, dict[Point, float]] = defaultdict(dict)
    for (value, *rest), spread in table.spreads(ERROR, [axis, *others]).items():
        held[value][tuple(rest)] = spread.mean
    values = [value for value in table.values[axis] if value in held]
    if len(values) < 2:
        return None
    shared = set.intersection(*(set(held[value]) for value in values))
    if not shared:
        return None
    chance = [place for place, other in enumerate(others) if other in table.seeds]

    def seed(point: Point) -> Point:
        return tuple(point[place] for place in chance)

    def setting(point: Point) -> Point:
        return tuple(value for place, value in enumerate(point) if place not in chance)

    seeds = {seed(point) for point in shared}
    held_by = Counter(setting(point) for point in shared)
    # A seed that lacks a hard setting would look better than the others: those that all seeds have, if there are any.
    whole = {point for point in shared if held_by[setting(point)] == len(seeds)} or shared
    by_seed: dict[Point, dict[str, float]] = {}
    for which in sorted({seed(point) for point in whole}):
        same = [point for point in whole if seed(point) == which]
        by_seed[which] = {value: statistics.fmean(held[value][point] for point in same) for value in values}
    errors = {value: tuple(means[value] for means in by_seed.values()) for value in values}
    spreads = {value: _spread(errors[value]) for value in values}
    best = min(spreads, key=lambda value: spreads[value].mean)
    agree = sum(min(means, key=means.__getitem__) == best for means in by_seed.values())
    unexplained = table.spreads(_unexplained, [axis, *others])
    largest = max(spread.mean for spread in spreads.values())
    rounding = set()
    for value in values:
        shares = [unexplained[value, *point].mean for point in whole if (value, *point) in unexplained]
        if len(shares) == len(whole):
            left, scale = statistics.fmean(shares), 1.0
        else:  # runs of before that number: beside the worst of the errors
            left, scale = spreads[value].mean, largest
        if is_rounding(left, scale):
            rounding.add(value)
    return Effect(axis, spreads, errors, frozenset(rounding), agree, len(by_seed), len(whole) * len(values))


def _unexplained(row: Row) -> float:
    """The error of a job as a share of the variance of its data."""
    return 1 - row.metrics.get("test/explained_variance", math.nan)


def overall(table: Table) -> str:
    """The main sentence: the best setting, its error over the seeds, and against the linear floor; empty before it."""
    row = table.best
    if row is None:
        return "No job has finished with a test error."
    if not table.settings or table.scattered:
        spread = _spread([row.metrics[ERROR]])
        where = ", ".join(f"{in_words(axis)} {short(row.point[axis])}" for axis in table.values)
        runs = [row]
    else:
        every = table.over_seeds(ERROR, table.settings)
        full = max(spread.jobs for spread in every.values())
        # A setting of which seeds failed has not shown that it is good.
        point = min((p for p in every if every[p].jobs == full), key=lambda p: every[p].mean)
        spread = every[point]
        where = ", ".join(f"{in_words(axis)} {value}" for axis, value in zip(table.settings, point, strict=True))
        runs = [each for each in table.finished if at(each, table.settings) == point]
    over = f" ({spread.low:.3g} to {spread.high:.3g} over {spread.jobs} seeds)" if spread.jobs > 1 else ""
    first = "Least test error" if table.scattered else "Best"
    said = f"{first}: {where}, with a test MSE of {spread.mean:.3g}{over}" if where else f"Test MSE {spread.mean:.3g}"
    ratios = [each.metrics["test/mse_over_linear"] for each in runs if "test/mse_over_linear" in each.metrics]
    if ratios:
        said += f", {statistics.fmean(ratios):.2f} times the error of the best linear code of as many units"
    return f"{said}. {_verdict([each.health for each in runs])}."


def _verdict(found: Sequence[str]) -> str:
    """The verdicts on several runs, each said once: their numbers differ from seed to seed."""
    said: dict[str, int] = defaultdict(int)
    for verdicts in found:
        for verdict in verdicts.split("; ") if verdicts not in ("", OK) else ():
            said[_COUNTED.sub("", verdict.partition(":")[0])] += 1
    if not said:
        return "No verdict against it"
    of = len(found)
    lines = [f"{what} ({some} of {of} seeds)" if some < of else what for what, some in said.items()]
    return f"Verdict: {'; '.join(lines)}"


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), min(values), max(values), len(values))


def _less(best: Spread, worst: Spread) -> str:
    ratio = worst.mean / best.mean
    return f"{ratio:.1f} times less than" if ratio >= 2 else f"{1 - best.mean / worst.mean:.1%} less than"


def _listed(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"


def counts(table: Table) -> Mapping[str, int]:
    """How many jobs ended how."""
    found: dict[str, int] = defaultdict(int)
    for row in table.rows:
        found[row.status] += 1
    return found
