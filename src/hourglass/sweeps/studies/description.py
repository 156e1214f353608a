"""What a study says of itself on its page, in Markdown: its conclusion first: some 100 pixels are seen at once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hourglass.pipeline.description import numbers
from hourglass.pipeline.naming import wrapped
from hourglass.sweeps.studies.conclusions import effects, overall
from hourglass.sweeps.studies.table import (
    DEAD,
    ERROR,
    FLOOR,
    LEARNED,
    PROBE,
    REFUSED,
    SPARSITY,
    Row,
    Table,
    at,
    in_words,
)
from hourglass.tracking.mlflow_internals import artifact_link, page_link

_ROWS, _REASONS = 10, 20
"""At most so many lines of each kind; the rest is in the table of all jobs."""
_MEASURED = {
    ERROR: ("test MSE", "{:.5f}"),
    "test/mse_as_trained": ("as trained", "{:.5f}"),
    "test/psnr": ("PSNR", "{:.2f} dB"),
    "test/mse_over_linear": ("over the linear floor", "{:.2f}"),
    SPARSITY: ("active units", "{:.1%}"),
    DEAD: ("dead units", "{:.0f}"),
    PROBE: ("linear probe", "{:.1%}"),
    LEARNED: ("learned from", "{:,.0f} samples"),
}
_UNSAFE = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", "`": "'"})


class Place(NamedTuple):
    """Where a study is, for links."""

    experiment_id: str
    run_id: str


def describe(
    table: Table, *, place: Place, tags: Mapping[str, str], pictures: Mapping[str, str], report: str | None
) -> str:
    """The description of a study as it stands.

    Args:
        table: its jobs.
        place: where it is.
        tags: its own; `command` is how it was asked for.
        pictures: by their names their paths in its run, in the order of the page.
        report: the file of its report; None: it has none yet.
    """
    parts = [_conclusion(table, place), *_effects(table)]
    parts.append(f"*{_plain(table.name)}*: {_question(table)}")
    if report:
        parts.append(f"[The whole report]({page_link(place.experiment_id, place.run_id, artifact=report)})")
    parts.append(_best(table, place))
    parts += [f"![{name}]({artifact_link(path, run_id=place.run_id)})" for name, path in pictures.items()]
    parts += _reasons(table, place)
    if "command" in tags:
        parts.append(f"```\n{wrapped(tags['command'])}\n```")
    return "\n\n".join(filter(None, parts))


def _conclusion(table: Table, place: Place) -> str:
    counts = {
        "failed": sum(row.status in ("FAILED", "KILLED") for row in table.rows),
        "refused": sum(row.status == REFUSED for row in table.rows),
    }
    done = f"{len(table.finished)} of {len(table.rows)} jobs finished"
    done = ", ".join([done, *(f"{count} {state}" for state, count in counts.items() if count)])
    best = table.best
    if best is None:
        return f"**No result yet**: {done}."
    link = page_link(place.experiment_id, best.run_id)
    known = ", ".join(f"{name} {value}" for name, value in numbers(best.metrics, names=_MEASURED).items())
    return f"**{_plain(overall(table))}** [The best run]({link}): {known}; {done}."


def _effects(table: Table) -> list[str]:
    """What each setting does to the error, a line each."""
    lines = [f"- {_plain(effect.sentence)}" for effect in effects(table)]
    return ["\n".join(lines)] if lines else []


def _question(table: Table) -> str:
    axes = [f"{in_words(axis)} ({_plain(', '.join(values))})" for axis, values in table.values.items()]
    return f"what do {', '.join(axes)} change?" if axes else "one setting"


def _best(table: Table, place: Place) -> str:
    rows = [row for row in table.ranked if row.status == "FINISHED"][:_ROWS]
    measured = {name: form for name, form in {**_MEASURED, FLOOR: ("linear MSE", "{:.5f}")}.items() if _any(rows, name)}
    lines = [
        _line([*(in_words(axis) for axis in table.values), *(name for name, _ in measured.values()), "seconds"]),
        "|---" * (len(table.values) + len(measured) + 1) + "|",
    ]
    for row in rows:
        known = numbers(row.metrics, names=measured)
        cells = [known.get(name, "") for name, _ in measured.values()]
        if cells and cells[0]:
            cells[0] = f"[{cells[0]}]({page_link(place.experiment_id, row.run_id)})"
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        lines.append(_line([*map(_plain, at(row, list(table.values))), *cells, seconds]))
    file = page_link(place.experiment_id, place.run_id, artifact="study/jobs.csv")
    more = f"[All {len(table.rows)} jobs]({file})"
    return "\n".join(lines) + f"\n\n{more}" if rows else more


def _reasons(table: Table, place: Place) -> list[str]:
    """Why jobs failed or were refused."""
    found = [row for row in table.ranked if row.failure and row.status != "FINISHED"]
    lines = []
    for row in found[:_REASONS]:
        label = _plain(table.label(row)) or "the only job"
        named = f"[{label}]({page_link(place.experiment_id, row.run_id)})" if row.run_id else label
        lines.append(f"- {row.status.lower()}: {named}: {_plain(row.failure)}")
    if len(found) > _REASONS:
        lines.append(f"- and {len(found) - _REASONS} more")
    return ["\n".join(lines)] if lines else []


def _any(rows: Sequence[Row], name: str) -> bool:
    return any(name in row.metrics for row in rows)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Somebody's text, so that it can't end a cell or begin a tag."""
    return text.translate(_UNSAFE)
