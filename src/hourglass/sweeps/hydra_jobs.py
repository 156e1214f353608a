"""From a batch of Hydra's overrides to jobs, and from their ends to what Hydra asks for."""

import logging
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.build import build
from hourglass.configuration.hydra_internals import job_return
from hourglass.configuration.identity import config_hash
from hourglass.sweeps.axes import axes, key_of, said_last
from hourglass.sweeps.composing import Composer, command_of, make_job, study_name
from hourglass.sweeps.slots import start_server
from hourglass.sweeps.sweep import SweepFailed, sweep
from hourglass.system.errors import HourglassError

log = logging.getLogger("hourglass")


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Run a batch of jobs; raises SweepFailed at the end if one of them failed."""
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
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
    jobs = [make_job(composer.compose(each, first + at), varied) for at, each in enumerate(job_overrides)]
    base = composer.common([word for word in job_overrides[0] if key_of(word) not in varied])
    ends = sweep(
        jobs,
        settings,
        varied=varied,
        identity=config_hash({**OmegaConf.to_container(base, resolve=False), "axes": sorted(varied)}),  # type: ignore[dict-item]
        name=base.study or study_name(example, varied),
        command=command_of(config),
        folder=Path(example.hydra.sweep.dir).absolute(),
    )
    failed = sum(end.failure is not None for end in ends.values())
    if failed:
        raise SweepFailed(f"{failed} of {len(ends)} jobs failed; the same command again runs only these")
    return [
        job_return(
            overrides=words_of_job,  # without the configurations, which would fill the memory of a long sweep
            working_dir=job.folder,
            task_name=example.hydra.job.name,
            status=JobStatus.COMPLETED,
            value=ends[job.key],
        )
        for job, words_of_job in zip(jobs, words, strict=True)
    ]
