"""A sweep: runs what a study has not finished yet, shows where it is, and says at the end what failed and why."""

import logging
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from hourglass.errors import HourglassError
from hourglass.sweeps.display import Display
from hourglass.sweeps.jobs import End, Job, Task, Unit, refusals, run, units
from hourglass.sweeps.settings import Settings, Slot
from hourglass.sweeps.slots import execute
from hourglass.sweeps.study import open_study
from hourglass.tracking import prepare, reap, resolve_uri

log = logging.getLogger("hourglass")


class SweepFailed(HourglassError):  # noqa: N818 - says what happened
    """Jobs of a sweep failed; the others are done."""

    exit_code = 1


def sweep(
    jobs: Sequence[Job], settings: Settings, *, varied: Mapping[str, Sequence[str]], identity: str, name: str
) -> dict[str, End]:
    """Run jobs in slots, as children of one study's run.

    Args:
        jobs: one per point of the sweep; the same job twice runs once.
        settings: how many at a time, and whether finished ones run again.
        varied: the sweep's axes and their values.
        identity: hash of what the jobs share; the study with this identity is gone on with.
        name: of the study.

    Returns:
        how each job ended, by its key; failures are logged here already.
    """
    tracking = jobs[0].config["tracking"]
    uri, experiment = resolve_uri(tracking["uri"]), tracking["experiment"]
    prepare(uri)  # by one process, before several meet the empty file
    reap(uri, experiment)
    todo = {job.key: job for job in jobs}
    slots = settings.slots(accelerator=jobs[0].config["trainer"]["accelerator"], jobs=len(todo))
    ends: dict[str, End] = {}
    with _sigterm_raises():
        parent, done = open_study(uri=uri, experiment=experiment, name=name, identity=identity, axes=varied)
        with parent:
            if not settings.rerun:
                ends |= {key: End(value, None) for key, value in done.items() if key in todo}
            display = Display(name=name, total=len(todo), slots=len(slots), done=ends)
            waiting = [job for key, job in todo.items() if key not in ends]
            checked = [waiting[at :: len(slots)] for at in range(len(slots)) if waiting[at :: len(slots)]]
            for outcome in execute(refusals, checked, slots=slots):
                if outcome.failure:
                    raise HourglassError(f"the jobs could not be checked: {outcome.failure}\n{outcome.trace}")
                for key, reason in outcome.value.items():
                    ends[key] = End(None, reason)
                    display.refused(todo[key], reason)
            display.start(len(todo) - len(ends))
            began = time.perf_counter()
            largest = settings.largest_stack(slots)
            for wait in (False, True):
                # The second time, one by one, what another terminal ran and what a stack took down with it.
                waiting = [job for key, job in todo.items() if key not in ends]
                together = [Unit((job,), None) for job in waiting]
                if largest > 1 and len(waiting) > 1 and not wait:
                    together = _planned(waiting, largest, slots)
                    display.planned(together)
                tasks = [Task(unit.jobs, parent.id, uri, settings.rerun, wait) for unit in together]
                for outcome in execute(run, tasks, slots=slots):
                    unit = together[outcome.job]
                    if outcome.failure:
                        reap(uri, experiment)  # a killed process could not say that it ended
                    fresh: dict[str, End] = outcome.value or {}
                    if outcome.failure and len(unit.jobs) == 1:
                        fresh = {unit.jobs[0].key: End(None, outcome.failure)}
                    for job in unit.jobs:
                        if job.key in fresh:
                            ends[job.key] = fresh[job.key]
                            display.ended(job, ends[job.key])
            display.close(seconds=time.perf_counter() - began)
            log.info("study    %s in %s", parent.id, uri)
            failed = sum(end.failure is not None for end in ends.values())
            parent.log_metrics({"study/jobs": len(todo), "study/failed": failed}, step=0)
            if failed:
                parent.fail(SweepFailed(f"{failed} of {len(todo)} jobs failed; the same command again runs only these"))
    return ends


def _planned(jobs: Sequence[Job], largest: int, slots: Sequence[Slot]) -> list[Unit]:
    """The jobs in stacks; asked of a process that has imported what knows."""
    (outcome,) = execute(units, [(jobs, largest)], slots=slots)
    if outcome.failure:
        raise HourglassError(f"the jobs could not be sorted into stacks: {outcome.failure}\n{outcome.trace}")
    found: list[Unit] = outcome.value
    return found


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Within, SIGTERM ends the sweep as Ctrl-C does, so that no job is left; the exit code says which it was."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
