"""Verdicts: what the pairs of a page say of its claims.

For a comparison with the margins d_i > 0 where it holds, one for each of n seeds:

    effect     mean of d_i
    interval   95 % of the means of n margins drawn with replacement (paired bootstrap, percentiles; Efron, 1979)
    p          of Student's paired t-test, both sides (1908); by the method of Holm (1979) over all comparisons of the
               page, so that the chance of a single wrong verdict on it stays below 5 %

    CONFIRMED  the interval lies above 0, and the adjusted p is below 5 %
    REFUTED    it lies below 0, and so does p
    UNDECIDED  anything else: no proof that there is no effect

With few seeds the percentile interval is narrower than it should be; both must agree for that reason. A claim of
several comparisons is confirmed where all are, and refuted where one is.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from hourglass.claims.claim import Claim
from hourglass.claims.expectation import Comparison, Values
from hourglass.system.errors import HourglassError, nearest

__all__ = ["ALPHA", "Effect", "Judged", "Verdict", "bootstrap", "holm", "judge", "paired_p"]

Verdict = Literal["CONFIRMED", "REFUTED", "UNDECIDED", "NOT TESTED", "FAILED"]
ALPHA = 0.05
_DRAWS = 10_000


class Effect(NamedTuple):
    """What the pairs say of one comparison."""

    comparison: Comparison
    margins: tuple[float, ...]
    """One for each seed, in order; above 0 where the comparison holds."""
    mean: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    p: float
    """Over the page."""

    @property
    def verdict(self) -> Verdict:
        """See the module."""
        if self.p < ALPHA and self.low > 0:
            return "CONFIRMED"
        return "REFUTED" if self.p < ALPHA and self.high < 0 else "UNDECIDED"

    @property
    def agree(self) -> int:
        """Seeds for which it holds."""
        return sum(margin > 0 for margin in self.margins)


class Judged(NamedTuple):
    """A claim with what was found."""

    claim: Claim
    values: Mapping[int, Values]
    """By seed and arm its metrics."""
    effects: tuple[Effect, ...]
    failure: str = ""
    """Why an arm has no values, if so."""

    @property
    def verdict(self) -> Verdict:
        """See the module."""
        if not self.effects:
            return "FAILED" if self.failure else "NOT TESTED"
        verdicts = {effect.verdict for effect in self.effects}
        return "REFUTED" if "REFUTED" in verdicts else "CONFIRMED" if verdicts == {"CONFIRMED"} else "UNDECIDED"


def judge(
    claims: Sequence[Claim], found: Mapping[str, Mapping[int, Values]], failures: Mapping[str, str]
) -> list[Judged]:
    """The verdicts of a page.

    Args:
        claims: all of it.
        found: by claim, seed and arm the metrics.
        failures: by claim why it has none. A claim whose comparison needs what its arms don't have fails likewise.
    """
    margins: dict[str, list[tuple[float, ...]]] = {}
    failed = dict(failures)
    for claim in (claim for claim in claims if claim.name in found and claim.name not in failed):
        try:
            check_also(claim, found[claim.name])
            margins[claim.name] = [
                tuple(comparison.margin(found[claim.name][seed]) for seed in claim.seeds) for comparison in claim.expect
            ]
        except HourglassError as error:  # which must not cost the others of the page their verdicts
            failed[claim.name] = str(error)
    adjusted = iter(holm([paired_p(pairs) for each in margins.values() for pairs in each]))
    effects = {
        claim.name: tuple(
            Effect(comparison, pairs, float(np.mean(pairs)), *bootstrap(pairs), next(adjusted))
            for comparison, pairs in zip(claim.expect, margins[claim.name], strict=True)
        )
        for claim in claims
        if claim.name in margins
    }
    return [
        Judged(claim, found.get(claim.name, {}), effects.get(claim.name, ()), failed.get(claim.name, ""))
        for claim in claims
    ]


def check_also(claim: Claim, found: Mapping[int, Values]) -> None:
    """HourglassError where no arm has what is to be shown."""
    there = sorted({metric for arms in found.values() for metrics in arms.values() for metric in metrics})
    for metric in claim.also:
        if metric not in there:
            raise HourglassError(f"also: no arm has {metric}{nearest(metric, there)}")


def bootstrap(margins: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, the same for the same margins."""
    values = np.asarray(margins, dtype=np.float64)
    rows = np.random.default_rng(0).integers(len(values), size=(_DRAWS, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def holm(p: Sequence[float]) -> list[float]:
    """The p of several tests, adjusted: in order of size p_(k) (m - k + 1), never below the one before, at most 1."""
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, p[place] * (len(p) - rank)))
        adjusted[place] = highest
    return adjusted


def paired_p(margins: Sequence[float]) -> float:
    """Of Student's test that the mean is 0; of margins that are all the same nothing is left to chance."""
    from scipy.stats import ttest_1samp

    if np.ptp(margins) <= 1e-12 * max(map(abs, margins)):
        return float(margins[0] == 0)
    return float(ttest_1samp(margins, 0.0).pvalue)
