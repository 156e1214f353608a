"""A sweep: runs what a study has not finished yet, shows where it is, and says at the end what failed and why."""

import logging
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from hourglass.sweeps.display import Display
from hourglass.sweeps.engine import Engine, open_engine
from hourglass.sweeps.jobs import End, Job, Task, Unit, refusals, run
from hourglass.sweeps.planning import plan
from hourglass.sweeps.settings import Settings
from hourglass.sweeps.studies import Artist
from hourglass.sweeps.study import end_lost, finished, open_study
from hourglass.system.errors import HourglassError
from hourglass.system.passwords import redacted
from hourglass.tracking import Run, initialise_store, mark_dead_runs, resolve_uri
from hourglass.tracking.retries import BRIEFLY, TrackingUnavailable, at_most
from hourglass.tracking.store import check, expect

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
    count = len({job.key for job in jobs})
    with studying(jobs[0].config, settings, jobs=count, varied=varied, identity=identity, name=name) as (
        parent,
        engine,
    ):
        ends = train_all(jobs, settings, parent=parent, engine=engine, name=name)
        log.info("study    %s in %s", parent.id, redacted(parent.uri))
        failed = sum(end.failure is not None for end in ends.values())
        parent.log_metrics({"study/jobs": len(ends), "study/failed": failed}, step=0)
        if failed:
            parent.fail(SweepFailed(f"{failed} of {len(ends)} jobs failed; the same command again runs only these"))
    return ends


@contextmanager
def studying(
    config: Mapping[str, Any],
    settings: Settings,
    *,
    jobs: int,
    varied: Mapping[str, Sequence[str]],
    identity: str,
    name: str,
) -> Iterator[tuple[Run, Engine]]:
    """Within, the study's run is open, new or taken up again, and so is what runs its jobs; SIGTERM ends both truly.

    The run shows the jobs at a glance (`hourglass.sweeps.studies`), at the end and now and then before.

    Args:
        config: of one of its jobs.
        settings, varied, identity, name: as `sweep` takes them.
        jobs: how many there are; no more places than that.
    """
    uri, experiment = resolve_uri(config["tracking"]["uri"]), config["tracking"]["experiment"]
    if not experiment:
        raise HourglassError("tracking.experiment must be a name, got ''")
    if not isinstance(config["study"], str | int | None):
        raise HourglassError(f"study must be text or null, got {config['study']!r}")
    with (
        _sigterm_raises(),
        open_engine(settings, accelerator=config["trainer"]["accelerator"], jobs=jobs, uri=uri) as engine,
    ):
        initialise_store(uri)  # by one process, before several meet the empty file
        mark_dead_runs(uri, experiment)
        expect(uri)
        with (
            _reaping(uri, experiment),
            open_study(uri=uri, experiment=experiment, name=name, identity=identity, axes=varied) as parent,
            Artist(run=parent, pictures=config["tracking"]["images"]) as artist,
        ):
            yield parent, artist.watch(engine)


def train_all(jobs: Sequence[Job], settings: Settings, *, parent: Run, engine: Engine, name: str) -> dict[str, End]:
    """Run the jobs that an open study has not finished yet; a search does so batch after batch.

    Returns:
        how each job ended, by its key.
    """
    uri, experiment = parent.uri, parent.experiment
    todo = {job.key: job for job in jobs}
    ends: dict[str, End] = {}
    asked = time.time() if settings.engine == "local" else None  # claims are seen on their own machine
    if not settings.rerun:
        ends |= {key: End(value, None) for key, value in finished(parent.id, uri=uri).items() if key in todo}
    display = Display(name=name, total=len(todo), slots=engine.places, done=ends)
    waiting = [job for key, job in todo.items() if key not in ends]
    # By the engine: what a job may use (a GPU, a data set) is what there is where it will run.
    checked = [part for at in range(engine.places) if (part := waiting[at :: engine.places])]
    for outcome in engine.execute(refusals, checked):
        if outcome.failure:
            raise HourglassError(f"the jobs could not be checked: {outcome.failure}", trace=outcome.trace)
        for key, reason in outcome.value.items():
            ends[key] = End(None, reason)
            display.refused(todo[key], reason)
    display.start(len(todo) - len(ends))
    began = time.perf_counter()
    for wait in (False, True):
        # The second time, one by one, what another terminal ran and what a stack took down with it.
        waiting = [job for key, job in todo.items() if key not in ends]
        together = [Unit((job,), None) for job in waiting]
        if not wait:
            together, engine = plan(waiting, settings, engine)
            display.slots = engine.places
            display.planned(together)
        tasks = [Task(unit.jobs, parent.id, uri, settings.rerun, wait, None if wait else asked) for unit in together]
        for outcome in engine.execute(run, tasks):
            unit = together[outcome.job]
            if outcome.failure:
                mark_dead_runs(uri, experiment)  # a killed process could not say that it ended
                end_lost(parent.id, {job.key for job in unit.jobs}, uri=uri, reason=outcome.failure)
            fresh: dict[str, End] = outcome.value or {}
            if any(end.away for end in fresh.values()):
                with at_most(BRIEFLY):  # it has been waited for
                    parent.flush()
                    parent.check_held()
                    check(uri)
                if not wait:  # it is back: they are tried once more
                    fresh = {key: end for key, end in fresh.items() if not end.away}
            if outcome.failure and len(unit.jobs) == 1:
                fresh = {unit.jobs[0].key: End(None, outcome.failure)}
            for job in unit.jobs:
                if job.key in fresh:
                    ends[job.key] = fresh[job.key]
                    display.ended(job, ends[job.key])
            if any(end.failure for end in fresh.values()):
                # Written at once: where this can't be, no other job could be recorded, and the sweep ends.
                parent.log_metrics({"study/failed": sum(end.failure is not None for end in ends.values())}, step=0)
                parent.flush()
    display.close(seconds=time.perf_counter() - began)
    return ends


@contextmanager
def _reaping(uri: str, experiment: str) -> Iterator[None]:
    """At an end before time, the runs of jobs that could not say that they ended are marked."""
    try:
        yield
    except BaseException as error:
        # What ended the sweep is what to hear of; a store that is away has been waited for.
        with suppress(Exception), at_most(0.0 if isinstance(error, TrackingUnavailable) else BRIEFLY):
            mark_dead_runs(uri, experiment)
        raise


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
