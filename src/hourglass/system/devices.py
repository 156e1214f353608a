"""GPUs: which there are, and what is said where one is asked for and there is none."""

import ctypes
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hourglass.system.errors import HourglassError


def visible_gpus() -> list[str]:
    """The GPUs that CUDA may use, as CUDA_VISIBLE_DEVICES names them; asked without starting CUDA in this process."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() not in ("", "-1")]
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:  # no driver: known without the seconds that torch takes to import
        return []
    import torch

    # NVML, or a forked process: neither starts CUDA here.
    return [str(number) for number in range(torch.cuda.device_count())]


def device_count(trainer: Mapping[str, Any]) -> int:
    """How many devices train one model, as the node `trainer` of a configuration says: a number, or a list of GPUs."""
    devices = trainer.get("devices", 1)
    return len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else int(devices)


def check_gpus(accelerator: str) -> None:
    """Every GPU that is asked for must be there: a job that finds none would quietly train on a CPU.

    Args:
        accelerator: the jobs' `trainer.accelerator`.

    Raises:
        HourglassError: a GPU is asked for where there is none; CUDA_VISIBLE_DEVICES names one that isn't there.
    """
    if accelerator == "cpu":
        return
    named = visible_gpus()
    check_cuda(accelerator, there=bool(named))
    if named and "CUDA_VISIBLE_DEVICES" in os.environ:
        import torch

        found = torch.cuda.device_count()
        if found < len(named):
            raise HourglassError(
                f"CUDA_VISIBLE_DEVICES must name GPUs of this machine, got {','.join(named)}, of which CUDA finds"
                f" {found}; or set trainer.accelerator=cpu"
            )


def check_cuda(accelerator: str, *, there: bool, where: str = "there is none here") -> None:
    """A device of CUDA must be there if `trainer.accelerator` asks for one.

    Args:
        accelerator: what it is.
        there: whether there is one.
        where: how it is said that there is none.

    Raises:
        HourglassError: there is none.
    """
    if accelerator in ("gpu", "cuda") and not there:
        raise HourglassError(
            f"trainer.accelerator={accelerator} needs a CUDA device, and {where}; set trainer.accelerator=cpu or auto"
        )
