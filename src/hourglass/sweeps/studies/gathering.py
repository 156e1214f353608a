"""From what a person names, studies and runs, to what a report is about."""

from collections.abc import Sequence
from typing import Any

from hourglass.reports.differences import differences
from hourglass.sweeps.studies.record import jobs_of, row_of, table_of
from hourglass.sweeps.studies.report import Given
from hourglass.sweeps.studies.table import Table
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, search_runs

_AT_ONCE = 200  # ids in a condition


def gather(references: Sequence[str], *, uri: str) -> Given:
    """One study, or runs and the jobs of studies as one table, over the keys on which they differ.

    Args:
        references: ids, beginnings of ids or names.
        uri: where they are, resolved.

    Raises:
        HourglassError: no such run, or several; runs that are no training.
    """
    found = [Run.find(reference, uri) for reference in dict.fromkeys(references)]
    kinds = {run.id: run.tags.get("kind", "") for run in found}
    if len(found) == 1 and kinds[found[0].id] == "study":
        (study,) = found
        jobs = jobs_of(study)
        return Given(table_of(study, jobs), study.tags, jobs, study)
    jobs = []
    for run in found:
        if kinds[run.id] not in ("study", "training"):
            raise HourglassError(f"run {run.name} ({run.id}) is no training and no study: it can't be reported on")
        jobs += jobs_of(run) if kinds[run.id] == "study" else []
    jobs += _records([run.id for run in found if kinds[run.id] == "training"], uri)
    jobs = list({job.info.run_id: job for job in jobs}.values())
    axes = {key: list(dict.fromkeys(values)) for key, values in differences(jobs).items()}
    name = found[0].name if len(jobs) == 1 else f"{len(jobs)} runs"
    tags = jobs[0].data.tags if len(jobs) == 1 else {}
    rows = [row_of(job, list(axes)) for job in jobs]
    return Given(Table(name=name, axes=axes, rows=rows, whole=False), tags, jobs, None)


def records(references: Sequence[str], *, uri: str) -> list[Any]:
    """MLflow's records of runs that a person names, in this order.

    Raises:
        HourglassError: no such run, or several; one that is no training.
    """
    found = [Run.find(reference, uri) for reference in references]
    for run in found:
        if (kind := run.tags.get("kind", "")) != "training":
            raise HourglassError(f"compare takes trainings, run {run.name} ({run.id}) is {kind or 'something else'}")
    return _records(list(dict.fromkeys(run.id for run in found)), uri)


def _records(ids: Sequence[str], uri: str) -> list[Any]:
    """MLflow's records of runs, in this order."""
    found: dict[str, Any] = {}
    for at in range(0, len(ids), _AT_ONCE):
        some = ", ".join(f"'{run_id}'" for run_id in ids[at : at + _AT_ONCE])
        found |= {run.info.run_id: run for run in search_runs(uri, None, f"attributes.run_id IN ({some})")}
    return [found[run_id] for run_id in ids]
