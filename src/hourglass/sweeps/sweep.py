"""A sweep: runs what a study has not finished yet, shows where it is, and says at the end what failed and why."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from hourglass.sweeps.display import Display
from hourglass.sweeps.engine import Engine, ask, open_engine
from hourglass.sweeps.job import End, Job
from hourglass.sweeps.planning import plan
from hourglass.sweeps.settings import Settings
from hourglass.sweeps.slots import PRELOAD, Outcome
from hourglass.sweeps.studies import StudyRecorder
from hourglass.sweeps.studies.record import record_refused
from hourglass.sweeps.study import end_lost, finished, open_study
from hourglass.sweeps.worker import Task, refusals, run
from hourglass.system.devices import device_count
from hourglass.system.errors import HourglassError
from hourglass.system.passwords import redacted
from hourglass.system.process import sigterm_raises
from hourglass.tracking import Run, initialise_store, mark_dead_runs, resolve_uri
from hourglass.tracking.retries import BRIEFLY, TrackingUnavailable, at_most
from hourglass.tracking.store import check, expect

log = logging.getLogger("hourglass")


class SweepFailed(HourglassError):  # noqa: N818 - says what happened
    """Jobs of a sweep failed; the others are done."""

    exit_code = 1


class Swept(NamedTuple):
    """What a sweep leaves."""

    study: Run
    """The run of its study."""
    ends: dict[str, End]
    """How each job ended, by its key."""


class Study(NamedTuple):
    """A study that is open."""

    run: Run
    """Its own, the parent of its jobs' runs."""
    engine: Engine
    """What runs its jobs."""
    axes: Sequence[str]
    """What it varies."""
    on_end: Callable[[], None]
    """To be called when jobs have ended."""


def sweep(
    jobs: Sequence[Job],
    settings: Settings,
    *,
    varied: Mapping[str, Sequence[str]],
    identity: str,
    name: str,
    command: str = "",
    folder: Path | None = None,
) -> Swept:
    """Run jobs in slots, as children of one study's run.

    Args:
        jobs: one per point of the sweep; the same job twice runs once.
        settings: how many at a time, and whether finished ones run again.
        varied: the sweep's axes and their values.
        identity: hash of what the jobs share; the study with this identity is gone on with.
        name: of the study.
        command: how it was asked for.
        folder: where its pictures are written too; None: nowhere.

    Returns:
        the study and how each job ended; failures are logged here already.
    """
    count = len({job.key for job in jobs})
    most = max(jobs, key=lambda job: device_count(job.config["trainer"]))
    with studying(
        most.config,
        settings,
        jobs=count,
        varied=varied,
        identity=identity,
        name=name,
        command=command,
        folder=folder,
    ) as study:
        ends = train_all(jobs, settings, study=study, name=name)
        log.info("study    %s in %s", study.run.id, redacted(study.run.uri))
        failed = sum(end.failure is not None for end in ends.values())
        study.run.log_metrics({"study/jobs": len(ends), "study/failed": failed}, step=0)
        if failed:
            study.run.fail(SweepFailed(f"{failed} of {len(ends)} jobs failed; the same command again runs only these"))
    return Swept(study.run, ends)


@contextmanager
def studying(
    config: Mapping[str, Any],
    settings: Settings,
    *,
    jobs: int,
    varied: Mapping[str, Sequence[str]],
    identity: str,
    name: str,
    command: str = "",
    folder: Path | None = None,
) -> Iterator[Study]:
    """Within, the study's run is open, new or taken up again, and so is what runs its jobs; SIGTERM ends both truly.

    The run shows the jobs at a glance (`hourglass.sweeps.studies`), at the end and now and then before.

    Args:
        config: of one of its jobs, that which takes the most devices.
        settings: see `sweep`.
        jobs: how many there are; no more places than that.
        varied: see `sweep`.
        identity: see `sweep`.
        name: see `sweep`.
        command: see `sweep`.
        folder: see `sweep`.
    """
    uri, experiment = resolve_uri(config["tracking"]["uri"]), config["tracking"]["experiment"]
    if not experiment:
        raise HourglassError("tracking.experiment must be a name, got ''")
    if not isinstance(config["study"], str | int | None):
        raise HourglassError(f"study must be text or null, got {config['study']!r}")
    with (
        sigterm_raises(),
        open_engine(
            settings,
            accelerator=config["trainer"]["accelerator"],
            jobs=jobs,
            uri=uri,
            devices=device_count(config["trainer"]),
        ) as engine,
    ):
        initialise_store(uri)  # by one process, before several meet the empty file
        mark_dead_runs(uri, experiment)
        expect(uri)
        with (
            _reaping(uri, experiment),
            open_study(
                uri=uri, experiment=experiment, name=name, identity=identity, axes=varied, command=command
            ) as parent,
            StudyRecorder(
                run=parent, pictures="pictures" in config["callback"], preload=PRELOAD, folder=folder
            ) as recorder,
        ):
            yield Study(parent, engine, list(varied), recorder.refresh)


def train_all(jobs: Sequence[Job], settings: Settings, *, study: Study, name: str) -> dict[str, End]:
    """Run the jobs that an open study has not finished yet; a search does so batch after batch.

    Returns:
        how each job ended, by its key.
    """
    parent, engine = study.run, study.engine
    todo = {job.key: job for job in jobs}
    ends: dict[str, End] = {}
    asked = time.time() if settings.engine == "local" else None  # claims are seen on their own machine
    if not settings.rerun:
        ends |= {key: end for key, end in finished(parent.id, uri=parent.uri).items() if key in todo}
        _warn_of_changed_data(todo, ends)
    display = Display(name=name, total=len(todo), slots=engine.places, done=ends)
    waiting = [job for key, job in todo.items() if key not in ends]
    parts = [part for at in range(engine.places) if (part := waiting[at :: engine.places])]
    for refused in ask(engine, refusals, parts, purpose="checked"):
        for key, reason in refused.items():
            ends[key] = End(failure=reason, refused=True)
            display.refused(todo[key], reason)
    if refused := {key: end.failure for key, end in ends.items() if end.failure is not None}:
        record_refused(parent, {key: (todo[key].point(study.axes), why) for key, why in refused.items()})
        study.on_end()
    display.start(len(todo) - len(ends))
    began = time.perf_counter()
    for wait in (False, True):
        # The second time, one by one, what another terminal ran and what a stack took down with it.
        waiting = [job for key, job in todo.items() if key not in ends]
        groups: Sequence[tuple[Job, ...]] = [(job,) for job in waiting]
        if not wait:
            groups, alone, engine = plan(waiting, settings, engine)
            display.slots = engine.places
            display.planned(groups, alone)
        tasks = [Task(group, parent.id, parent.uri, settings.rerun, wait, None if wait else asked) for group in groups]
        # Closed at once when this ends, Ctrl-C included: its jobs must not wait for a garbage collection.
        with closing(engine.execute(run, tasks)) as outcomes:
            for outcome in outcomes:
                group = groups[outcome.job]
                fresh = _ends(outcome, group, study=parent, last=wait)
                for job in group:
                    if job.key in fresh:
                        ends[job.key] = fresh[job.key]
                        display.ended(job, ends[job.key])
                if any(end.failure for end in fresh.values()):
                    # Written at once: where this can't be, no other job could be recorded, and the sweep ends.
                    parent.log_metrics({"study/failed": sum(end.failure is not None for end in ends.values())}, step=0)
                    parent.flush()
                study.on_end()
    display.close(seconds=time.perf_counter() - began)
    return ends


def _warn_of_changed_data(jobs: Mapping[str, Job], ends: Mapping[str, End]) -> None:
    found = [(jobs[key].config["data"], end.digest) for key, end in ends.items()]
    if any(data.get("path") for data, _ in found):
        # It loads torch, which a sweep of other data goes without.
        from hourglass.pipeline.known import warn_of_changed_data

        warn_of_changed_data(found)


def _ends(outcome: Outcome, group: Sequence[Job], *, study: Run, last: bool) -> dict[str, End]:
    """How jobs ended that had one process, by their keys; not those that are tried once more, unless this is `last`."""
    if outcome.failure:
        mark_dead_runs(study.uri, study.experiment)  # a killed process could not say that it ended
        end_lost(study.id, {job.key for job in group}, uri=study.uri, reason=outcome.failure)
        return {group[0].key: End(failure=outcome.failure)} if len(group) == 1 else {}
    fresh: dict[str, End] = outcome.value
    if any(end.away for end in fresh.values()):
        with at_most(BRIEFLY):  # it has been waited for
            study.flush()
            study.check_held()
            check(study.uri)
        if not last:  # it is back
            return {key: end for key, end in fresh.items() if not end.away}
    return fresh


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
