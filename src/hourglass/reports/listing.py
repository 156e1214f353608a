"""Runs and studies as lines: name, id, when, how it ended, verdict, test error."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hourglass.system.errors import HourglassError, printable
from hourglass.tracking import search_runs
from hourglass.tracking.mlflow_internals import PARENT

KINDS = ("study", "training", "evaluation")
STATES = ("finished", "failed", "killed", "running")
HEAD = ("name", "id", "kind", "began", "status", "test MSE", "verdict")
_ERRORS = ("test/mse", "study/best_test_mse")


def matching(words: Sequence[str], filters: Mapping[str, str], *, uri: str) -> list[Any]:
    """MLflow's records of what meets all words and filters, latest first.

    Without a filter the jobs of studies are left out: their study stands for them.

    Args:
        words: each is in the name, the id, the verdict or the study's name.
        filters: `kind`, `status`, a tag by its name (`model`), a param by its key (`model.code_size`).
        uri: where they are, resolved.

    Raises:
        HourglassError: another kind or status, or a value that can't be looked for.
    """
    conditions = []
    for key, value in filters.items():
        for name, known in (("kind", KINDS), ("status", STATES)):
            if key == name and value not in known:
                raise HourglassError(f"runs: {name} must be one of {', '.join(known)}, got {value!r}")
        quote = '"' if "'" in value else "'"
        if quote in value or "`" in key:
            raise HourglassError(f"runs: {key}={value} can't be looked for")
        if key == "status":
            conditions.append(f"attributes.status = '{value.upper()}'")
        else:
            conditions.append(f"{'params' if '.' in key or key == 'seed' else 'tags'}.`{key}` = {quote}{value}{quote}")
    found = search_runs(uri, None, " AND ".join(conditions))
    if not filters and not words:
        found = [run for run in found if not (PARENT in run.data.tags and run.data.tags.get("kind") == "training")]
    return [run for run in found if all(word.lower() in _text(run) for word in words)]


def error_of(run: Any) -> float | None:
    """Its test error; of a study that of its best job."""
    return next((run.data.metrics[name] for name in _ERRORS if name in run.data.metrics), None)


def line(run: Any) -> tuple[str, ...]:
    """A run in the columns of `HEAD`."""
    error, tags = error_of(run), run.data.tags
    verdict = tags.get("health", "") if run.info.status == "FINISHED" else tags.get("failure", "")
    return (
        printable(str(run.info.run_name)),
        run.info.run_id[:8],
        tags.get("kind", ""),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(run.info.start_time / 1000)),
        run.info.status.lower(),
        "" if error is None else f"{error:.5f}",
        printable(verdict),
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns; the last one is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _text(run: Any) -> str:
    tags = run.data.tags
    said = (run.info.run_name, run.info.run_id, tags.get("health", ""), tags.get("study", ""), tags.get("failure", ""))
    return " ".join(map(str, said)).lower()
