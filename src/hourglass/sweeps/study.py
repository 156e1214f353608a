"""A study: the run that is the parent of a sweep's runs, and what it has finished already."""

import socket
from collections.abc import Collection, Mapping, Sequence

from hourglass.sweeps.job import End
from hourglass.system.locks import claim
from hourglass.system.passwords import redacted
from hourglass.tracking import Run, search_runs
from hourglass.tracking.machine import CONFIG_HASH, HOST, STUDY_ID
from hourglass.tracking.mlflow_internals import PARENT
from hourglass.tracking.search import digest_of


def open_study(
    *, uri: str, experiment: str, name: str, identity: str, axes: Mapping[str, Sequence[str]], command: str
) -> Run:
    """The run of a study, new or taken up again.

    Args:
        uri: the resolved tracking URI.
        experiment: name of the MLflow experiment.
        name: of the study.
        identity: hash of what all its jobs share, by which it is found again.
        axes: what it varies.
        command: how it was asked for, the last time.
    """
    tags = {"kind": "study", "study": name, STUDY_ID: identity, "command": command}
    tags |= {f"axis.{key}": ", ".join(values) for key, values in axes.items()}
    with claim(identity, place=redacted(uri), wait=True):  # two terminals that begin at the same time make one study
        known = search_runs(uri, experiment, f"tags.`{STUDY_ID}` = '{identity}' AND tags.kind = 'study'")
        if known:
            run = Run.join(known[0].info.run_id, uri=uri)
            earlier = {key: known[0].data.tags.get(f"axis.{key}", "") for key in axes}
            run.set_tags({**tags, **{f"axis.{key}": _joined(earlier[key], values) for key, values in axes.items()}})
            return run
        return Run.start(uri=uri, experiment=experiment, name=name, tags=tags, params={})


def finished(parent: str, *, uri: str, key: str | None = None) -> dict[str, End]:
    """The finished children of a study's run, by the hash of their configuration; of several the latest.

    Args:
        parent: id of the study's run.
        uri: the resolved tracking URI.
        key: look for this one only.
    """
    condition = f"tags.`{PARENT}` = '{parent}' AND attributes.status = 'FINISHED'"
    if key is not None:
        condition += f" AND tags.`{CONFIG_HASH}` = '{key}'"
    children = search_runs(uri, None, condition)
    return {
        run.data.tags[CONFIG_HASH]: End(
            run_id=run.info.run_id,
            metrics=dict(run.data.metrics),
            pruned="pruned" in run.data.tags,
            digest=digest_of(run),
        )
        for run in sorted(children, key=lambda each: each.info.start_time)
        if CONFIG_HASH in run.data.tags
    }


def end_lost(parent: str, keys: Collection[str], *, uri: str, reason: str) -> None:
    """End as KILLED the runs of jobs whose process on another machine ended without a word.

    `mark_dead_runs` sees those of its own machine only.

    Args:
        parent: id of the study's run.
        keys: the jobs'.
        uri: the resolved tracking URI.
        reason: what is known, in one line.
    """
    elsewhere = f"attributes.status = 'RUNNING' AND tags.`{HOST}` != '{socket.gethostname()}'"
    for run in search_runs(uri, None, f"tags.`{PARENT}` = '{parent}' AND {elsewhere}"):
        if run.data.tags.get(CONFIG_HASH) in keys:
            Run.find(run.info.run_id, uri).kill(reason)


def _joined(before: str, values: Sequence[str]) -> str:
    """`2, 4` and [4, 8] to `2, 4, 8`."""
    return ", ".join(dict.fromkeys([*filter(None, before.split(", ")), *values]))
