"""Expectations: what is read, what it is worth, what is refused."""

import pytest

from hourglass.claims.expectation import read_expectation
from hourglass.system.errors import HourglassError

VALUES = {"a": {"test/mse": 2.0, "x": 5.0}, "b": {"test/mse": 3.0, "x": 1.0}}


def margins(text: str) -> list[float]:
    return [each.margin(VALUES) for each in read_expectation(text, arms=["a", "b"], metric="test/mse")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", [1.0]),
        ("a > b", [-1.0]),
        ("2 * a < b", [-1.0]),
        ('a["x"] > b + 1.5', [0.5]),
        ("0.5 < b - a < 1.25", [0.5, 0.25]),
        ("abs(a - b) < 0.5 * b", [0.5]),
        ("max(a, b) / min(a, b) < -(-2)", [0.5]),
    ],
)
def test_a_margin_is_what_is_computed_by_hand(text: str, expected: list[float]) -> None:
    assert margins(text) == pytest.approx(expected)


def test_it_says_what_it_needs() -> None:
    (comparison,) = read_expectation('a["x"] - a < max(b, 0)', arms=["a", "b"], metric="m")
    assert set(comparison.needs) == {("a", "x"), ("a", "m"), ("b", "m")}


@pytest.mark.parametrize(
    "text",
    [
        *("a", "a <= b", "1 < 2", "c < a", "a < b and b < a", "__import__('os') < a", "a.x < b", "a[0] < b"),
        *("open(a) < b", "abs() < a", "True < a", "'x' < a", "a < b(", "", "a ** 9 < b", "[a][0] < b", "(" * 500),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(HourglassError, match=r"^expect"):
        read_expectation(text, arms=["a", "b"], metric="m")


def test_what_an_arm_does_not_have_is_named() -> None:
    with pytest.raises(HourglassError, match=r"needs test/mze of the arm b, .*; nearest: test/mse"):
        margins('a < b["test/mze"]')


def test_a_result_that_is_no_number_is_refused() -> None:
    with pytest.raises(HourglassError, match="no numbers"):
        margins("a / (b - 3) < 1")


def test_which_of_several_is_best_by_its_place() -> None:
    (part,) = read_expectation("argmax(a, b, c) > argmin(a, b)", arms=["a", "b", "c"], metric="m")
    values = {"a": {"m": 2.0}, "b": {"m": 5.0}, "c": {"m": 5.0}}
    assert part.margin(values) == 1.0  # the first of the largest is the second, the smallest the first
    assert part.needs == [("a", "m"), ("b", "m"), ("c", "m")]
