"""Modes of a module: training and evaluation, of which a bottleneck, a dropout or a running mean takes notice."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluating"]


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
