"""A job of a sweep: one resolved configuration, named by its hash."""

import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hourglass.configuration.identity import NAMED, UNNAMED, config_hash
from hourglass.system.errors import HourglassError, reason
from hourglass.system.passwords import redacted, without_passwords

if TYPE_CHECKING:
    from hourglass.callbacks.pruning import Pruning, Watch


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of a sweep; it can be sent to another process."""

    number: int
    """Its place in the sweep, from 0."""
    overrides: tuple[str, ...]
    """What distinguishes it, `model.code_size=8`."""
    config: dict[str, Any]
    """The whole configuration, resolved."""
    choices: dict[str, str]
    """The choice made in every group."""
    folder: str
    """Where its files go."""
    watch: "Watch | None" = None
    """How it reports to a search that may stop it early; None: it doesn't."""

    @cached_property
    def key(self) -> str:
        """The hash of its configuration: a job with the same key is the same job."""
        return config_hash(self.config)

    @property
    def log(self) -> str:
        """Where what it prints goes."""
        return str(Path(self.folder) / "train.log")

    @property
    def label(self) -> str:
        """Its overrides in one line."""
        return " ".join(self.overrides) or "as configured"

    @property
    def point(self) -> str:
        """The same without what the name of every run says, and shorter: `depth=2 seed=1`."""
        words = (word.lstrip("+").partition("=") for word in self.overrides)
        return " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in words if key not in NAMED)


_CLOCKS = 60.0  # seconds by which those of processes and file systems may differ


class Trained(NamedTuple):
    """What a finished job leaves."""

    run_id: str
    metrics: dict[str, float]
    pruned: bool = False
    """Whether a search stopped it early."""


class End(NamedTuple):
    """How a job ended: value or failure is None."""

    value: Trained | None
    failure: str | None
    away: bool = False
    """Whether it failed because the store had been away for too long."""


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
            known = (finished(task.parent, uri=task.uri, key=job.key) for job in doubtful)
            try:
                ends = {key: End(value, None) for each in known for key, value in each.items()}
            except TrackingUnavailable as error:
                return {job.key: End(None, reason(error), away=True) for job in mine}
        left = [job for job in mine if job.key not in ends]
        return ends | (_train(left, task.parent) if left else {})


def _train(jobs: Sequence[Job], parent: str) -> dict[str, End]:
    import os

    from omegaconf import OmegaConf

    from hourglass.configuration.resolvers import register_resolvers
    from hourglass.pipeline.train import train
    from hourglass.sweeps import fusion
    from hourglass.system import process
    from hourglass.tracking import TrackingUnavailable

    for job in jobs:
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        Path(job.log).touch()
    with Path(jobs[0].log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for job in jobs[1:]:
        Path(job.log).write_text(f"trained in one stack with others: see {jobs[0].log}\n", encoding="utf-8")
    process.speak()
    register_resolvers()
    if len(jobs) == 1:
        (job,) = jobs
        try:
            config = OmegaConf.create(job.config)
            callbacks = _callbacks(job)
            result = train(
                config,
                choices=job.choices,
                folder=Path(job.folder),
                parent=parent,
                point=job.point,
                callbacks=callbacks,
            )
        except Exception as error:
            _print_trace(error)
            return {job.key: End(None, reason(error), isinstance(error, TrackingUnavailable))}
        return {job.key: End(Trained(result.run.id, result.metrics, _pruned(callbacks)), None)}
    watching = [_callbacks(job) for job in jobs]
    members = [
        fusion.Job(OmegaConf.create(job.config), job.choices, Path(job.folder), parent, job.point, callbacks)
        for job, callbacks in zip(jobs, watching, strict=True)
    ]
    ends: dict[str, End] = {}
    for job, callbacks, ended in zip(jobs, watching, fusion.train_fused(members), strict=True):
        if ended.result is None:
            assert ended.error is not None
            _print_trace(ended.error)
            ends[job.key] = End(None, reason(ended.error), isinstance(ended.error, TrackingUnavailable))
        else:
            ends[job.key] = End(Trained(ended.result.run.id, ended.result.metrics, _pruned(callbacks)), None)
    return ends


def _print_trace(error: BaseException) -> None:
    with suppress(OSError):  # the disk may be full
        print(without_passwords("".join(traceback.format_exception(error))), file=sys.stderr, flush=True)  # noqa: T201


def _callbacks(job: Job) -> "list[Pruning]":
    if job.watch is None:
        return []
    from hourglass.callbacks.pruning import Pruning

    return [Pruning(watch=job.watch)]


def _pruned(callbacks: "Sequence[Pruning]") -> bool:
    return any(callback.pruned for callback in callbacks)


class Unit(NamedTuple):
    """Jobs that train as one stack, or one that trains alone."""

    jobs: tuple[Job, ...]
    reason: str | None
    """Why a single one trains alone, in one line; None for a stack."""


def units(request: tuple[Sequence[Job], int | None, int]) -> list[Unit]:
    """Sort jobs into stacks of at most so many, to train so many at a time."""
    from hourglass.sweeps.fusion import fusable, not_worth

    jobs, largest, places = request
    configs = [job.config for job in jobs]
    slow = [not_worth(config) for config in configs]
    alone = [Unit((job,), reason) for job, reason in zip(jobs, slow, strict=True) if reason is not None]
    rest = [number for number, reason in enumerate(slow) if reason is None]
    groups = fusable([configs[number] for number in rest], largest=largest, places=places)
    return [Unit(tuple(jobs[rest[at]] for at in group.jobs), group.reason) for group in groups] + alone


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

    process.quieten()
    data: dict[str, Any] = {}

    def refusal(job: Job) -> str | None:
        nonlocal data
        config = OmegaConf.create(job.config)
        try:
            which = json.dumps(job.config["data"], sort_keys=True)
            if which not in data:
                data = {which: build(config.data)}  # one at a time: a sweep over data sets need not hold them all
            compose(config, data=data[which])
            make_trainer(config.trainer)
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


def axes(overrides: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What a sweep varies: the keys whose values differ between its jobs, with their values in order.

    Raises:
        HourglassError: an axis without a value; one along which every job is the same.
    """
    values: dict[str, dict[str, None]] = {}
    for words in overrides:
        for word in words:
            key, given, value = word.partition("=")
            if given and not value:
                raise HourglassError(f"{key} must have at least one value, got none: add {key}=VALUE,VALUE (or null)")
            values.setdefault(key.lstrip("+~"), {})[value] = None
    varied = {key: list(found) for key, found in values.items() if len(found) > 1}
    for key, found in varied.items():
        if key.partition(".")[0] in UNNAMED:
            raise HourglassError(f"{key} must have one value, because it makes no other job, got {', '.join(found)}")
    return varied
