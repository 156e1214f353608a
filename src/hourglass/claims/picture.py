"""The picture of a claim: what the arms have, seed by seed, and the effects against 0."""

import textwrap

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
_LETTERS = 48  # of a comparison in a line above its interval


def draw(judged: Judged) -> Figure:
    """A panel for each group of metrics that are compared with one another, with a line for each seed.

    Beside each the effects and intervals of the comparisons in it. What is compared is of one unit, and shares a scale.

    Args:
        judged: a claim that was tested.
    """
    groups = _groups(judged)
    effects = [[each for each in judged.effects if _metrics(each) & group] for group in groups]
    needs = [list(dict.fromkeys(need for each in some for need in each.comparison.needs)) for some in effects]
    texts = [[_shortened(each, names) for each in some] for some, names in zip(effects, needs, strict=True)]
    rows = [max(0.3 * len(n), sum(0.42 + 0.13 * len(t) for t in ts)) + 0.8 for n, ts in zip(needs, texts, strict=True)]
    figure = Figure(figsize=(_WIDTH, sum(rows)), dpi=100, layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False, width_ratios=[1.35, 1], height_ratios=rows)
    for row in range(len(rows)):
        _values(panels[row, 0], judged, needs[row])
        _effects(panels[row, 1], effects[row], texts[row])
    return figure


def _metrics(effect: Effect) -> set[str]:
    return {metric for _, metric in effect.comparison.needs}


def _groups(judged: Judged) -> list[set[str]]:
    """The metrics, in order, those together that some comparison names together."""
    groups: list[set[str]] = []
    for metrics in filter(None, map(_metrics, judged.effects)):
        near = [group for group in groups if group & metrics]
        groups = [group for group in groups if group not in near] + [metrics.union(*near)]
    order = [metric for effect in judged.effects for _, metric in effect.comparison.needs]
    return sorted(groups, key=lambda group: min(order.index(metric) for metric in group))


def _shortened(effect: Effect, needs: list[tuple[str, str]]) -> list[str]:
    """A comparison in lines that fit, without the metric, or the arm, that is named at the axis."""
    text = effect.comparison.text.replace("'", '"')
    for arm, metric in needs:
        if len({metric for _, metric in needs}) == 1:
            text = text.replace(f'["{metric}"]', "")
        elif len({arm for arm, _ in needs}) == 1:
            text = text.replace(f'{arm}["{metric}"]', metric)
    return textwrap.wrap(text, _LETTERS)


def _values(axes: Axes, judged: Judged, needs: list[tuple[str, str]]) -> None:
    places = range(len(needs))[::-1]
    for number, seed in enumerate(judged.claim.seeds):
        values = [judged.values[seed][arm].get(metric, float("nan")) for arm, metric in needs]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(values, places, "o-", color=colour, linewidth=0.8, markersize=5, alpha=0.8, label=f"seed {seed}")
    if len({metric for _, metric in needs}) == 1:
        names, said = [arm for arm, _ in needs], needs[0][1]
    elif len({arm for arm, _ in needs}) == 1:
        names, said = [metric for _, metric in needs], f"of {needs[0][0]}"
    else:
        names, said = [f"{arm}: {metric}" for arm, metric in needs], "value"
    axes.set_yticks(list(places), names)
    axes.set_ylim(-0.5, len(needs) - 0.5)
    axes.set_xlabel(f"{said}, a line for each of {len(judged.claim.seeds)} seeds")
    axes.margins(x=0.08)
    _tidy(axes)


def _effects(axes: Axes, effects: list[Effect], texts: list[list[str]]) -> None:
    for place, effect, lines in zip(range(len(effects))[::-1], effects, texts, strict=True):
        colour = VERDICT_COLOURS[effect.verdict]
        axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot([effect.mean], [place], "o", color=colour, markersize=6)
        axes.text(
            0.5,
            place + 0.12,
            "\n".join(lines),
            transform=axes.get_yaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
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
