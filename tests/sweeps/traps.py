"""A corruption that corrupts nothing, but on request brings down the job that it is part of: really, in its process."""

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from torch import Tensor

from hourglass.noise.process import Process


class Trap(Process):
    """What happens is what files are in a folder: `kill-3` kills job 3.

    Args:
        folder: where the files are.
        job: which one this is.
    """

    def __init__(self, *, folder: str, job: int) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.job = job

    def forward(self, x: Tensor, bounds: Tensor) -> Tensor:  # noqa: ARG002
        for name, fault in FAULTS.items():
            if (self.folder / f"{name}-{self.job}").exists():
                return fault(self.folder / f"{name}-{self.job}", x)
        return x


def _raise(_: Path, x: Tensor) -> Tensor:  # noqa: ARG001
    raise RuntimeError("the sky fell\non our heads")


def _kill(_: Path, x: Tensor) -> Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    return x


def _kill_once(path: Path, x: Tensor) -> Tensor:
    path.unlink()
    return _kill(path, x)


def _memory(_: Path, x: Tensor) -> Tensor:
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, resource.RLIM_INFINITY))
    return x + torch.zeros(2**29).sum()


def _nan(_: Path, x: Tensor) -> Tensor:
    return x * float("nan")


def _hang(path: Path, x: Tensor) -> Tensor:
    while path.exists():
        time.sleep(0.05)
    return x


FAULTS: dict[str, Callable[[Path, Tensor], Tensor]] = {
    "raise": _raise,
    "kill": _kill,
    "kill_once": _kill_once,
    "memory": _memory,
    "nan": _nan,
    "hang": _hang,
}
