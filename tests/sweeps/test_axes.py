"""Axes: which words make the difference between jobs."""

import pytest

from hourglass.sweeps.axes import among, axes, said_last
from hourglass.system.errors import HourglassError


def test_axes_are_what_differs() -> None:
    jobs = [["model=conv", "seed=0", "+x=1"], ["model=conv", "seed=1", "+x=1"], ["model=conv", "seed=0", "+x=1"]]
    assert axes(jobs) == {"seed": ["0", "1"]}


@pytest.mark.parametrize("word", ["seed=", "+x="])
def test_an_axis_has_a_value(word: str) -> None:
    with pytest.raises(HourglassError, match="must have at least one value, got none"):
        axes([[word]])


def test_an_axis_makes_other_jobs() -> None:
    with pytest.raises(HourglassError, match=r"callback must have one value.*got default, quick"):
        axes([["callback=default"], ["callback=quick"]])


def test_of_two_words_for_one_key_the_last_is_meant() -> None:
    words = said_last(["seed=0", "+x=1", "~y", "x=2", "seed=3"])
    assert words == ["seed=3", "x=2", "~y"]
    assert among(words, {"x", "y"}) == ["x=2", "~y"]
