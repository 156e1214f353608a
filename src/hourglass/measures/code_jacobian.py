"""How much does a code follow its input: the squared Jacobian norm of the encoder, in units of code and input.

    code_jacobian = E|d h / d x|_F^2 sum_k Var(x_k) / sum_j Var(h_j)

A contractive code keeps still where the input moves a little and differs between samples all the same. The Jacobian
alone is small for any small code: h / 10 has a hundredth of it. Over the variance of the code it is a number without a
unit. n orthonormal directions that hold all variance of the input give n. No linear code has less than 1; a code that
has is flat at the samples and moves between them. A collapsed code, the same for every sample up to rounding, has none.

Reference: Contractive auto-encoders: explicit invariance during feature extraction (Rifai et al., 2011).
"""

import math

import torch
from torch import Tensor

from hourglass.bottlenecks import Symbolic
from hourglass.measures.health import is_rounding
from hourglass.models import Autoencoder

SAMPLES = 500
"""Samples whose variances are taken, and whose Jacobians where these have a closed form."""
PASSES = 1280
"""Backward passes that the Jacobians take at most where it has none: one for each unit and sample."""
LARGEST = 64
"""Units of the largest code that is measured without a closed form."""


@torch.no_grad()
def code_jacobian(model: Autoencoder, x: Tensor) -> float | None:
    """The number, of the code in use.

    Args:
        model: in evaluation mode, on the device of x.
        x: (B, *shape) as the model sees them, in no order; the first `SAMPLES` count.

    Returns:
        None where it would take long: a code of more than `LARGEST` units without a closed form; for a code of symbols,
        which has no derivative; of a model that is told classes, which have none either; where nothing varies by more
        than rounding: by the code's deviation beside its root mean square, since numbers are rounded by their size,
        however little they differ.
    """
    if isinstance(model.bottleneck, Symbolic) or model.classes:
        return None
    if not model.has_closed_jacobian and model.code_size > LARGEST:
        return None
    x = x[:SAMPLES]
    code = model.encode(x)
    variance, square = _variance(code).item(), code.flatten(1).double().square().mean(0).sum().item()
    if len(x) < 2 or is_rounding(math.sqrt(variance), math.sqrt(square)):
        return None
    measured = x if model.has_closed_jacobian else x[: max(1, PASSES // model.code_size)]
    squares = model.squared_jacobian(measured)
    return squares.double().mean().item() * _variance(x).item() / variance


def _variance(values: Tensor) -> Tensor:
    """Summed over what a sample has, (B, ...) to a scalar."""
    return values.flatten(1).double().var(dim=0, correction=0).sum()
