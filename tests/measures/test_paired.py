"""Paired differences by hand and against scipy."""

import pytest
from scipy.stats import ttest_rel

from hourglass.measures.paired import paired_difference


def test_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, s = 1, half width 4.303 / sqrt 3."""
    found = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.high - found.mean == pytest.approx(4.3027 / 3**0.5, rel=1e-4)
    assert found.within(4.5)
    assert not found.within(4.4)
    assert found.said("+.1f") == "+2.0 (-0.5 to +4.5)"


def test_agrees_with_scipy() -> None:
    a, b = [0.31, 0.29, 0.35, 0.33, 0.30], [0.30, 0.25, 0.36, 0.31, 0.28]
    interval = ttest_rel(a, b).confidence_interval(0.95)
    found = paired_difference(a, b)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(("a", "b"), [([1.0], [2.0]), ([1.0, 2.0], [1.0])])
def test_values_without_a_partner(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs must be at least 2, each value with its partner"):
        paired_difference(a, b)
