"""A job of a sweep: one resolved configuration, named by its hash."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hourglass.config import config_hash
from hourglass.errors import HourglassError


class Job(NamedTuple):
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

    @property
    def key(self) -> str:
        """The hash of its configuration: a job with the same key is the same job."""
        return config_hash(self.config)

    @property
    def label(self) -> str:
        """Its overrides in one line."""
        return " ".join(self.overrides) or "as configured"


class Trained(NamedTuple):
    """What a finished job leaves."""

    run_id: str
    metrics: dict[str, float]


class Task(NamedTuple):
    """What a process needs to run a job."""

    job: Job
    parent: str
    """Id of the study's run."""
    uri: str
    """Where it is recorded, resolved."""
    rerun: bool
    """Whether it runs though the study has finished it."""
    wait: bool
    """Whether to wait for another process that runs the same job."""


def run(task: Task) -> Trained | None:
    """Train a job as a child of the study's run; what it prints goes to `train.log` in its folder.

    Returns:
        what it left; None if another process runs it at this moment and `task.wait` is false.
    """
    from hourglass.sweeps.claims import claim
    from hourglass.sweeps.study import finished

    with claim(task.job.key, place=f"{task.uri} {task.parent}", wait=task.wait) as mine:
        if not mine:
            return None
        # Between the sweep's start and now another terminal may have finished it.
        known = {} if task.rerun else finished(task.parent, uri=task.uri, key=task.job.key)
        return known.get(task.job.key) or _train(task)


def _train(task: Task) -> Trained:
    import os

    from omegaconf import OmegaConf

    from hourglass.config import register_resolvers
    from hourglass.train import train

    folder = Path(task.job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.log").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from hourglass import process

    process.speak()
    register_resolvers()
    try:
        result = train(OmegaConf.create(task.job.config), choices=task.job.choices, folder=folder, parent=task.parent)
    except Exception:
        traceback.print_exc()
        raise
    return Trained(result.run.id, result.metrics)


def refusals(jobs: Sequence[Job]) -> dict[str, str]:
    """The jobs whose configuration makes no sense: their keys, each with the reason in one line.

    Every part of each is built, and nothing trained; a data set that several jobs use is loaded once.
    """
    import json

    from omegaconf import OmegaConf

    from hourglass import process
    from hourglass.compose import compose
    from hourglass.config import build

    process.quieten()
    data: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for job in jobs:
        config = OmegaConf.create(job.config)
        try:
            which = json.dumps(job.config["data"], sort_keys=True)
            if which not in data:
                data = {which: build(config.data)}  # one at a time: a sweep over data sets need not hold them all
            compose(config, data=data[which])
            build(config.trainer, logger=False)
        except HourglassError as error:
            reasons[job.key] = str(error)
    return reasons


def axes(overrides: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What a sweep varies: the keys whose values differ between its jobs, with their values in order."""
    values: dict[str, list[str]] = {}
    for words in overrides:
        for word in words:
            key, _, value = word.partition("=")
            if value not in values.setdefault(key.lstrip("+~"), []):
                values[key.lstrip("+~")].append(value)
    return {key: found for key, found in values.items() if len(found) > 1}
