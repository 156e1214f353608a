"""What holds within a `with` only: a module's evaluation mode, and the random numbers of a measurement."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["evaluating", "same_draws"]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within, a module is in evaluation mode; afterwards in the mode that it was in, also after an error.

    Example:
        >>> module = nn.Dropout(0.5)
        >>> with evaluating(module):
        ...     module.training
        False
        >>> module.training
        True
    """
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


@contextmanager
def same_draws(like: Tensor) -> Iterator[None]:
    """Within, the same random numbers every time; afterwards the caller's go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[like.device] if like.is_cuda else []):
        torch.manual_seed(0)
        yield
