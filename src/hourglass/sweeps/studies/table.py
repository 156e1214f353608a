"""The jobs of a study as a table, and what it says of the points of its axes.

A study varies axes, `model.code_size` or `seed`; a job has a value on each. Two axes are shown and the others are
averaged: of the finished jobs at a point, with values v_1 ... v_n of a metric,

    mean = (v_1 + ... + v_n) / n,   low = min v_i,   high = max v_i

Where other axes than seeds are averaged, the range is that over the seeds alone: low and high are the least and the
largest of the means that each seed has over those axes (`over_seeds`). What a setting does is not chance.
"""

import csv
import io
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

ERROR = "test/mse"  # every type of model has it, and less is better
FLOOR, SPARSITY, DEAD = "test/linear_mse", "test/code_active_fraction", "fit/dead_units"
PROBE, LEARNED = "test/linear_accuracy", "test/linear_samples"
NOT_RUN, REFUSED = "NOT RUN", "REFUSED"
_LARGEST = 100_000  # points of a grid
_FIRST = ("model.code_size", "model.depth")  # shown before other axes, however few values they have

Point = tuple[str, ...]


class Row(NamedTuple):
    """One job."""

    point: dict[str, str]
    """Its value on every axis; empty where it has none."""
    status: str
    """As MLflow says, FINISHED, FAILED, KILLED or RUNNING; or REFUSED: it makes no sense; or NOT RUN: not yet."""
    run_id: str
    metrics: dict[str, float]
    """`test/...`."""
    seconds: float | None
    """From start to end of its run; None while there is no end."""
    failure: str
    """Why it failed, or was refused."""
    health: str = ""
    """The verdicts on it."""


class Spread(NamedTuple):
    """A metric over the finished jobs at one point."""

    mean: float
    low: float
    high: float
    jobs: int


class Table:
    """The jobs of a study.

    Args:
        name: of the study.
        axes: what it varies, in order.
        rows: its jobs. Where those that ran lie on a grid over the axes, the rest of the grid is added as NOT RUN.
        whole: whether the rest of the grid was meant to be run at all.
    """

    def __init__(self, *, name: str, axes: dict[str, list[str]], rows: Sequence[Row], whole: bool = True) -> None:
        self.name = name
        self.rows = [*rows, *(_missing(axes, rows) if whole else [])]
        found = {axis: _ordered({row.point[axis] for row in self.rows}, known) for axis, known in axes.items()}
        self.values = {axis: values for axis, values in found.items() if len(values) > 1}
        """The axes with more than one value: numbers from small to large, text in the order of the sweep."""
        rank = {axis: place for place, axis in enumerate(_FIRST)}

        def weight(axis: str) -> tuple[int, int]:
            return rank.get(axis, len(rank)), -len(self.values[axis])

        two = sorted((axis for axis in self.values if not is_seed(axis)), key=weight)[:2]
        two = sorted(two, key=lambda axis: (not self.is_numeric(axis), *weight(axis)))
        places = len({at(row, two) for row in self.rows})
        self.scattered = 4 * places < math.prod(len(self.values[axis]) for axis in two)
        """Whether the jobs lie anywhere, as those of a search do, and on no grid of two axes."""
        self.shown = two[:1] if self.scattered else two
        """At most two axes; the one for the horizontal first."""
        self.averaged = [axis for axis in self.values if axis not in self.shown]
        self.seeds = [axis for axis in self.values if is_seed(axis)]
        """The axes of chance."""
        self.settings = [axis for axis in self.values if not is_seed(axis)]
        """The others, in the order of the sweep."""
        self.further = [axis for axis in self.settings if axis not in self.shown]
        """Settings for which no picture of two axes has room."""

    def is_numeric(self, axis: str) -> bool:
        """Whether its values are numbers."""
        return all(map(is_number, self.values[axis]))

    @property
    def finished(self) -> list[Row]:
        """The jobs that ended well."""
        return [row for row in self.rows if row.status == "FINISHED"]

    @property
    def best(self) -> Row | None:
        """The finished job of least error; None before there is one."""
        return min(
            (row for row in self.finished if math.isfinite(row.metrics.get(ERROR, math.nan))),
            key=lambda row: row.metrics[ERROR],
            default=None,
        )

    def spreads(self, metric: str | Callable[[Row], float], axes: Sequence[str]) -> dict[Point, Spread]:
        """A metric at every point of some axes where a finished job has it as a finite number.

        Args:
            metric: its name, or what to compute of a job.
            axes: which.
        """
        found: dict[Point, list[float]] = defaultdict(list)
        for row in self.finished:
            value = row.metrics.get(metric, math.nan) if isinstance(metric, str) else metric(row)
            if math.isfinite(value):
                found[at(row, axes)].append(value)
        return {
            point: Spread(statistics.fmean(values), min(values), max(values), len(values))
            for point, values in found.items()
        }

    def over_seeds(self, metric: str | Callable[[Row], float], axes: Sequence[str]) -> dict[Point, Spread]:
        """The same with the range over the seeds alone: mean, least and largest of each seed's mean at a point.

        Args:
            metric: its name, or what to compute of a job.
            axes: which, none of them a seed.
        """
        means: dict[Point, list[float]] = defaultdict(list)
        jobs: Counter[Point] = Counter()
        for point, spread in self.spreads(metric, [*axes, *self.seeds]).items():
            means[point[: len(axes)]].append(spread.mean)
            jobs[point[: len(axes)]] += spread.jobs
        return {
            point: Spread(statistics.fmean(values), min(values), max(values), jobs[point])
            for point, values in means.items()
        }

    def states(self, axes: Sequence[str]) -> dict[Point, Counter[str]]:
        """How many jobs at every point have which status."""
        found: dict[Point, Counter[str]] = defaultdict(Counter)
        for row in self.rows:
            found[at(row, axes)][row.status] += 1
        return found

    @property
    def ranked(self) -> list[Row]:
        """The jobs by their error, the least first; those without one last, in the order of the axes."""

        def rank(row: Row) -> tuple[bool, float, list[int]]:
            error = row.metrics.get(ERROR, math.nan) if row.status == "FINISHED" else math.nan
            known = math.isfinite(error)
            return (
                not known,
                error if known else 0.0,
                [self.values[axis].index(row.point[axis]) for axis in self.values],
            )

        return sorted(self.rows, key=rank)

    def to_csv(self) -> str:
        """A line per job, by error: axes, status, error, floor, sparsity, probe, seconds, failure, run, the rest."""
        metrics = {name for row in self.rows for name in row.metrics}
        main = [name for name in (ERROR, FLOOR, SPARSITY, PROBE) if name in metrics]
        rest = sorted(metrics - set(main))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*self.values, "status", *main, "seconds", "failure", "run_id", *rest])
        for row in self.ranked:
            seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
            measured, more = ([row.metrics.get(name, "") for name in names] for names in (main, rest))
            line = [*at(row, list(self.values)), row.status, *measured, seconds, row.failure, row.run_id, *more]
            writer.writerow(line)
        return text.getvalue()

    def label(self, row: Row) -> str:
        """`model.code_size=8 seed=0`: its value on each axis that it has."""
        return " ".join(f"{axis}={row.point[axis]}" for axis in self.values if row.point[axis] != "")


def at(row: Row, axes: Sequence[str]) -> Point:
    """Where a job lies."""
    return tuple(row.point[axis] for axis in axes)


def in_words(key: str) -> str:
    """`model.code_size` as a person says it: `code size`."""
    name = key.rpartition(".")[2]
    return {"lr": "learning rate"}.get(name, name.replace("_", " "))


def is_seed(axis: str) -> bool:
    """Whether an axis is one of chance: `seed`, `data.split_seed`."""
    return axis.endswith("seed")


def is_number(text: str) -> bool:
    """Whether a value is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def same(one: str, other: str) -> bool:
    """Whether two texts are one value: `0.10` and `0.1`."""
    return one == other or (is_number(one) and is_number(other) and float(one) == float(other))


def _ordered(values: set[str], known: Sequence[str]) -> list[str]:
    if all(map(is_number, values)):
        return sorted(values, key=float)
    return sorted(values, key=lambda value: (_place(value, known), value))


def _place(value: str, known: Sequence[str]) -> int:
    """Where a value stands in a list; its length if it doesn't."""
    return next((number for number, other in enumerate(known) if same(value, other)), len(known))


def _missing(axes: dict[str, list[str]], rows: Sequence[Row]) -> list[Row]:
    """The points of the grid that no job has; none for a search, whose jobs lie anywhere."""
    if math.prod(map(len, axes.values())) > _LARGEST:  # tags that no sweep has left
        return []
    places = [{axis: _place(row.point[axis], known) for axis, known in axes.items()} for row in rows]
    if any(place[axis] == len(axes[axis]) for place in places for axis in axes):
        return []
    taken = {tuple(place.values()) for place in places}
    # Values as the runs have them, where one has them.
    written = {(axis, place[axis]): row.point[axis] for row, place in zip(rows, places, strict=True) for axis in axes}
    grid = product(*(range(len(known)) for known in axes.values()))
    points = [
        {axis: written.get((axis, number), axes[axis][number]) for axis, number in zip(axes, numbers, strict=True)}
        for numbers in grid
        if numbers not in taken
    ]
    return [Row(point, NOT_RUN, "", {}, None, "") for point in points]
