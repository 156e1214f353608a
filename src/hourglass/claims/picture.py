"""The picture of a claim: what the arms have, seed by seed, and the effects against 0."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hourglass.claims.verdict import Effect, Judged, Verdict
from hourglass.figures.canvas import COLOURS

__all__ = ["draw"]

VERDICT_COLOURS: dict[Verdict, str] = {
    "CONFIRMED": "#117733",
    "REFUTED": "#CC6677",
    "UNDECIDED": "#777777",
    "NOT TESTED": "#777777",
    "FAILED": "#777777",
}
_WIDTH = 8.6  # inches, 860 pixels: what MLflow's pages show whole


def draw(judged: Judged) -> Figure:
    """One panel for each metric with a line for each seed, and one with an effect and its interval for each comparison.

    Args:
        judged: a claim that was tested.
    """
    by_metric: dict[str, list[str]] = {}
    for effect in judged.effects:
        for arm, metric in effect.comparison.needs:
            if arm not in by_metric.setdefault(metric, []):
                by_metric[metric].append(arm)
    effects_of = {
        metric: [each for each in judged.effects if each.comparison.needs[0][1] == metric] for metric in by_metric
    }
    rows = [max(0.3 * len(arms), 0.55 * len(effects_of[metric])) + 0.8 for metric, arms in by_metric.items()]
    figure = Figure(figsize=(_WIDTH, sum(rows)), dpi=100, layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False, width_ratios=[1.35, 1], height_ratios=rows)
    for row, (metric, arms) in enumerate(by_metric.items()):
        _values(panels[row, 0], judged, metric, arms)
        if effects_of[metric]:
            _effects(panels[row, 1], effects_of[metric])
        else:
            panels[row, 1].axis("off")
    return figure


def _values(axes: Axes, judged: Judged, metric: str, arms: list[str]) -> None:
    places = range(len(arms))[::-1]
    for number, seed in enumerate(judged.claim.seeds):
        values = [judged.values[seed][arm].get(metric, float("nan")) for arm in arms]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(values, places, "o-", color=colour, linewidth=0.8, markersize=5, alpha=0.8, label=f"seed {seed}")
    axes.set_yticks(list(places), arms)
    axes.set_ylim(-0.5, len(arms) - 0.5)
    axes.set_xlabel(f"{metric}, a line for each of {len(judged.claim.seeds)} seeds")
    axes.margins(x=0.08)
    _tidy(axes)


def _effects(axes: Axes, effects: list[Effect]) -> None:
    for place, effect in zip(range(len(effects))[::-1], effects, strict=True):
        colour = VERDICT_COLOURS[effect.verdict]
        axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot([effect.mean], [place], "o", color=colour, markersize=6)
        text = effect.comparison.text
        axes.text(
            0.5,
            place + 0.1,
            text if len(text) <= 52 else f"{text[:51]}…",
            transform=axes.get_yaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=7.5,
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(effects) - 0.35)
    axes.margins(x=0.15)
    axes.set_xlabel("margin, 95 % interval: right of 0 the claim holds")
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(8.5)
    axes.locator_params(axis="x", nbins=5)
