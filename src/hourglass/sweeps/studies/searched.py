"""What a search left in its study's run, for the report: its front or its best trial, which keys matter, its pictures.

Every line is of one trial: the best of one objective and that of another are never put together.
"""

import csv
import io
from collections.abc import Mapping
from typing import NamedTuple

from hourglass.reports.content import Block, Column, Grid, Picture, Section, Sentences
from hourglass.sweeps.studies.table import in_words
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

_SAYS = {
    "history": "The objective of each trial, and the best so far.",
    "pareto": "All trials by two objectives; the stairs join those that no other is better than in both, by number.",
    "importances": "How much of the objective each key explains.",
    "slices": "The objective over each key that was searched, a point for each trial.",
}
_FRONT = 20


class _Trials(NamedTuple):
    keys: list[str]
    objectives: list[str]
    rows: list[dict[str, str]]


def section(study: Run) -> Section | None:
    """The part on the search; None where the study is a grid.

    Args:
        study: the run of the study.
    """
    known = study.pictures()
    shown = {key.removeprefix("search/"): image for key, image in known.items() if key.startswith("search/")}
    trials = _read(study, "search/trials.csv")
    if trials is None:
        return None
    blocks: list[Block] = [Sentences(lines=conclusion(study), listed=True)]
    for name, image in sorted(shown.items(), key=lambda item: (item[0] != "pareto", item[0])):
        says = next((says for start, says in _SAYS.items() if name.startswith(start)), name)
        blocks.append(Picture(name=f"search_{name}", figure=image, says=says))
    front = _read(study, "search/pareto.csv")
    if front is not None:
        blocks.append(
            Grid(
                caption="The front: trials that no other is better than in every objective.",
                columns=[Column(name="trial", number=True), *map(_column, _names(front))],
                rows=[
                    [float(row["trial"]), *(_value(row[f"{at} {key}"]) for at, key in enumerate(_names(front)))]
                    for row in front.rows
                ],
            )
        )
    return Section(title="Search", blocks=blocks)


def conclusion(study: Run) -> list[str]:
    """Sentences: the best trial, or the ends of the front; and what explains the objective."""
    tags, metrics, lines = study.tags, study.metrics, []
    front = _read(study, "search/pareto.csv")
    if front is not None and front.rows:
        many = "1 trial is" if len(front.rows) == 1 else f"{len(front.rows)} trials are"
        lines.append(f"{many} on the front of {' and '.join(front.objectives)}: no other is better in all.")
        for at, name in enumerate(front.objectives):
            row = min(front.rows, key=lambda row: float(row[f"{len(front.keys) + at} {name}"]))
            lines.append(f"The front's least {name} is that of trial {row['trial']}: {_point(front, row)}.")
    elif "best_trial" in tags:
        where = ", ".join(
            f"{in_words(key.removeprefix('best_trial.'))} {_short(value)}"
            for key, value in sorted(tags.items())
            if key.startswith("best_trial.") and key != "best_trial.run"
        )
        chosen = _below(metrics, "best/")
        by = "".join(f", by {name} {value:.4g}" for name, value in chosen.items())
        beside = {name: value for name, value in _below(metrics, "best_trial/").items() if name not in chosen}
        told = "".join(f", with {name} {value:.4g}" for name, value in beside.items())
        lines.append(f"The best trial is number {tags['best_trial']}{by}{told}: {where}.")
    shares = _below(metrics, "importance/")
    if shares:
        order = sorted(shares, key=lambda key: -shares[key])
        most = ", ".join(f"{in_words(key)} {shares[key]:.0%}" for key in order[:5])
        lines.append(f"What explains the objective: {most} (PED-ANOVA).")
    return lines


def _below(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Those whose names begin so, by the rest of them."""
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}


def _read(study: Run, path: str) -> _Trials | None:
    try:
        text = study.read_file(path, lambda file: file.read_text(encoding="utf-8"))
    except HourglassError:
        return None
    head, *rows = csv.reader(io.StringIO(text))
    many = sum(key.startswith("axis.") for key in study.tags)
    keys, objectives = head[2 : 2 + many], head[2 + many : -2]
    # A key may be an objective too: columns are told apart by their place.
    found = [
        {"trial": row[0], "state": row[1], **{f"{at} {k}": row[2 + at] for at, k in enumerate([*keys, *objectives])}}
        for row in rows
    ]
    return _Trials(keys, objectives, found)


def _names(trials: _Trials) -> list[str]:
    return [*trials.keys, *trials.objectives]


def _point(trials: _Trials, row: dict[str, str]) -> str:
    return ", ".join(
        f"{key if '/' in key else in_words(key)} {_short(row[f'{at} {key}'])}"
        for at, key in enumerate(_names(trials))
        if at < len(trials.keys) or key not in trials.keys  # an objective that is a key is said once
    )


def _column(key: str) -> Column:
    return Column(name=key if "/" in key else in_words(key), number=True)


def _value(text: str) -> str | float | None:
    try:
        return float(text)
    except ValueError:
        return text or None


def _short(text: str) -> str:
    value = _value(text)
    return f"{value:.4g}" if isinstance(value, float) else text
