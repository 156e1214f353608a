"""How floats are scaled before a model sees them: x = (raw - offset) / scale, fitted on train alone.

    none       as they are
    unit       one offset and one scale for all values: the usual range that they lie in and fill, [0, 1], [-1, 1] or
               [0, 255], becomes [0, 1]; where there is none, train spans [0, 1]
    minmax     each column of train spans [0, 1]; of images each channel
    standard   each column of train has mean 0 and variance 1; of images each channel

Grey levels (uint8) are seen as 0 to 1 anyway: for them `unit` is `none`. One-hot columns stay 0 and 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hourglass.data.dataset import Category, Scaling
from hourglass.data.ranges import usual

SCALINGS = ("none", "unit", "minmax", "standard")


def fit_scaling(x: Tensor, kind: str, *, categories: Sequence[Category] = ()) -> Scaling | None:
    """The scaling of x (N, D) or (N, C, H, W), whose missing entries (NaN) don't count; a constant column becomes 0.

    None where nothing is scaled. categories: one-hot columns, which are left as they are.
    """
    if kind == "none" or (kind == "unit" and x.dtype == torch.uint8):
        return None
    wide = x.double()
    if kind == "unit":
        numbers = torch.ones(x.shape[1], dtype=torch.bool)
        for category in categories:
            numbers[category.span] = False
        known = wide[:, numbers] if x.ndim == 2 else wide
        present = known[~known.isnan()]
        ends = (present.min().item(), present.max().item()) if len(present) else (0.0, 1.0)
        low, high = usual(ends) or ends
        offset = torch.full(_columns(x), low, dtype=torch.float64)
        scale = torch.full(_columns(x), high - low if high > low else 1.0, dtype=torch.float64)
    else:
        flat = wide if x.ndim == 2 else wide.movedim(1, -1).flatten(0, -2)  # (n, columns or channels)
        missing = flat.isnan()
        lowest = flat.masked_fill(missing, torch.inf).amin(0)
        spread = flat.masked_fill(missing, -torch.inf).amax(0) - lowest
        if kind == "minmax":
            offset, scale = lowest, spread
        elif bool(missing.any()):
            offset = flat.nanmean(0)
            scale = (flat - offset).square().nanmean(0).sqrt()
        else:
            offset, scale = flat.mean(0), flat.std(0, correction=0)
        scale = torch.where(spread > 0, scale, 1.0)
        offset, scale = (each.reshape(_columns(x)) for each in (offset, scale))
    for category in categories:
        offset[category.span], scale[category.span] = 0.0, 1.0
    return Scaling(offset=offset, scale=scale)


def _columns(x: Tensor) -> tuple[int, ...]:
    """The shape of one number for each column (D,), or channel (C, 1, 1)."""
    return (x.shape[1], *[1] * (x.ndim - 2))
