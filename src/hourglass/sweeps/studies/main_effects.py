"""Every setting of a study on its own: a panel for each axis, beside the pictures that have room for two."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hourglass.figures.canvas import COLOURS, DPI
from hourglass.sweeps.studies.conclusions import Effect, effects
from hourglass.sweeps.studies.table import Table, in_words

_MOST = 4  # panels in a row
_TICKS = 8


def main_effects(table: Table) -> Figure | None:
    """The mean test error over the values of each setting, on one scale; None with fewer than two settings.

    Points are means over the other settings, of jobs that every value has; bars reach over the seeds alone.
    """
    found = effects(table)
    if len(found) < 2:
        return None
    columns = min(_MOST, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(max(6.4, 3.2 * columns), 3.1 * rows + 0.8), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, effect in zip(panels.flat, found, strict=False):
        _panel(panel, effect, numeric=table.is_numeric(effect.axis))
    for panel in list(panels.flat)[len(found) :]:
        panel.set_axis_off()
    for row in panels:
        row[0].set_ylabel("test MSE per value", fontsize=11)
    ends = [end for effect in found for spread in effect.spreads.values() for end in (spread.low, spread.high)]
    if min(ends) > 0 and max(ends) > 8 * min(ends):
        panels.flat[0].set_yscale("log")
        panels.flat[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels.flat[0].set_ylim(min(ends) / 1.15, max(ends) * 1.15)
    else:
        panels.flat[0].set_ylim(0, 1.08 * max(ends))
    seeds = max(effect.seeds for effect in found)
    bars = f"; bars over {seeds} seeds" if seeds > 1 else ""
    figure.suptitle(f"Each setting alone: means over the others{bars}", fontsize=12, x=0.01, ha="left")
    return figure


def _panel(panel: Any, effect: Effect, *, numeric: bool) -> None:
    values = list(effect.spreads)
    places = np.arange(len(values), dtype=float)
    means = np.array([spread.mean for spread in effect.spreads.values()])
    ends = np.array(
        [
            [spread.mean - spread.low for spread in effect.spreads.values()],
            [spread.high - spread.mean for spread in effect.spreads.values()],
        ]
    )
    panel.errorbar(
        places,
        means,
        yerr=ends if effect.seeds > 1 else None,
        color=COLOURS[1],
        marker="o",
        linestyle="-" if numeric else "none",
        linewidth=1.8,
        capsize=3,
    )
    every = -(-len(values) // _TICKS)
    panel.xaxis.set_major_locator(FixedLocator(places[::every].tolist()))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticklabels([value[:14] for value in values[::every]])
    panel.set_xlim(-0.5, len(values) - 0.5)
    panel.set_title(in_words(effect.axis), fontsize=11)
    panel.grid(visible=True, color="0.88", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
