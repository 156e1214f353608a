"""From a batch of Hydra overrides to jobs, and from their ends to what Hydra wants to hear."""

import logging
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.build import build
from hourglass.configuration.hydra_internals import job_return
from hourglass.configuration.identity import config_hash
from hourglass.sweeps.composing import Composer, make_job, study_name
from hourglass.sweeps.jobs import axes
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
    job_overrides = [_said_last(each) for each in job_overrides]
    words = [list(filter_overrides(each)) for each in job_overrides]
    varied = axes(words)
    composer = Composer(context, config)
    example = composer.compose(job_overrides[0], first)
    settings = build(example.sweep)
    if settings.engine == "local":
        start_server()  # it imports what the jobs need while they are composed
    jobs = [make_job(composer.compose(each, first + at), varied) for at, each in enumerate(job_overrides)]
    base = composer.common([word for word in job_overrides[0] if word.partition("=")[0].lstrip("+~") not in varied])
    ends = sweep(
        jobs,
        settings,
        varied=varied,
        identity=config_hash({**OmegaConf.to_container(base, resolve=False), "axes": sorted(varied)}),  # type: ignore[dict-item]
        name=base.study or study_name(example, varied),
    )
    returns = []
    for job, words_of_job in zip(jobs, words, strict=True):
        end = ends[job.key]
        value: Any = end.value if end.failure is None else HourglassError(end.failure)
        status = JobStatus.COMPLETED if end.failure is None else JobStatus.FAILED
        returns.append(
            job_return(
                overrides=words_of_job,  # without the configurations, which would fill the memory of a long sweep
                working_dir=job.folder,
                task_name=example.hydra.job.name,
                status=status,
                value=value,
            )
        )
    failed = sum(end.failure is not None for end in ends.values())
    if failed:
        raise SweepFailed(f"{failed} of {len(ends)} jobs failed; the same command again runs only these")
    return returns


def _said_last(words: Sequence[str]) -> list[str]:
    """One word for each key, the last: with `seed=0` beside a recipe that sweeps over seeds, only 0 is meant."""
    return list({word.partition("=")[0].lstrip("+"): word for word in words}.values())
