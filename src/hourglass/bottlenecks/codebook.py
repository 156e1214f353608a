"""Codebooks: what is common to all that choose vectors of a learned set.

    k = argmin_k |a_g - e_k|^2                                       the entry that a group of d values becomes

Entries follow the groups that chose them, of a step N_k groups with the sum S_k, as running means with decay c:

    n_k <- c n_k + (1 - c) N_k,    s_k <- c s_k + (1 - c) S_k,    e_k = s_k / n_k

and one that nobody has chosen for a while is put back onto a group of the batch. A choice has no gradient: that of the
code q = e_k goes to a as it is, or turned and stretched as a is turned and stretched into q,

    straight-through    dq/da = I
    rotation            dq/da = |q|/|a| R,    R a/|a| = q/|q| the rotation in the plane of a and q

References: Neural discrete representation learning (van den Oord et al., 2017), with moving averages; Jukebox (Dhariwal
et al., 2020) for the revival; Restructuring vector quantization with the rotation trick (Fifty et al., 2025).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hourglass.system.checks import check_choice, check_fraction, check_level, check_whole

__all__ = ["GRADIENTS", "Gradient", "check_codebook", "follow", "nearest", "passed"]

Gradient = Literal["straight_through", "rotation"]
GRADIENTS = ("straight_through", "rotation")

_LEAST = 1e-6  # length below which a vector has no direction


def check_codebook(
    *,
    code_size: int,
    entries: int,
    dimension: int,
    commitment: float,
    decay: float,
    revive_below: float,
    gradient: str,
) -> None:
    """ValueError unless the settings of a codebook make sense; arguments as in `VectorQuantized`."""
    check_whole("entries", entries, lowest=2)
    if dimension < 1 or code_size % dimension:
        raise ValueError(f"dimension must divide code_size={code_size}, got {dimension}")
    check_level("commitment", commitment)
    check_fraction("decay", decay)
    check_level("revive_below", revive_below)
    check_choice("gradient", gradient, GRADIENTS)


def nearest(groups: Tensor, entries: Tensor) -> Tensor:
    """Groups (N, d) to the numbers (N,) of the nearest entries: of (K, d), or of (N, K, d), each group's own."""
    if entries.ndim == 2:
        # By products, as PyTorch chooses for more than 25 rows: a graph must not depend on their number.
        return torch.cdist(groups, entries, compute_mode="use_mm_for_euclid_dist").argmin(dim=1)
    return (entries - groups.unsqueeze(1)).square().sum(dim=2).argmin(dim=1)


def passed(a: Tensor, chosen: Tensor, gradient: str) -> Tensor:
    """The chosen vectors (..., d) themselves, with the gradient of the vectors a (..., d) that they stand for."""
    through = a if gradient == "straight_through" else _turned(a, chosen)
    return chosen.detach() + (through - through.detach())


def _turned(a: Tensor, chosen: Tensor) -> Tensor:
    """|q|/|a| R a, where only the last a has a gradient, with R = I - 2 m m^T + 2 q a^T of directions.

    m is that halfway between a and q; where they are opposite there is none, and R a is q without it.
    """
    with torch.no_grad():
        length, wanted = (each.norm(dim=-1, keepdim=True).clamp(min=_LEAST) for each in (a, chosen))
        source, target = a / length, chosen / wanted
        halfway = F.normalize(source + target, dim=-1)
    turned = a - 2 * halfway * (halfway * a).sum(-1, keepdim=True) + 2 * target * (source * a).sum(-1, keepdim=True)
    stretched: Tensor = turned * (wanted / length)
    return stretched


@torch.no_grad()
def follow(
    entries: Tensor,
    counts: Tensor,
    sums: Tensor,
    *,
    groups: Tensor,
    chosen: Tensor,
    weights: Tensor,
    places: Tensor,
    decay: float,
    revive_below: float,
) -> None:
    """Move a codebook after the groups of a training step, in place.

    Args:
        entries: e, (K, d).
        counts: n, (K,).
        sums: s, (K, d).
        groups: (N, d).
        chosen: (N,), the number of the entry that each group has chosen.
        weights: (N,), 1 for a group that counts, else 0.
        places: (K, d), where each entry would be put back.
        decay: c.
        revive_below: n_k below which an entry is put back.
    """
    taken = torch.zeros_like(counts).index_add(0, chosen, weights.to(counts.dtype))
    added = torch.zeros_like(sums).index_add(0, chosen, (groups * weights.unsqueeze(1)).to(sums.dtype))
    counts.mul_(decay).add_(taken, alpha=1 - decay)
    sums.mul_(decay).add_(added, alpha=1 - decay)
    dead = counts < revive_below
    follows = sums / counts.clamp(min=1e-5).unsqueeze(1)
    entries.copy_(torch.where(dead.unsqueeze(1), places, follows))
    sums.copy_(torch.where(dead.unsqueeze(1), places, sums))
    counts.copy_(torch.where(dead, torch.ones_like(counts), counts))
