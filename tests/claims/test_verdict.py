"""Verdicts, against numbers by hand and an independent implementation."""

import numpy as np
import pytest
from scipy import stats

from hourglass.claims.claim import Arm, Claim
from hourglass.claims.expectation import read_expectation
from hourglass.claims.verdict import bootstrap, holm, judge

SEEDS = tuple(range(5))


def claim(name: str, *expected: str) -> Claim:
    arms = {"a": Arm(), "b": Arm()}
    parts = tuple(each for text in expected for each in read_expectation(text, arms=list(arms), metric="m"))
    return Claim(name, "", "sentence", "", arms=arms, seeds=SEEDS, metric="m", expect=parts)


def values(differences: list[float]) -> dict[int, dict[str, dict[str, float]]]:
    return {seed: {"a": {"m": 1.0}, "b": {"m": 1.0 + d}} for seed, d in zip(SEEDS, differences, strict=True)}


def test_holm_by_hand() -> None:
    # 4 x .005, 3 x .01, then 2 x .03 = .06, and 1 x .04, which may not be below that
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_interval_is_the_percentiles_of_resampled_means() -> None:
    margins = [0.1, 0.3, 0.2, 0.5, 0.4]
    low, high = bootstrap(margins)
    theirs = stats.bootstrap((np.array(margins),), np.mean, method="percentile", n_resamples=20_000, rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    assert bootstrap(margins) == (low, high)
    assert bootstrap([0.2] * 5) == pytest.approx((0.2, 0.2))


def test_the_p_of_a_page_is_students_times_its_comparisons() -> None:
    differences = [0.1, 0.12, 0.09, 0.11, 0.1]
    p = stats.ttest_1samp(differences, 0).pvalue
    (alone,) = judge([claim("x", "a < b")], {"x": values(differences)}, {})
    assert alone.effects[0].p == pytest.approx(p)
    assert alone.effects[0].mean == pytest.approx(np.mean(differences))
    several = [claim(name, "a < b") for name in "xy"]
    pair = judge(several, {"x": values(differences), "y": values([-0.3, 0.2, 0.1, -0.1, 0.12])}, {})
    assert pair[0].effects[0].p == pytest.approx(2 * p)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.1, 0.12, 0.09, 0.11, 0.1], "CONFIRMED"),
        ([-0.1, -0.12, -0.09, -0.11, -0.1], "REFUTED"),
        ([-0.3, 0.2, 0.1, -0.1, 0.12], "UNDECIDED"),
        ([0.2] * 5, "CONFIRMED"),
        ([0.0] * 5, "UNDECIDED"),
    ],
)
def test_verdicts(differences: list[float], verdict: str) -> None:
    (judged,) = judge([claim("x", "a < b")], {"x": values(differences)}, {})
    assert judged.verdict == verdict
    assert judged.effects[0].agree == sum(each > 0 for each in differences)


def test_all_comparisons_of_a_claim_must_hold() -> None:
    found = {"x": values([0.1, 0.12, 0.09, 0.11, 0.1])}
    assert judge([claim("x", "a < b", "a > 0")], found, {})[0].verdict == "CONFIRMED"
    assert judge([claim("x", "a < b", "b < 1")], found, {})[0].verdict == "REFUTED"


def test_a_claim_without_values_says_why() -> None:
    failed, untested = judge(
        [claim("x", "a < b"), Claim("y", "", "s", "", why_not="A definition.")], {}, {"x": "arm a"}
    )
    assert (failed.verdict, failed.failure) == ("FAILED", "arm a")
    assert untested.verdict == "NOT TESTED"


def test_a_metric_that_an_arm_lacks_costs_its_own_claim_only() -> None:
    found = {"x": values([0.1, 0.12, 0.09, 0.11, 0.1]), "y": values([0.2] * 5)}
    lacking, fine = judge([claim("x", 'a["none"] < b'), claim("y", "a < b")], found, {})
    assert lacking.verdict == "FAILED"
    assert "needs none of the arm a" in lacking.failure
    assert fine.verdict == "CONFIRMED"


def test_a_claim_fails_that_shows_what_no_arm_has() -> None:
    given = claim("x", "a < b")._replace(also=("M",))
    (judged,) = judge([given], {"x": values([0.1] * 5)}, {})
    assert (judged.verdict, judged.failure) == ("FAILED", "also: no arm has M; nearest: m")
