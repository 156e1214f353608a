"""What a study says of each of its axes, in a sentence: the effect, its range over the seeds, how many seeds agree.

Values of an axis are compared where all else is equal: over the settings of the other axes at which each of them has a
finished job with every seed, else with any. With m_s(v) the mean test error of seed s at the value v over those points,
and m(v) the mean of these over the seeds,

    best = argmin_v m(v),   range(v) = [min_s m_s(v), max_s m_s(v)],   a seed agrees where argmin_v m_s(v) = best

An effect counts where the ranges of the best and the worst value don't meet.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from hourglass.measures.health import OK
from hourglass.sweeps.studies.table import ERROR, Point, Spread, Table, at, in_words, is_number

_NEAR = 0.005  # a share by which two errors differ that are printed as equal


class Effect(NamedTuple):
    """What one axis does to the test error."""

    axis: str
    spreads: dict[str, Spread]
    """By value, over the seeds, of the points that all values have."""
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

    @property
    def is_clear(self) -> bool:
        """Whether the ranges of best and worst don't meet; with one seed nobody knows."""
        return self.seeds > 1 and self.spreads[self.best].high < self.spreads[self.worst].low

    @property
    def sentence(self) -> str:
        """It in words."""
        best, worst = self.spreads[self.best], self.spreads[self.worst]
        over = f" ({best.low:.3g} to {best.high:.3g} over {self.seeds} seeds)" if self.seeds > 1 else ""
        name = in_words(self.axis)
        if worst.mean <= best.mean * (1 + _NEAR):
            return f"{name}: no effect; the test MSE is {best.mean:.3g}{over} at every value."
        said = f"{name}: {self.best} is best with a test MSE of {best.mean:.3g}{over}, {_less(best, worst, self.worst)}"
        if self.seeds < 2:
            return f"{said}; one seed, so that chance is not known."
        if not self.is_clear:
            return f"{said}; not a clear effect, since their ranges over the seeds meet."
        near = [
            value
            for value, spread in self.spreads.items()
            if value not in (self.best, self.worst) and spread.low <= best.high
        ]
        tied = f"; {_listed(near)} can't be told from it" if near else ""
        return f"{said}{self._trend()}{tied}; {self.agree} of {self.seeds} seeds agree."

    def _trend(self) -> str:
        means = [spread.mean for spread in self.spreads.values()]
        if len(means) < 3:
            return ""
        steps = list(pairwise(means))
        if all(after <= before for before, after in steps):
            return ", and every step up helps"
        if all(after >= before for before, after in steps):
            return ", and every step up costs"
        return ""


def effects(table: Table) -> list[Effect]:
    """What each setting of a grid does, the largest ratio of worst to best first; none for a search."""
    if table.scattered:
        return []
    found = [effect for axis in table.settings if (effect := _effect(table, axis)) is not None]
    return sorted(found, key=lambda each: -each.spreads[each.worst].mean / max(each.spreads[each.best].mean, 1e-300))


def short(value: str) -> str:
    """A setting as a sentence says it: a number that a search drew has more digits than anybody reads."""
    return f"{float(value):.3g}" if is_number(value) and len(value) > 6 else value


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
    for which in {seed(point) for point in whole}:
        same = [point for point in whole if seed(point) == which]
        by_seed[which] = {value: statistics.fmean(held[value][point] for point in same) for value in values}
    spreads = {value: _spread([means[value] for means in by_seed.values()]) for value in values}
    best = min(spreads, key=lambda value: spreads[value].mean)
    agree = sum(min(means, key=means.__getitem__) == best for means in by_seed.values())
    return Effect(axis, spreads, agree, len(by_seed), len(whole) * len(values))


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
            said[verdict.partition(":")[0]] += 1
    if not said:
        return "No verdict against it"
    of = len(found)
    lines = [f"{what} ({some} of {of} seeds)" if some < of else what for what, some in said.items()]
    return f"Verdict: {'; '.join(lines)}"


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), min(values), max(values), len(values))


def _less(best: Spread, worst: Spread, where: str) -> str:
    ratio = worst.mean / best.mean if best.mean > 0 else float("inf")
    much = f"{ratio:.1f} times less" if ratio >= 2 else f"{1 - best.mean / worst.mean:.1%} less"
    return f"{much} than at {where} ({worst.mean:.3g})"


def _listed(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"


def counts(table: Table) -> Mapping[str, int]:
    """How many jobs ended how."""
    found: dict[str, int] = defaultdict(int)
    for row in table.rows:
        found[row.status] += 1
    return found
