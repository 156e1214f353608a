"""Paired differences: does one setting differ from another, where both are run with the same seeds and batches?

    d_i = a_i - b_i,   mean d +- t(.975, n - 1) s_d / sqrt(n)

with s_d the standard deviation of the differences and t the quantile of Student's distribution: a 95 % interval. Seeds
move both members of a pair alike, so that it is far narrower than the spread over seeds. One that holds 0 is no proof
of equality; one that lies within a margin stated before is (Schuirmann, 1987, at the level of 2.5 %).

Reference: The probable error of a mean (Student, 1908).
"""

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import NamedTuple


class Difference(NamedTuple):
    """A mean difference with its interval."""

    mean: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies within +- margin: the two are equal, as far as the margin matters."""
        return -margin <= self.low and self.high <= margin

    def said(self, form: str) -> str:
        """In words: `+0.12 (-0.01 to +0.25)` for the form `+.2f`."""
        return f"{self.mean:{form}} ({self.low:{form}} to {self.high:{form}})"


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """A - b, pair by pair.

    Args:
        a: values of one setting, at least 2.
        b: values of the other, in the same order.

    Raises:
        ValueError: fewer than 2 pairs, or values without a partner.
    """
    from scipy.stats import t

    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"pairs must be at least 2, each value with its partner, got {len(a)} and {len(b)} values")
    differences = [one - other for one, other in zip(a, b, strict=True)]
    half = float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / math.sqrt(len(differences))
    middle = mean(differences)
    return Difference(middle, middle - half, middle + half)
