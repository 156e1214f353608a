"""The page of claims is made of its numbers, and can be made of them again."""

from pathlib import Path

import pytest

from hourglass.claims.claim import Arm, Claim
from hourglass.claims.expectation import read_expectation
from hourglass.claims.page import Page, read_page, read_values, text, write
from hourglass.claims.verdict import judge
from hourglass.system.errors import HourglassError

SEEDS = (0, 1, 2)
CLAIM = Claim(
    "small",
    "",
    "Less is more | or not.",
    "a talk",
    arms={"a": Arm(), "b": Arm()},
    seeds=SEEDS,
    metric="m",
    expect=tuple(read_expectation("a < b", arms=["a", "b"], metric="m")),
    also=("dead",),
    conditions="some",
)
FOUND = {seed: {"a": {"m": 0.1 + seed / 3, "dead": 3.0}, "b": {"m": 1 + 0.1 * seed**2}} for seed in SEEDS}
PAGE = Page("Claims of mine", "hourglass claim mine", "Two hours\nof a laptop.")


def test_a_page_is_made_again_of_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "MINE.md"
    judged = judge([CLAIM], {"small": FOUND}, {})
    assert write(judged, path, PAGE)[1:] == [tmp_path / "mine/results.csv", tmp_path / "mine/small.png"]
    found = read_values(tmp_path / "mine/results.csv")
    assert found == {"small": FOUND}
    assert read_page(path) == PAGE
    assert text(judge([CLAIM], found, {}), "mine", read_page(path)) == path.read_text()


def test_the_order_in_which_arms_were_measured_changes_nothing(tmp_path: Path) -> None:
    dead = {seed: {arm: {**values, "dead": 1.0} for arm, values in FOUND[seed].items()} for seed in SEEDS}
    other = {seed: dict(reversed(arms.items())) for seed, arms in dead.items()}
    for name, found in (("ONE", dead), ("TWO", other)):
        write(judge([CLAIM], {"small": found}, {}), tmp_path / f"{name}.md", PAGE)
    assert (tmp_path / "one/results.csv").read_text() == (tmp_path / "two/results.csv").read_text()


def test_what_is_shown_besides_has_a_column_for_the_arms_that_have_it() -> None:
    lines = text(judge([CLAIM], {"small": FOUND}, {}), "mine", PAGE).splitlines()
    assert "| arm | m | dead |" in lines
    assert "| a | 0.4333 (0.1 to 0.7667) | 3 (3 to 3) |" in lines
    assert "| b | 1.167 (1 to 1.4) |  |" in lines


def test_another_text_is_no_page_of_claims(tmp_path: Path) -> None:
    path = tmp_path / "OTHER.md"
    path.write_text("# Other\n")
    with pytest.raises(HourglassError, match="must begin as a page of claims does"):
        read_page(path)
