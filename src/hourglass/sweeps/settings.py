"""How a sweep runs, as configured by the group `sweep`."""

import os
from dataclasses import dataclass
from typing import Literal

from hourglass.system.devices import visible_gpus
from hourglass.system.errors import HourglassError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How many jobs of a sweep run at a time, where, and which.

    Args:
        engine: `local`: processes on this machine; `ray`: tasks of a Ray cluster.
        workers: jobs at a time on CPUs, at least 1; null: one per core that this process may use, or with Ray as many
            as the cluster holds.
        slots_per_gpu: jobs at a time on each visible GPU, at least 1.
        address: of a running Ray cluster, HOST:PORT, or `auto` for the one that runs on this machine; null: an instance
            on this machine for the time of the sweep.
        cpus_per_job: CPU cores that a job takes of the Ray cluster, at least 1; null: 1.
        gpus_per_job: GPUs that a job takes of the Ray cluster: 0, a part of one, or a whole number; null: what
            `slots_per_gpu` says where there are GPUs, else 0.
        max_stack: the most jobs that train as one stack, at least 1 (none do); `auto`: what memory holds, if that is
            the fastest; a long sweep measures it, a short one takes 8 on a CPU and 64 on a GPU.
        rerun: whether jobs that the study has finished already run again.
    """

    engine: Literal["local", "ray"]
    workers: int | None
    slots_per_gpu: int
    address: str | None
    cpus_per_job: int | None
    gpus_per_job: float | None
    max_stack: int | Literal["auto"]
    rerun: bool

    def __post_init__(self) -> None:
        if self.engine not in ("local", "ray"):
            raise ValueError(f"engine must be one of local, ray, got {self.engine!r}")
        for key in ("workers", "slots_per_gpu", "cpus_per_job", "max_stack"):
            value = getattr(self, key)
            if value not in (None, "auto") and value < 1:
                raise ValueError(f"{key} must be at least 1, got {value}")
        gpus = self.gpus_per_job
        if gpus is not None and (gpus < 0 or (gpus > 1 and gpus != int(gpus))):
            raise ValueError(f"gpus_per_job must be from 0 to 1 or a whole number, got {gpus:g}")
        if self.address not in (None, "auto"):
            host, _, port = str(self.address).rpartition(":")
            if not host or "/" in host or not port.isdigit():
                raise ValueError(f"address must be null, auto or HOST:PORT, got {self.address!r}")
        for key in ("address", "cpus_per_job", "gpus_per_job"):
            if self.engine == "local" and getattr(self, key) is not None:
                raise ValueError(f"{key} must be null without sweep.engine=ray, got {getattr(self, key)!r}")

    def largest_stack(self, *, gpu: bool) -> int:
        """The most jobs of a stack where nothing of them is known."""
        if self.max_stack == "auto":
            return 64 if gpu else 1
        return self.max_stack

    def slots(self, *, accelerator: str, jobs: int, devices: int = 1) -> "list[Slot]":
        """The slots for a number of jobs on what this machine has.

        Args:
            accelerator: the jobs' `trainer.accelerator`: cpu, or one that takes a GPU where there is one.
            jobs: no more slots than that.
            devices: that one job takes.

        Raises:
            HourglassError: more GPUs than there are.
        """
        gpus = [] if accelerator == "cpu" else visible_gpus()
        if gpus:
            if devices > len(gpus):
                raise HourglassError(
                    f"trainer.devices must be at most {len(gpus)}, the GPUs that are here, got {devices}"
                )
            gpus = [",".join(gpus[at : at + devices]) for at in range(0, len(gpus) - devices + 1, devices)]
            # One round over all GPUs before a GPU gets its second job.
            places = [Slot(gpu=gpu, threads=1) for _ in range(self.slots_per_gpu) for gpu in gpus]
            return places[:jobs]
        cores = len(os.sched_getaffinity(0))
        count = min(self.workers or max(1, cores // devices), jobs)
        return [Slot(gpu=None, threads=max(1, cores // count)) for _ in range(count)]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place where one job runs at a time."""

    gpu: str | None
    """What CUDA_VISIBLE_DEVICES becomes for the job; None: a CPU."""
    threads: int
    """That torch uses on the CPU, on all of a job's devices together."""
