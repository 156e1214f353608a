"""Numbers with 32 bits or more where bfloat16, with its three digits, would be too few.

Under autocast layers answer in bfloat16. A draw around the mean of a code, a distance, a covariance or an average
computed with it would be mostly rounding, so these are taken of `wide` values and in a `full_precision` region.
"""

import torch
from torch import Tensor

__all__ = ["full_precision", "wide", "wide_type"]


def wide_type(x: Tensor) -> torch.dtype:
    """The type of x, or that of 32 bits where x has less."""
    return torch.promote_types(x.dtype, torch.float32)


def wide(x: Tensor) -> Tensor:
    """X with 32 bits or more."""
    return x.to(wide_type(x))


def full_precision(x: Tensor) -> torch.autocast:
    """A region on the device of x where products keep the precision of their factors, whatever the training's."""
    return torch.autocast(x.device.type, enabled=False)
