"""The state of the process that a training changes, put back when it is over: it may run in a person's own program."""

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hourglass.system.environment import restored

_LOGGERS = ("hourglass", "pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")

_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG", "PYTORCH_NVML_BASED_CUDA_CHECK")
"""What Lightning and `process.before_training` set or remove. What MLflow's import sets is for the whole process."""


@contextmanager
def undone() -> Iterator[None]:
    """Within, anything may be set; afterwards these are what they were.

    Random numbers of Python, NumPy and torch, torch's determinism and precision, variables of the environment,
    warnings that are ignored, levels of loggers. How memory is allocated (see `process.before_training`) stays: no
    number depends on it.
    """
    import numpy as np
    import torch

    from hourglass.system.torch_internals import narrowing

    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    python, numpy = random.getstate(), np.random.get_state()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    put_back = narrowing()
    precision, kind = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(restored(*_VARIABLES))
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
            put_back()
            torch.set_float32_matmul_precision(precision)
            torch.set_default_dtype(kind)
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
