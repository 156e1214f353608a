"""The space of a search: what Hydra's words mean."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hourglass.sweeps.search.space import Space, parse
from hourglass.system.errors import HourglassError


def space(*words: str) -> Space:
    return parse(OverridesParser.create().parse_overrides(list(words)))


@pytest.mark.parametrize(
    ("written", "expected", "values"),
    [
        ("range(2,6)", IntDistribution(2, 5), [2, 3, 4, 5]),
        ("range(2,9,3)", IntDistribution(2, 8, step=3), [2, 5, 8]),
        ("range(9,2,-3)", IntDistribution(3, 9, step=3), [3, 6, 9]),
        ("range(3)", IntDistribution(0, 2), [0, 1, 2]),
        ("tag(log,range(1,65))", IntDistribution(1, 64, log=True), list(range(1, 65))),
        ("range(0.1,0.45,0.1)", FloatDistribution(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        ("interval(1e-4,1e-2)", FloatDistribution(1e-4, 1e-2), None),
        ("tag(log, interval(1e-4, 1e-2))", FloatDistribution(1e-4, 1e-2, log=True), None),
        ("int(interval(2,64))", IntDistribution(2, 64), list(range(2, 65))),
        ("tag(log,int(interval(2,64)))", IntDistribution(2, 64, log=True), list(range(2, 65))),
        ("choice(none,masking)", CategoricalDistribution(["none", "masking"]), ["none", "masking"]),
        ("2,4,8", CategoricalDistribution(["2", "4", "8"]), ["2", "4", "8"]),
        ("2,2,4", CategoricalDistribution(["2", "4"]), ["2", "4"]),
        ("[128],[256,64]", CategoricalDistribution(["[128]", "[256,64]"]), ["[128]", "[256,64]"]),
    ],
)
def test_what_a_space_holds(written: str, expected: BaseDistribution, values: list[object] | None) -> None:
    (dimension,) = space(f"key={written}").dimensions.values()
    assert dimension.distribution == expected
    assert dimension.values == values


def test_a_point_becomes_overrides() -> None:
    found = space("data=digits", "+a=range(1,4)", "b.c=interval(0,1)", "~d", "noise=none,[masking,gaussian]")
    assert found.fixed == ["data=digits", "~d"]
    point = {"a": 2, "b.c": 0.1 + 0.2, "noise": "[masking,gaussian]"}
    assert found.overrides(point) == ["data=digits", "~d", "+a=2", "b.c=0.3", "noise=[masking,gaussian]"]


def test_the_last_of_two_counts() -> None:
    assert space("a=range(1,4)", "b=1,2", "a=3").fixed == ["a=3"]
    assert space("b=1,2", "a=3", "a=range(1,4)").fixed == []


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("a=range(5,2)", "a=range(5,2): the range holds nothing"),
        ("a=interval(5,2)", "a=interval(5,2): an interval must rise, got 5 to 2"),
        ("a=tag(log,interval(0,2))", "a logarithm must begin above 0, got 0"),
        ("a=tag(log,range(1,9,2))", "a range on a logarithm must begin above 0 and have the step 1"),
        ("a=tag(log,choice(1,2))", "a choice has no logarithm"),
        ("a=tag(exp,interval(1,2))", "the tag must be log, got exp"),
        ("a=shuffle(1,2)", "a search has no order to shuffle"),
        ("a=3", "nothing to search: give a key a space"),
    ],
)
def test_what_makes_no_space_is_refused(written: str, reason: str) -> None:
    with pytest.raises(HourglassError) as caught:
        space(written)
    assert reason in str(caught.value)
