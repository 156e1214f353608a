"""What is said of runs beside each other, by hand: records as MLflow gives them, without a store."""

import math
import sys
from types import SimpleNamespace
from typing import Any

from hourglass.reports.compared import Side, conclusion, numbers


def side(name: str, errors: dict[str, float], *, size: str = "2", metric: str = "test/mse", **also: float) -> Side:
    """A setting with a run for each seed, of which the first is compared."""
    records: list[Any] = [
        SimpleNamespace(
            data=SimpleNamespace(metrics={metric: value, **also}, params={"seed": seed, "model.code_size": size}),
            info=SimpleNamespace(run_id=f"{name}{seed}", run_name=name),
        )
        for seed, value in errors.items()
    ]
    return Side(name, records[0], records)


A = side("A: one", {"0": 1.0, "1": 2.0, "2": 3.0})


def against(one: Side, other: Side) -> str:
    (row,) = numbers([one, other]).rows
    return str(row[-1])


def test_two_settings_are_compared_seed_by_seed() -> None:
    # The ranges meet, 1 to 3 and 1.1 to 3.09; the differences are .1, .1 and .09: .0967 +- 4.303 * .00577 / sqrt(3).
    other = side("B: two", {"0": 1.1, "2": 3.09, "1": 2.1}, size="4")
    assert against(A, other) == "+0.0967 (+0.0823 to +0.111), clear"
    # Of the mean of A, 2.
    assert conclusion([A, other]) == [
        "B: two has 4.8% more test MSE than A, 95 % interval +4.1% to +5.6% over 3 seeds."
    ]


def test_an_interval_that_holds_0_is_no_equality() -> None:
    # .1, -.1 and .03: .01 +- 4.303 * .1015 / sqrt(3)
    other = side("B: two", {"0": 1.1, "1": 1.9, "2": 3.03}, size="4")
    assert against(A, other) == "+0.01 (-0.242 to +0.262), no difference shown"
    assert conclusion([A, other]) == [
        "B: two shows no difference from A in test MSE: +0.5%, 95 % interval -12.1% to +13.1% over 3 seeds, which holds"
        " 0."
    ]


def test_what_can_not_be_paired_says_why() -> None:
    alone = side("B: two", {"0": 1.5}, size="4")
    assert against(A, alone) == "+0.5, one seed"
    assert conclusion([A, alone]) == [
        "B: two has 50.0% more test MSE than A: one seed can't tell whether others would say the same."
    ]
    others = side("B: two", {"7": 0.5, "8": 0.6}, size="4")
    assert against(A, others) == "-0.5, seeds that the two don't share"
    assert "50.0% less test MSE than A: seeds that the two don't share can't tell" in conclusion([A, others])[0]
    same = side("B: two", {"0": 1.0, "1": 2.0, "2": 3.0}, size="4")
    assert against(A, same) == "the same at each seed"
    assert conclusion([A, same]) == ["B: two has the test MSE of A at each of 3 seeds."]
    assert against(A, side("B: two", {"0": 3.0, "1": 4.0, "2": 5.0}, size="4")) == "+2 at each seed"
    sibling = Side("B: one", A.siblings[1], A.siblings)
    assert against(A, sibling) == "+1, same setting"
    assert conclusion([A, sibling]) == [
        "B: one has 100.0% more test MSE than A, of the same setting: seeds differ by that."
    ]


def test_nothing_is_a_share_of_rounding() -> None:
    pca = side("A: pca", {"0": 1e-14, "1": 1e-14}, **{"test/explained_variance": 1.0})
    (said,) = conclusion([pca, side("B: net", {"0": 0.03, "1": 0.031}, size="4")])
    assert said == "B: net has a test MSE of 0.03, and that of A is rounding, 1e-14: nothing is a multiple of it."
    identity = side("A: identity", {"0": 0.0, "1": 0.0})
    assert "that of A is rounding, 0: nothing" in conclusion([identity, side("B: net", {"0": 0.03}, size="4")])[0]
    # The other way round there is something to compare with.
    assert "100.0% less test MSE than A" in conclusion([side("A: net", {"0": 0.03}, size="4"), pca])[0]


def test_numbers_that_are_none_are_not_compared() -> None:
    kept = sys.float_info.max  # what MLflow's databases make of infinity
    perfect = side("A: one", {"0": kept, "1": kept}, metric="test/psnr")
    assert against(perfect, side("B: two", {"0": 20.0, "1": 21.0}, size="4", metric="test/psnr")) == ""
    assert conclusion([perfect, A]) == ["A: one has none of A's to be compared with."]
    assert conclusion([A, perfect]) == ["A: one has no test error to compare."]
    assert math.isfinite(A.by_seed("test/mse")["0"])


def test_an_ssim_says_its_window() -> None:
    found = numbers([side("A: one", {"0": 0.9}, metric="test/ssim"), side("B", {"0": 0.8}, metric="test/ssim")])
    assert found.rows[0][0] == "test/ssim, 11 x 11 Gaussian window"
