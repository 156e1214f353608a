"""From a batch of Hydra overrides to jobs, and from their ends to what Hydra wants to hear."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hourglass.config import build, chosen, config_hash
from hourglass.errors import HourglassError
from hourglass.sweeps.jobs import Job, axes
from hourglass.sweeps.sweep import SweepFailed, sweep

log = logging.getLogger("hourglass")


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Run a batch of jobs; raises SweepFailed at the end if one of them failed."""
    setup_globals()
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    words = [list(filter_overrides(each)) for each in job_overrides]
    varied = axes(words)
    composed = [compose_job(context, config, overrides, first + at) for at, overrides in enumerate(job_overrides)]
    jobs = [make_job(each, varied) for each in composed]
    shared = [word for word in job_overrides[0] if word.partition("=")[0].lstrip("+~") not in varied]
    base = without_hydra(context.config_loader.load_sweep_config(config, shared))
    settings = build(composed[0].sweep)
    ends = sweep(
        jobs,
        settings,
        varied=varied,
        identity=config_hash({**OmegaConf.to_container(base, resolve=False), "axes": sorted(varied)}),  # type: ignore[dict-item]
        name=base.study or study_name(composed[0], varied),
    )
    returns = []
    for job, each in zip(jobs, composed, strict=True):
        end = ends[job.key]
        value: Any = end.value if end.failure is None else HourglassError(end.failure)
        status = JobStatus.COMPLETED if end.failure is None else JobStatus.FAILED
        returns.append(
            JobReturn(
                overrides=list(each.hydra.overrides.task),
                cfg=without_hydra(each),
                hydra_cfg=OmegaConf.create({"hydra": each.hydra}),
                working_dir=job.folder,
                task_name=each.hydra.job.name,
                status=status,
                _return_value=value,
            )
        )
    failed = sum(end.failure is not None for end in ends.values())
    if failed:
        raise SweepFailed(f"{failed} of {len(ends)} jobs failed; the same command again runs only these")
    return returns


def compose_job(context: HydraContext, config: DictConfig, overrides: Sequence[str], number: int) -> DictConfig:
    """The configuration of one job, Hydra's own part included."""
    whole = context.config_loader.load_sweep_config(config, list(overrides))
    with read_write(whole.hydra.runtime), open_dict(whole):
        whole.hydra.job.id = whole.hydra.job.num = number
        HydraConfig.instance().set_config(whole)  # `hydra.sweep.subdir` asks it for the number
        whole.hydra.runtime.output_dir = str((Path(whole.hydra.sweep.dir) / whole.hydra.sweep.subdir).absolute())
    return whole


def make_job(composed: DictConfig, varied: Collection[str]) -> Job:
    """The job of such a configuration, told apart from others by its overrides of the keys that vary."""
    words = [word for word in composed.hydra.overrides.task if word.partition("=")[0].lstrip("+~") in varied]
    plain = without_hydra(composed)
    return Job(
        number=composed.hydra.job.num,
        overrides=tuple(words),
        config=OmegaConf.to_container(plain, resolve=True),  # type: ignore[arg-type]
        choices=chosen(plain, composed.hydra.runtime.choices),
        folder=composed.hydra.runtime.output_dir,
    )


def without_hydra(composed: DictConfig) -> DictConfig:
    """A configuration without Hydra's own part."""
    plain = composed.copy()
    with open_dict(plain):
        del plain["hydra"]
    return plain


def study_name(composed: DictConfig, varied: Collection[str]) -> str:
    """What a person would call it: `vanilla mnist: code_size, seed`."""
    choices = chosen(composed, composed.hydra.runtime.choices)
    what = " ".join(choices[group] for group in ("model", "data") if group not in varied)
    return f"{what}: {', '.join(key.rpartition('.')[2] for key in varied) or 'one job'}".strip(": ")
