"""What differs between the configurations of some runs, and nothing of what is the same or only recorded."""

from collections.abc import Mapping, Sequence
from typing import Any

_UNTOLD = ("name", "study", "resume", "tracking", "sweep", "callback", "trainer", "hydra", "start")
"""What changes nothing that is computed, or only where."""


def differences(runs: Sequence[Any]) -> dict[str, list[str]]:
    """The keys on which runs differ, each with the value of every run; empty where a run has none.

    Where another choice was made in a group, the choice says it: the keys below it are left out.

    Args:
        runs: MLflow's records of them.
    """
    params: list[Mapping[str, str]] = [run.data.params for run in runs]
    tags: list[Mapping[str, str]] = [run.data.tags for run in runs]
    keys = sorted({key for each in params for key in each if key.partition(".")[0] not in _UNTOLD})
    found: dict[str, list[str]] = {}
    for group in sorted({key.partition(".")[0] for key in keys if "." in key}):
        choices = [each.get(group, "") for each in tags]
        if len(set(choices)) > 1:
            found[group] = choices
    for key in keys:
        values = [each.get(key, "") for each in params]
        if key.partition(".")[0] not in found and len(set(values)) > 1:
            found[key] = values
    order = ("model", "model.code_size", "model.depth")  # what is looked for first
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))
