"""A study in numbers: the heat map of its test error, and curves over one of its axes.

Colours and marks are for colour-blind readers too: viridis, and the muted scheme of Paul Tol (2021) with a mark for
each line. What no finished job covers is hatched and says why.
"""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from hourglass.figures.canvas import COLOURS, DPI
from hourglass.sweeps.studies.table import DEAD, ERROR, LEARNED, PROBE, SPARSITY, Spread, Table, in_words

_WIDE = 8.0
"""A span of values, largest over smallest, from which a scale is logarithmic."""
_MARKS = "osD^vP*X<>"
_STATES = {
    "FAILED": "failed",
    "KILLED": "ended",
    "RUNNING": "running",
    "REFUSED": "refused",
    "NOT RUN": "not run",
    "FINISHED": "no number",
}
_MOST, _ACROSS = 240, 15  # cells with a number each, in all and side by side
_BEST = "#D55E00"  # its frame, a colour that viridis has not
_FAR = 10.0  # times what three quarters of the values stay below: what lies beyond is outside the axis, and counted


class Panel(NamedTuple):
    """One metric over an axis."""

    metric: str
    title: str
    floor: str | None
    """What the best linear code of as many units gives."""
    pixels: str | None
    """What the pixels themselves give."""
    share: bool
    """Whether it lies between 0 and 1."""


PANELS = (
    Panel(ERROR, "test error: MSE per value", "test/linear_mse", None, False),
    Panel(SPARSITY, "sparsity: share of active code units", None, None, True),
    Panel(DEAD, "dead units: on for no training sample", None, None, False),
    Panel(
        PROBE,
        "linear probe of the code: accuracy",
        *("test/linear_accuracy_pca", "test/linear_accuracy_pixels"),
        True,
    ),
)


def heat_map(table: Table) -> Figure | None:
    """The mean test error at each point of the two axes shown, the least of them framed; None with fewer than two."""
    if len(table.shown) < 2:
        return None
    across, up = table.shown
    columns, rows = table.values[across], table.values[up]
    spreads, states = table.spreads(ERROR, table.shown), table.states(table.shown)
    errors = np.full((len(rows), len(columns)), np.nan)
    for (column, row), spread in spreads.items():
        errors[rows.index(row), columns.index(column)] = spread.mean
    wide, high = min(11.0, max(4.6, 0.8 * len(columns))), min(9.0, max(3.2, 0.8 * len(rows)))
    figure = Figure(figsize=(wide + 2.6, high + 1.9), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    scale = _colours(errors)
    shown = axes.imshow(errors, cmap="viridis", norm=scale, aspect="auto", origin="lower", interpolation="nearest")
    numbered = errors.size <= _MOST and len(columns) <= _ACROSS
    if np.isfinite(errors).any():
        best_y, best_x = np.unravel_index(np.nanargmin(errors), errors.shape)
        axes.add_patch(
            Rectangle((best_x - 0.47, best_y - 0.47), 0.94, 0.94, fill=False, edgecolor=_BEST, linewidth=3, zorder=3)
        )
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            _cell(axes, x, y, spreads.get((column, row)), states.get((column, row), Counter()), scale, numbered)
    for set_ticks, values, limit in ((axes.set_xticks, columns, 12), (axes.set_yticks, rows, 12)):
        every = -(-len(values) // limit)
        set_ticks(range(0, len(values), every), labels=values[::every], fontsize=11)
    axes.set_xlabel(in_words(across), fontsize=12)
    axes.set_ylabel(in_words(up), fontsize=12)
    if np.isfinite(errors).any():
        bar = figure.colorbar(shown, ax=axes, pad=0.02)
        word = ", logarithmic" if isinstance(scale, LogNorm) else ""
        bar.set_label(f"test MSE per value{word}", fontsize=11)
        if isinstance(scale, LogNorm):
            _plain(bar.ax.yaxis, errors[np.isfinite(errors)])
        else:
            bar.ax.ticklabel_format(useOffset=False)
    _entitle(figure, table, f"test MSE per value over {in_words(across)} and {in_words(up)}; framed: the least")
    return figure


def curves(table: Table) -> Figure | None:
    """Error, sparsity, dead units and probe over the first axis shown, a line for each value of the second; or None.

    Points are means, bars reach from the least to the largest seed. What is the same everywhere is left out. Text on
    the axis gives points without lines. The probe's panel says how many samples it learned from.
    """
    if not table.shown:
        return None
    kept = [panel for panel in PANELS if panel.metric == ERROR or _says_something(table, panel.metric)]
    panels = [panel._replace(title=panel.title + _learned(table, panel)) for panel in kept]
    # Stacked, so that the whole is about as wide as high, as a grid of pictures shows it.
    figure = Figure(figsize=(6.4, 1.75 * len(panels) + 1.7), dpi=DPI, layout="constrained")
    drawn: dict[str, Any] = {}
    for axes, panel in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        drawn |= _curves_of(axes, panel, table)
        axes.label_outer()
    figure.legend(
        drawn.values(),
        drawn.keys(),
        loc="outside lower center",
        ncols=min(len(drawn), 2),
        fontsize=10,
        frameon=False,
    )
    _entitle(figure, table, f"test metrics over {in_words(table.shown[0])}", bars=bool(table.seeds))
    return figure


def _learned(table: Table, panel: Panel) -> str:
    """How many samples the probes learned from, as the end of their panel's title; empty where no run says it."""
    found = sorted({row.metrics[LEARNED] for row in table.finished if LEARNED in row.metrics})
    if panel.metric != PROBE or not found:
        return ""
    return f", from {f'{found[0]:,.0f} to ' if len(found) > 1 else ''}{found[-1]:,.0f} samples"


def _says_something(table: Table, metric: str) -> bool:
    """Whether it was measured, and not the same everywhere: as the share of active units where none is ever off."""
    spreads = table.spreads(metric, table.shown).values()
    return len({value for spread in spreads for value in (spread.low, spread.high)}) > 1


def about(table: Table) -> str:
    """Which study, what is averaged, and how many jobs are done, in one line."""
    means = [f"{in_words(axis)} ({len(table.values[axis])} values)" for axis in table.averaged]
    done = f"{len(table.finished)} of {len(table.rows)} jobs finished"
    return "; ".join([table.name, *([f"mean over {' and '.join(means)}"] if means else []), done])


def digits(value: float) -> str:
    """Three digits that count, `0.180`."""
    return f"{value:#.3g}".rstrip(".")


def _cell(
    axes: Any, x: int, y: int, spread: Spread | None, states: Mapping[str, int], scale: Normalize, numbered: bool
) -> None:
    if spread is None:
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="#E6E6E6", edgecolor="#B0B0B0", hatch="///"))
        state = next((word for status, word in _STATES.items() if states.get(status)), "not run")
        text, colour = state, "black"
    else:
        light = np.dot(matplotlib.colormaps["viridis"](scale(spread.mean))[:3], (0.299, 0.587, 0.114))
        colour = "black" if light > 0.5 else "white"
        text = digits(spread.mean)
        if spread.jobs < sum(states.values()):
            text += f"\n{spread.jobs} of {sum(states.values())}"
    if numbered:
        box = {"facecolor": "#E6E6E6", "edgecolor": "none", "pad": 1} if spread is None else None
        axes.text(x, y, text, ha="center", va="center", fontsize=10, color=colour, bbox=box, linespacing=1.1)


def _curves_of(axes: Any, panel: Panel, table: Table) -> dict[str, Any]:
    """Draw one panel; what its legend says, with what it looks like."""
    across, *second = table.shown
    numeric = table.is_numeric(across)
    places = {value: float(value) if numeric else float(place) for place, value in enumerate(table.values[across])}
    found: dict[str, Any] = {}
    spreads = table.over_seeds(panel.metric, table.shown)
    lines: Sequence[tuple[str, ...]] = [(value,) for value in table.values[second[0]]] if second else [()]
    for number, line in enumerate(lines):
        points = {value: spread for value in places if (spread := spreads.get((value, *line)))}
        means = np.array([spread.mean for spread in points.values()])
        # The mean of equal values may differ from them in its last bit, and a bar has no length below 0.
        ends = [
            [max(0.0, s.mean - s.low) for s in points.values()],
            [max(0.0, s.high - s.mean) for s in points.values()],
        ]
        label = f"{in_words(second[0])} {line[0]}" if second else "autoencoder"
        found[label] = axes.errorbar(
            [places[value] for value in points],
            means,
            yerr=np.array(ends) if table.seeds and len(means) else None,
            color=_colour(number, len(lines)),
            marker=_MARKS[number % len(_MARKS)],
            linestyle="-" if numeric and not table.scattered else "none",
            markersize=6,
            linewidth=1.8,
            capsize=3,
        )
    for floor, style, label in (
        (panel.floor, "--", "best linear code of as many units"),
        (panel.pixels, ":", "pixels"),
    ):
        points = {} if floor is None else {value: s for (value,), s in table.spreads(floor, [across]).items()}
        # Where the other axes change what it gives, there is no one floor.
        if points and all(spread.high - spread.low <= 0.01 * spread.high for spread in points.values()):
            order = sorted(points, key=places.__getitem__)
            (found[label],) = axes.plot(
                [places[value] for value in order],
                [points[value].mean for value in order],
                linestyle=style,
                color="0.4",
                linewidth=1.8,
                marker="" if numeric else "_",
                markersize=16,
            )
    axes.set_xlabel(in_words(across), fontsize=12)
    axes.set_title(panel.title, fontsize=12)
    _scales(axes, panel, places, numeric=numeric)
    axes.grid(visible=True, color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return found


def _scales(axes: Any, panel: Panel, places: Mapping[str, float], *, numeric: bool) -> None:
    ticks = list(places.values())
    logarithmic = numeric and min(ticks) > 0 and max(ticks) > _WIDE * min(ticks)
    if logarithmic:
        axes.set_xscale("log")
    if numeric:
        ticks = _apart(ticks, logarithmic=logarithmic)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    names = {place: f"{place:.4g}" if numeric else value for value, place in places.items()}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: names.get(place, "")))
    axes.tick_params(labelsize=11)
    if panel.share:
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return
    # The ends of bars are lines too. What models are compared with may lie outside: they set the ends.
    lines = [(line.get_linestyle() in ("--", ":"), np.asarray(line.get_ydata(), float)) for line in axes.lines]
    own = np.concatenate([y[np.isfinite(y)] for other, y in lines if not other] or [np.empty(0)])
    if not own.size:
        return
    near = own[own <= _FAR * np.quantile(own, 0.75, method="lower")] if own.min() > 0 else own
    beside = np.concatenate([y[np.isfinite(y)] for other, y in lines if other] or [np.empty(0)])
    beside = beside[(beside <= 1.5 * near.max()) & (beside >= near.min() / 1.5)]
    low, high = (each(np.concatenate([near, beside])) for each in (np.min, np.max))
    title = panel.title
    if low > 0 and high > _WIDE * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, 1.15 * high)
        title += ", logarithmic"
        _plain(axes.yaxis, np.array([low, high]))
    else:
        axes.set_ylim(min(0.0, low), 1.08 * high)
    if near.size < own.size:
        title += f"; not shown: up to {digits(float(own.max()))}"
    axes.set_title(title, fontsize=12)


def _apart(ticks: Sequence[float], *, logarithmic: bool) -> list[float]:
    """Those of the numbers, from small to large, that don't meet when they are written."""
    places = [math.log(tick) if logarithmic else tick for tick in ticks]
    least = (places[-1] - places[0]) / 12
    kept: list[int] = []
    for at, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= least:
            kept.append(at)
    return [ticks[at] for at in kept]


def _colours(errors: Any) -> Normalize:
    known = errors[np.isfinite(errors)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low > 0 and high > _WIDE * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + (abs(low) or 1.0))


def _plain(axis: Any, values: Any) -> None:
    """Round numbers on a logarithmic axis, written out."""
    low, high = values.min(), values.max()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) < 5 else (1,)
    ticks = [value for decade in decades for step in steps if low <= (value := step * 10.0**decade) <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _colour(number: int, count: int) -> Any:
    """One of many; black and grey stay with the floor and the pixels."""
    plain = COLOURS[:-1]
    order = (1, 0, 3, 6, 2, 5, 4, 7, 8)  # strong contrasts first
    if count <= len(plain):
        return plain[order[number]]
    return matplotlib.colormaps["viridis"](number / count)


def _entitle(figure: Figure, table: Table, what: str, *, bars: bool = False) -> None:
    more = "; bars from the least to the largest seed" if bars else ""
    width = int(10 * figure.get_figwidth())
    lines = [*textwrap.wrap(what[0].upper() + what[1:], width), *textwrap.wrap(f"{about(table)}{more}", width)]
    figure.suptitle("\n".join(lines), fontsize=12, x=0.01, ha="left")
