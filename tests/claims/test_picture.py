"""The picture of a claim: what is compared shares a panel, and every comparison is legible."""

import matplotlib

from hourglass.claims.claim import Arm, Claim
from hourglass.claims.expectation import read_expectation
from hourglass.claims.picture import draw
from hourglass.claims.verdict import judge

matplotlib.use("Agg")
SEEDS = (0, 1, 2)
LONG = 'a["test/some_metric"] - a["test/another_metric"] > 2 * b["test/some_metric"] - b["test/another_metric"]'


def panels(*expected: str) -> list[tuple[str, list[str], list[str]]]:
    """Of each row of panels its axis, the names at its places, and what stands above its intervals."""
    arms = {"a": Arm(), "b": Arm()}
    parts = tuple(each for text in expected for each in read_expectation(text, arms=list(arms), metric="m"))
    claim = Claim("x", "", "sentence", "", arms=arms, seeds=SEEDS, metric="m", expect=parts)
    metrics = {metric for part in parts for _, metric in part.needs}
    found = {seed: {arm: {metric: seed + 2.0 * len(arm) for metric in metrics} for arm in arms} for seed in SEEDS}
    figure = draw(judge([claim], {"x": found}, {})[0])
    rows = list(zip(figure.axes[::2], figure.axes[1::2], strict=True))
    return [
        (
            left.get_xlabel().split(",")[0],
            [label.get_text() for label in left.get_yticklabels()],
            [text.get_text() for text in right.texts],
        )
        for left, right in rows
    ]


def test_arms_of_one_metric_are_named_alone() -> None:
    assert panels('a["n"] < b["n"]', 'b["n"] < 3') == [("n", ["a", "b"], ["a < b", "b < 3"])]


def test_metrics_of_one_arm_that_are_compared_share_a_scale() -> None:
    assert panels('a["s"] < a["t"]', 'a["u"] > a["t"]') == [("of a", ["s", "t", "u"], ["s < t", "u > t"])]


def test_what_is_not_compared_has_a_panel_of_its_own() -> None:
    assert panels("a < b", 'a["n"] < b["n"]') == [("m", ["a", "b"], ["a < b"]), ("n", ["a", "b"], ["a < b"])]


def test_a_long_comparison_is_wrapped_and_not_cut() -> None:
    ((_, names, (text,)),) = panels(LONG)
    assert " ".join(text.split("\n")) == LONG
    assert names[0] == "a: test/some_metric"


def test_a_comparison_of_numbers_alone_needs_no_panel() -> None:
    assert panels("1 < 2 < a") == [("m", ["a"], ["2 < a"])]
