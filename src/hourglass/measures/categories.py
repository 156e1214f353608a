"""How well are the categories of a table reconstructed, each a group of one-hot columns."""

from collections.abc import Sequence

from torch import Tensor

LEAST = 1e-7
"""Probabilities below count as this one: a name that was thought impossible costs 16.1 nats."""


def category_sums(x: Tensor, r: Tensor, groups: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
    """Sums over samples (B, D) and groups, each from its first column to before its last.

    A group that is missing is all 0 in x.

    Returns:
        `cross_entropy`, -x . ln r in nats; `category_right`, groups whose largest value is that of x;
        `category_count`, groups that are there. Nothing where there are no groups.
    """
    sums: dict[str, Tensor] = {}
    for begin, end in groups:
        x_g, r_g = x[:, begin:end], r[:, begin:end]
        known = x_g.sum(1) > 0
        found = {
            "cross_entropy": -(x_g * r_g.clamp(min=LEAST).log()).sum(),
            "category_right": ((x_g.argmax(1) == r_g.argmax(1)) & known).sum(),
            "category_count": known.sum(),
        }
        sums = {name: sums[name] + value if sums else value for name, value in found.items()}
    return sums
