"""What the table of runs shows a person who sees it for the first time: the columns that matter, the best run on top.

The pages keep their choices in the browser, for each experiment apart. Ours are written where there are none yet, and
follow new studies as long as they are as we wrote them: what a person changes stays. Sorted by a metric, the table is
flat, so the latest studies are pinned above it.
"""

import json
from collections.abc import Sequence
from typing import Any

from hourglass.tracking import mlflow_internals
from hourglass.tracking.retries import RetryingClient

COLUMNS = (
    "params.`model.code_size`",
    "params.`seed`",
    "tags.`model`",
    "tags.`data`",
    "tags.`noise`",
    "metrics.`test/mse`",
    "metrics.`test/psnr`",
    "metrics.`test/mse_over_linear`",
    "metrics.`test/code_active_units`",
    "metrics.`fit/dead_units`",
    "metrics.`test/linear_accuracy`",
    "tags.`health`",
    "tags.`failure`",
)
"""Besides what studies have varied: columns by their names, in order."""
SORTED_BY = "metrics.`test/mse`"
_WIDTHS = {"params": 84, "tags": 84, "metrics": 92}
_WIDE = {mlflow_internals.NAME_COLUMN: 220, "tags.`health`": 240, "tags.`failure`": 240}
_STUDIES = 20
"""The latest so many say which axes matter."""
_AXES = 6
_PINNED = 3


_SCRIPT = """
(() => {
  const [key, ours] = [@KEY@, @OURS@], view = JSON.parse(@VIEW@);
  const read = (name) => { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } };
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const now = read(key), before = read(ours) ?? {};
  for (const part of Object.keys(now ? before : {})) if (same(now[part], before[part])) now[part] = view[part];
  localStorage.setItem(key, JSON.stringify(now ?? view));
  const { selectedColumns, columnOrder, columnWidths, runsPinned } = view;
  if (!now || Object.keys(before).length)
    localStorage.setItem(ours, JSON.stringify({ selectedColumns, columnOrder, columnWidths, runsPinned }));
})();
"""
"""A part that was changed is not ours any more, and stays so."""


def first_view(client: RetryingClient, experiment_id: str) -> dict[str, Any]:
    """The state of the table of an experiment, as the pages keep it.

    Args:
        client: of the store.
        experiment_id: the experiment's.
    """
    studies = client.search_runs(
        [experiment_id], "tags.kind = 'study'", max_results=_STUDIES, order_by=["attributes.start_time DESC"]
    )
    columns = columns_for([run.data.tags for run in studies])
    widths = {name: _WIDTHS[name.partition(".")[0]] for name in columns} | _WIDE
    return {
        **mlflow_internals.VIEW,
        "orderByKey": SORTED_BY,
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": [*mlflow_internals.FIRST_COLUMNS, *columns],
        "columnWidths": widths,
        "runsPinned": [run.info.run_id for run in studies[:_PINNED]],
    }


def script(experiment_id: str, view: dict[str, Any]) -> str:
    """JavaScript that gives the browser this view, or, of one that it has, the parts that are as we wrote them."""
    key = mlflow_internals.view_key(experiment_id)
    words = {"KEY": key, "OURS": f"hourglass.{key}", "VIEW": json.dumps(view)}
    text = _SCRIPT
    for word, value in words.items():
        text = text.replace(f"@{word}@", as_javascript(value))
    return text


def as_javascript(text: str) -> str:
    """A text as a script inside a page may hold it, whatever it holds: a key of somebody's sweep is in it."""
    return json.dumps(text).replace("<", "\\u003c")


def columns_for(studies: Sequence[dict[str, str]]) -> list[str]:
    """The columns, in order: what the studies have varied first, the latest study's axes before those of older ones.

    Args:
        studies: the tags of each.
    """
    prefix = "axis."
    axes = [key.removeprefix(prefix) for tags in studies for key in tags if key.startswith(prefix)]
    # A group's choice is a tag of every run, a value one of its params.
    varied = [
        f"params.`{axis}`" if "." in axis or axis == "seed" else f"tags.`{axis}`" for axis in axes if "`" not in axis
    ]
    known = [column for column in COLUMNS if column.startswith("params.") or column in varied]
    more = [column for column in dict.fromkeys(varied) if column not in COLUMNS][:_AXES]
    return list(dict.fromkeys([*known, *more, *COLUMNS]))
