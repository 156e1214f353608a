"""How some jobs of a study learned: the validation error over the steps, the best of each value of the first axis."""

from matplotlib.figure import Figure

from hourglass.figures.canvas import COLOURS, DPI
from hourglass.sweeps.studies.conclusions import short
from hourglass.sweeps.studies.table import ERROR, Row, Table, in_words
from hourglass.tracking import Run

_MOST = 8
_MEASURED = ("val/mse", "val/loss", "train/loss")


def learning_curves(table: Table, *, uri: str) -> Figure | None:
    """Lines on one logarithmic scale; None where no run has two points.

    Args:
        table: of the study.
        uri: where its runs are, resolved.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    metric = ""
    for label, row in _chosen(table).items():
        run = Run.find(row.run_id, uri)
        metric = metric or next((name for name in _MEASURED if len(run.history(name)) > 1), "")
        if metric and len(points := run.history(metric)) > 1:
            lines[label] = points
    if not lines:
        return None
    figure = Figure(figsize=(8, 3.6), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for number, (label, points) in enumerate(lines.items()):
        axes.plot(*zip(*points, strict=True), color=COLOURS[number], label=label, linewidth=1.6)
    if all(value > 0 for points in lines.values() for _, value in points):
        axes.set_yscale("log")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel({"val/mse": "validation MSE per value"}.get(metric, metric))
    axes.grid(visible=True, which="both", color="0.9", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(fontsize=9, frameon=False)
    return figure


def _label(table: Table, row: Row) -> str:
    return ", ".join(f"{in_words(axis)} {short(row.point[axis])}" for axis in table.values)


def _chosen(table: Table) -> dict[str, Row]:
    rows = sorted((row for row in table.finished if ERROR in row.metrics), key=lambda row: row.metrics[ERROR])
    if not table.shown or table.scattered:
        return {_label(table, row) or "the run": row for row in rows[: _MOST if table.shown else 1]}
    axis = table.shown[0]
    best = {row.point[axis]: row for row in reversed(rows)}
    values = [value for value in table.values[axis] if value in best]
    every = -(-len(values) // _MOST)
    return {f"{in_words(axis)} {value}": best[value] for value in values[::every]}
