"""Pictures of a search, as pixels."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from hourglass.figures.canvas import COLOURS, to_array
from hourglass.figures.picture import Array

_GREY = "#999999"


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
    if min(values) > 0 and max(values) > 8 * min(values):
        axes.set_yscale("log")
    axes.legend()
    return to_array(figure)


def front(trials: Sequence[FrozenTrial], best: Sequence[FrozenTrial], *, names: tuple[str, str]) -> Array:
    """The first two objectives of all trials, and those that no other is better than in every respect.

    Args:
        trials: those that ended.
        best: the front.
        names: of the two objectives.
    """
    done = [trial.values for trial in trials if trial.state == TrialState.COMPLETE]
    figure, axes = _axes()
    axes.plot([each[1] for each in done], [each[0] for each in done], "o", color=_GREY, label="trial")
    points = sorted((trial.values[1], trial.values[0]) for trial in best)
    axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[1], label="Pareto front")
    axes.set_xlabel(names[1])
    axes.set_ylabel(names[0])
    axes.legend()
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


def _axes() -> tuple[Figure, Any]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
