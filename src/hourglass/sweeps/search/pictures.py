"""Pictures of a search, as pixels."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from optuna.trial import FrozenTrial, TrialState

from hourglass.figures.canvas import COLOURS, to_array
from hourglass.figures.picture import Array

_GREY = "#999999"
_NAMED = 15  # points of a front that are named


def history(trials: Sequence[FrozenTrial], *, at: int, name: str, minimize: bool) -> Array:
    """One objective over the trials, with the best so far; marks at the foot where a trial was stopped or failed.

    Args:
        trials: those that ended.
        at: place of the objective.
        name: of the objective.
        minimize: whether less is better.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    numbers, values = [trial.number for trial in done], [trial.values[at] for trial in done]
    figure, axes = _axes()
    axes.plot(numbers, values, "o", color=COLOURS[4], label="trial")
    best = list(accumulate(values, min if minimize else max))
    axes.step(numbers, best, where="post", color=COLOURS[1], label="best so far")
    for state, mark, label in ((TrialState.PRUNED, "|", "stopped early"), (TrialState.FAIL, "x", "failed")):
        some = [trial.number for trial in trials if trial.state == state]
        if some:
            axes.plot(
                some, [0.02] * len(some), mark, color=COLOURS[0], label=label, transform=axes.get_xaxis_transform()
            )
    axes.set_xlabel("trial")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _scale(axes.yaxis, values)
    axes.legend()
    return to_array(figure)


def front(trials: Sequence[FrozenTrial], best: Sequence[FrozenTrial], *, names: tuple[str, str]) -> Array:
    """The first two objectives of all trials, and as stairs those that no other is better than in every respect.

    A point between two trials of the front was never reached, so that no line leads from one to the next.

    Args:
        trials: those that ended.
        best: the front, each named by its number.
        names: of the two objectives.
    """
    done = [trial.values for trial in trials if trial.state == TrialState.COMPLETE]
    figure, axes = _axes()
    axes.plot([each[1] for each in done], [each[0] for each in done], "o", color=_GREY, markersize=4, label="trial")
    points = sorted((trial.values[1], trial.values[0], trial.number) for trial in best)
    across, up = [point[0] for point in points], [point[1] for point in points]
    axes.step(across, up, "o-", where="post", color=COLOURS[1], label="Pareto front, by number of trial")
    every = -(-len(points) // _NAMED)
    for x, y, number in points[::every]:
        axes.annotate(str(number), (x, y), xytext=(5, 4), textcoords="offset points", fontsize=9)
    for values, axis in ((across, axes.xaxis), (up, axes.yaxis)):
        _scale(axis, values)
    axes.set_xlabel(names[1])
    axes.set_ylabel(names[0])
    axes.legend()
    return to_array(figure)


def slices(trials: Sequence[FrozenTrial], keys: Sequence[str], *, at: int, name: str) -> Array:
    """One objective over each key that was searched, a panel each on one scale; later trials are darker.

    Args:
        trials: those that ended.
        keys: that were searched.
        at: place of the objective.
        name: of the objective.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    columns = min(4, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(max(5, 3 * columns), 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    values = [trial.values[at] for trial in done]
    for axes, key in zip(panels.flat, keys, strict=False):
        settings: list[Any] = [trial.params.get(key) for trial in done]
        numeric = all(isinstance(each, int | float) and not isinstance(each, bool) for each in settings)
        # Of categories there are names, in the order in which they were tried.
        where = settings if numeric else [str(each) for each in settings]
        axes.scatter(where, values, c=[trial.number for trial in done], cmap="Blues", vmin=-len(trials) / 2, s=18)
        if numeric:
            _scale(axes.xaxis, settings)
        axes.set_xlabel(key)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(panels.flat)[len(keys) :]:
        axes.set_axis_off()
    _scale(panels.flat[0].yaxis, values)
    for row in panels:
        row[0].set_ylabel(name)
    return to_array(figure)


def importances(shares: Mapping[str, float], *, name: str) -> Array:
    """How much of what makes a trial good each key explains (PED-ANOVA: Watanabe et al., 2023), from 0 to 1.

    Args:
        shares: by key; they sum to 1.
        name: of the objective.
    """
    figure, axes = _axes()
    order = sorted(shares, key=lambda key: shares[key])
    bars = axes.barh(order, [shares[key] for key in order], color=COLOURS[1])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlim(0, 1.1)
    axes.set_xlabel(f"importance for {name} (shares of 1)")
    return to_array(figure)


def _scale(axis: Any, values: Sequence[float]) -> None:
    """Logarithmic where the values span a factor of 8, with round numbers written out."""
    if min(values) > 0 and max(values) > 8 * min(values):
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        decades = math.log10(max(values) / min(values))
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())


def _axes() -> tuple[Figure, Any]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
