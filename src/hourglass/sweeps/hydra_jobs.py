"""From a batch of Hydra's overrides to jobs, and from their ends to what Hydra asks for."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.build import build
from hourglass.configuration.hydra_internals import job_return
from hourglass.configuration.identity import config_hash
from hourglass.sweeps.axes import axes, key_of, said_last
from hourglass.sweeps.composing import Composer, command_of, make_job, study_name
from hourglass.sweeps.job import End, Job
from hourglass.sweeps.slots import start_server
from hourglass.sweeps.sweep import SweepFailed, sweep
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

log = logging.getLogger("hourglass")


class Batch(NamedTuple):
    """Jobs that have been run."""

    jobs: list[Job]
    words: list[list[str]]
    """The overrides of each."""
    varied: Mapping[str, Sequence[str]]
    """The axes and their values."""
    study: Run
    """Of their study."""
    ends: dict[str, End]
    """How each job ended, by its key."""


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Run a batch of jobs; raises SweepFailed at the end if one of them failed."""
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    batch = run(context, config, job_overrides, first)
    failed = sum(end.failure is not None for end in batch.ends.values())
    if failed:
        raise SweepFailed(f"{failed} of {len(batch.ends)} jobs failed; the same command again runs only these")
    return [
        job_return(
            overrides=words_of_job,  # without the configurations, which would fill the memory of a long sweep
            working_dir=job.folder,
            task_name=config.hydra.job.name,
            status=JobStatus.COMPLETED,
            value=batch.ends[job.key],
        )
        for job, words_of_job in zip(batch.jobs, batch.words, strict=True)
    ]


def run(
    context: HydraContext,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first: int,
    *,
    prepare: Callable[[DictConfig], None] | None = None,
    also: Mapping[str, str] | None = None,
    command: str | None = None,
) -> Batch:
    """Run a batch of jobs as a study; how they ended is not judged.

    Args:
        context: as Hydra gives it to a launcher.
        config: of the multirun.
        job_overrides: one list for each job.
        first: number of the first job.
        prepare: called with each job's configuration, which it may add to.
        also: what the jobs share besides their configuration; other such things make another study.
        command: how the study was asked for; None: on the command line, which makes each job a command as well.
    """
    if not job_overrides:
        raise HourglassError("an axis of the sweep has no value, as range(0), so that there is nothing to train")
    job_overrides = [said_last(each) for each in job_overrides]
    words = [list(filter_overrides(each)) for each in job_overrides]
    varied = axes(words)
    composer = Composer(context, config)
    example = composer.compose(job_overrides[0], first)
    settings = build(example.sweep)
    if settings.engine == "local":
        start_server()  # it imports what the jobs need while they are composed
    jobs = []
    for at, each in enumerate(job_overrides):
        composed = composer.compose(each, first + at)
        if prepare is not None:
            prepare(composed)
        job = make_job(composed, varied)
        jobs.append(job if command is None else replace(job, words=()))
    base = composer.common([word for word in job_overrides[0] if key_of(word) not in varied])
    common: dict[str, Any] = OmegaConf.to_container(base, resolve=False)  # type: ignore[assignment]
    study, ends = sweep(
        jobs,
        settings,
        varied=varied,
        identity=config_hash({**common, "axes": sorted(varied), **(also or {})}),
        name=base.study or study_name(example, varied),
        command=command_of(config) if command is None else command,
        folder=Path(example.hydra.sweep.dir).absolute(),
    )
    return Batch(jobs, words, varied, study, ends)
