"""Missing entries, NaN: how they are refused, or what stands for them.

refuse   an error that says where
drop     rows with one are left out, when they are read
mean     the mean of the column over train stands for them, for the model and for what it is measured on
mask     the same for the model; losses and measures leave them out (`Dataset.target`)
"""

from dataclasses import replace

import torch
from torch import Tensor

from hourglass.data.dataset import Split

MISSING = ("refuse", "drop", "mean", "mask")


def check_finite(name: str, x: Tensor, *, missing: bool) -> None:
    """ValueError for an infinity in x (N, *shape), and unless `missing` for a NaN."""
    if x.dtype == torch.uint8:
        return
    # As float32, which is what a split holds: 1e300 is a number in a file and infinite here.
    wrong = x.float().isinf() if missing else ~torch.isfinite(x.float())
    bad = wrong.reshape(len(x), -1).any(1).nonzero()
    if len(bad):
        raise ValueError(
            f"{name} must hold finite numbers, got {'' if missing else 'nan or '}infinity in sample"
            f" {bad[0].item()} of {len(x)}"
        )


def means(x: Tensor, columns: tuple[str, ...] | None) -> Tensor:
    """The mean of every column of x (N, D) over what is there, (D,); ValueError for a column that is not there."""
    empty = x.isnan().all(0).nonzero().flatten().tolist()
    if empty:
        name = columns[empty[0]] if columns else empty[0]
        raise ValueError(f"exclude must name column {name}, which is missing in all {len(x)} training samples")
    return x.double().nanmean(0).float()


def filled(split: Split, fill: Tensor | None) -> Split:
    """The split with these values (D,) in place of missing ones."""
    return split if fill is None else replace(split, x=torch.where(split.x.isnan(), fill, split.x))
