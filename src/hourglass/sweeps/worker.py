"""What a process of a sweep does: train the jobs of a task, or say before any trains which make no sense."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hourglass.sweeps.job import End, Job
from hourglass.system.errors import HourglassError, reason
from hourglass.system.passwords import redacted, without_passwords

if TYPE_CHECKING:
    from hourglass.callbacks.pruning import Pruning
    from hourglass.sweeps.fusion import Ended, Member

_CLOCKS = 60.0  # seconds by which those of processes and file systems may differ


class Task(NamedTuple):
    """What a process needs to run a job, or several as one stack."""

    jobs: tuple[Job, ...]
    parent: str
    """Id of the study's run."""
    uri: str
    """Where it is recorded, resolved."""
    rerun: bool
    """Whether they run though the study has finished them."""
    wait: bool
    """Whether to wait for another process that runs the same job."""
    asked: float | None
    """When the study was asked for the jobs that it has finished, in seconds since the epoch; None: ask again for each,
    because another process had it until now, or may have where no claim is seen."""


def run(task: Task) -> dict[str, End]:
    """Train jobs as children of the study's run; what they print goes to `train.log` in the first one's folder.

    Returns:
        how each ended, by its key; not those that another process runs at this moment, unless `task.wait`.
    """
    from hourglass.sweeps.study import finished
    from hourglass.system.locks import claim
    from hourglass.tracking import TrackingUnavailable
    from hourglass.tracking.store import expect

    expect(task.uri)
    with ExitStack() as claims:
        place = f"{redacted(task.uri)} {task.parent}"
        claimed = {job.key: claims.enter_context(claim(job.key, place=place, wait=task.wait)) for job in task.jobs}
        mine = [job for job in task.jobs if claimed[job.key]]
        ends: dict[str, End] = {}
        if not task.rerun:
            # Since the study was asked another terminal may have finished some: those that it had claimed.
            doubtful = [job for job in mine if task.asked is None or claimed[job.key].before > task.asked - _CLOCKS]
            try:
                for job in doubtful:
                    ends |= finished(task.parent, uri=task.uri, key=job.key)
            except TrackingUnavailable as error:
                return {job.key: End(failure=reason(error), away=True) for job in mine}
        left = [job for job in mine if job.key not in ends]
        return ends | (_train(left, task.parent) if left else {})


def _train(jobs: Sequence[Job], parent: str) -> dict[str, End]:
    from omegaconf import OmegaConf

    from hourglass.configuration.resolvers import register_resolvers
    from hourglass.sweeps.fusion import Member, train_fused
    from hourglass.system import process

    for job in jobs:
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        Path(job.log).touch()
    with Path(jobs[0].log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for job in jobs[1:]:
        Path(job.log).write_text(f"trained in one stack with others: see {jobs[0].log}\n", encoding="utf-8")
    process.show_messages()
    register_resolvers()
    try:
        watching = {job.key: _callbacks(job) for job in jobs}
    except Exception as error:  # as where the journal of a search isn't here
        return {job.key: _failed(error) for job in jobs}
    members = [
        Member(
            OmegaConf.create(job.config),
            job.choices,
            Path(job.folder),
            parent,
            varied=job.overrides,
            words=job.words,
            callbacks=watching[job.key],
        )
        for job in jobs
    ]
    ended = train_fused(members) if len(members) > 1 else [_alone(members[0])]
    return {job.key: _end(each, watching[job.key]) for job, each in zip(jobs, ended, strict=True)}


def _alone(member: "Member") -> "Ended":
    from hourglass.pipeline.train import train
    from hourglass.sweeps.fusion import Ended

    try:
        return Ended(train(**member._asdict()), None)
    except Exception as error:
        return Ended(None, error)


def _end(ended: "Ended", callbacks: "Sequence[Pruning]") -> End:
    if ended.result is None:
        assert ended.error is not None
        return _failed(ended.error)
    pruned = any(callback.pruned for callback in callbacks)
    return End(run_id=ended.result.run.id, metrics=ended.result.metrics, pruned=pruned)


def _failed(error: Exception) -> End:
    """The same, and its traceback goes to the log."""
    from hourglass.tracking import TrackingUnavailable

    with suppress(OSError):  # the disk may be full
        print(without_passwords("".join(traceback.format_exception(error))), file=sys.stderr, flush=True)  # noqa: T201
    return End(failure=reason(error), away=isinstance(error, TrackingUnavailable))


def _callbacks(job: Job) -> "list[Pruning]":
    if job.watch is None:
        return []
    from hourglass.callbacks.pruning import Pruning

    return [Pruning(watch=job.watch)]


def refusals(jobs: Sequence[Job]) -> dict[str, str]:
    """The jobs whose configuration makes no sense: their keys, each with the reason in one line.

    Every part of each is built, and nothing trained; of jobs that differ only in the seed, those of the first. A data
    set that several jobs use is loaded once.
    """
    import json

    from omegaconf import OmegaConf

    from hourglass.configuration.build import build
    from hourglass.configuration.composition import check_seed
    from hourglass.pipeline.compose import compose
    from hourglass.pipeline.trainer import make_trainer
    from hourglass.system import process

    process.silence_libraries()
    data: dict[str, Any] = {}

    def refusal(job: Job) -> str | None:
        nonlocal data
        config = OmegaConf.create(job.config)
        try:
            which = json.dumps(job.config["data"], sort_keys=True)
            if which not in data:
                data = {which: build(config.data)}  # one at a time: a sweep over data sets need not hold them all
            compose(config, data=data[which])
            make_trainer(config)
        except HourglassError as error:
            return str(error)
        return None

    found: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    for job in jobs:
        try:
            check_seed(job.config["seed"])
        except HourglassError as error:
            reasons[job.key] = str(error)
            continue
        alike = json.dumps({**job.config, "seed": None}, sort_keys=True)
        if alike not in found:
            found[alike] = refusal(job)
        if (reason := found[alike]) is not None:
            reasons[job.key] = reason
    return reasons
