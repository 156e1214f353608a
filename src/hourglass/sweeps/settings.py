"""How a sweep runs, as configured by the group `sweep`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How many jobs of a sweep run at a time, and which.

    Args:
        workers: jobs at a time on a CPU, at least 1; null: one per core that this process may use.
        slots_per_gpu: jobs at a time on each visible GPU, at least 1.
        max_stack: the most jobs that train as one stack, at least 1 (none do); `auto`: 1 on a CPU, where a process per
            core is faster, 64 on a GPU, where a stack that finds no memory is halved.
        rerun: whether jobs that the study has finished already run again.
    """

    workers: int | None
    slots_per_gpu: int
    max_stack: int | Literal["auto"]
    rerun: bool

    def __post_init__(self) -> None:
        for key in ("workers", "slots_per_gpu", "max_stack"):
            value = getattr(self, key)
            if value not in (None, "auto") and value < 1:
                raise ValueError(f"{key} must be at least 1, got {value}")

    def largest_stack(self, slots: "Sequence[Slot]") -> int:
        """The most jobs of a stack in these slots."""
        if self.max_stack == "auto":
            return 64 if any(slot.gpu is not None for slot in slots) else 1
        return self.max_stack

    def slots(self, *, accelerator: str, jobs: int) -> "list[Slot]":
        """The slots for a number of jobs on what this machine has.

        Args:
            accelerator: the jobs' `trainer.accelerator`: cpu, or one that takes a GPU where there is one.
            jobs: no more slots than that.
        """
        gpus = [] if accelerator == "cpu" else visible_gpus()
        if gpus:
            # One round over all GPUs before a GPU gets its second job.
            places = [Slot(gpu=gpu, threads=1) for _ in range(self.slots_per_gpu) for gpu in gpus]
            return places[:jobs]
        cores = len(os.sched_getaffinity(0))
        count = min(self.workers or cores, jobs)
        return [Slot(gpu=None, threads=max(1, cores // count)) for _ in range(count)]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place where one job runs at a time."""

    gpu: str | None
    """What CUDA_VISIBLE_DEVICES becomes for the job; None: a CPU."""
    threads: int
    """That torch uses on the CPU."""


def visible_gpus() -> list[str]:
    """The GPUs that CUDA may use, as CUDA_VISIBLE_DEVICES names them; asked without starting CUDA in this process."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    import torch

    # NVML, or a forked process: neither starts CUDA here.
    return [str(number) for number in range(torch.cuda.device_count())]
