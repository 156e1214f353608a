"""What a study says of its axes, by hand."""

import csv
import re
from itertools import product
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from hourglass.sweeps.studies.charts import curves
from hourglass.sweeps.studies.conclusions import Effect, effects, overall
from hourglass.sweeps.studies.main_effects import main_effects
from hourglass.sweeps.studies.mosaic import chosen, held
from hourglass.sweeps.studies.table import Row, Spread, Table

AXES = {"model.code_size": ["2", "4", "8"], "model.depth": ["0", "1"], "noise": ["none", "masking"], "seed": ["0", "1"]}


def study(axes: dict[str, list[str]] = AXES, *, failed: frozenset[int] = frozenset()) -> Table:
    """Error 1 over the code size, twice with noise, a tenth more with seed 1; the depth changes nothing."""
    rows = []
    for number, values in enumerate(product(*axes.values())):
        point = dict(zip(axes, values, strict=True))
        mse = 1 / float(point["model.code_size"]) * (2 if point.get("noise") == "masking" else 1)
        mse *= 1.1 if point.get("seed") == "1" else 1.0
        health = "loses to the linear floor: 1.2 times" if number % 2 else "ok"
        status = "FAILED" if number in failed else "FINISHED"
        rows.append(Row(point, status, str(number), {"test/mse": mse}, 1.0, "", health))
    return Table(name="made up", axes=axes, rows=rows)


def test_every_setting_has_a_sentence_with_effect_range_and_seeds_that_agree() -> None:
    size, noise, depth = effects(study())  # the strongest first
    assert (size.axis, noise.axis, depth.axis) == ("model.code_size", "noise", "model.depth")
    # of code size 8: (1/8 + 2/8) / 2, and a tenth more
    assert size.spreads["8"] == pytest.approx(Spread(0.196875, 0.1875, 0.20625, 2))
    assert size.sentence == (
        "code size: 8 is best with a test MSE of 0.197 (0.188 to 0.206 over 2 seeds), 4.0 times less than at 2"
        " (0.788; difference 0.591, 95 % interval 0.233 to 0.948), and every step up helps; 2 of 2 seeds agree."
    )
    assert noise.sentence.startswith("noise: none is best")
    assert noise.sentence.endswith(
        "2.0 times less than at masking (0.613; difference 0.306, 95 % interval 0.121 to 0.492); 2 of 2 seeds agree."
    )
    # Not one number differs.
    assert depth.sentence == "depth: the test MSE is the same at every value, 0.459 (0.438 to 0.481 over 2 seeds)."


def test_values_are_compared_where_all_of_them_have_a_job() -> None:
    # Number 0 is code size 2, depth 0, no noise, seed 0: without it, masking would look better than it is.
    (_, noise, _) = effects(study(failed=frozenset({0})))
    assert noise.spreads["masking"].mean == pytest.approx(2 * noise.spreads["none"].mean)
    assert noise.compared == 20  # of code size 2 and depth 0 both seeds are left out


def test_one_seed_says_nothing_of_chance() -> None:
    (effect,) = effects(study({"model.code_size": ["2", "4"]}))
    assert effect.sentence == (
        "code size: 4 is best with a test MSE of 0.25, 2.0 times less than at 2 (0.5); one seed can't tell whether"
        " others would say the same."
    )
    assert not effect.is_clear


def of_seeds(errors: dict[str, list[float]], *, axis: str = "model.code_size", **also: list[float]) -> Effect:
    """The effect of one axis: by its values the test errors of seeds 0, 1, ...; `also`: explained variance by value."""
    rows = []
    for value, known in errors.items():
        for seed, mse in enumerate(known):
            metrics = {"test/mse": mse}
            if value in also:
                metrics["test/explained_variance"] = also[value][seed]
            rows.append(Row({axis: value, "seed": str(seed)}, "FINISHED", value + str(seed), metrics, 1.0, ""))
    seeds = [str(seed) for seed in range(len(known))]
    (effect,) = effects(Table(name="x", axes={axis: list(errors), "seed": seeds}, rows=rows))
    return effect


def test_an_interval_that_holds_0_shows_no_difference_and_no_equality() -> None:
    # Differences -.1 and .5: .2 +- 12.706 * .4243 / sqrt(2)
    effect = of_seeds({"2": [1.0, 2.0], "4": [1.1, 1.5]})
    assert effect.above_best("2") == pytest.approx((0.2, -3.612, 4.012), abs=1e-3)
    assert not effect.is_clear
    assert effect.sentence == (
        "code size: 4 has the least test MSE, 1.3 (1.1 to 1.5 over 2 seeds), 13.3% less than at 2 (1.5; difference 0.2,"
        " 95 % interval -3.61 to 4.01): no difference is shown, since the interval holds 0."
    )
    # So does a small one, whatever its size: .3 % is no equality either.
    assert "0.3% less than at 2 " in of_seeds({"2": [1.0, 1.0], "4": [0.996, 0.998]}).sentence
    assert "no difference is shown" in of_seeds({"2": [1.0, 1.0], "4": [0.996, 0.998]}).sentence


def test_seeds_are_compared_in_pairs() -> None:
    """The ranges of 2 and 8 meet, and each seed says that 8 is better by a tenth or nearly."""
    effect = of_seeds({"2": [1.0, 2.0, 3.0], "4": [0.95, 1.98, 2.89], "8": [0.9, 1.91, 2.9]})
    assert effect.spreads["8"].high > effect.spreads["2"].low
    # .1, .09, .1: .0967 +- 4.303 * .00577 / sqrt(3)
    assert effect.above_best("2") == pytest.approx((0.09667, 0.08232, 0.11101), abs=1e-4)
    assert effect.is_clear
    # Of 4 less 8, .05, .07 and -.01: .0367 +- .1034
    assert effect.sentence.endswith(
        ", 4.8% less than at 2 (2; difference 0.0967, 95 % interval 0.0823 to 0.111), and the mean falls at every step"
        " up; no difference from 4 is shown; 2 of 3 seeds agree."
    )
    named = of_seeds({"a": [1.0, 2.0, 3.0], "b": [0.95, 1.98, 2.89], "c": [0.9, 1.91, 2.9]}, axis="model")
    assert "step" not in named.sentence  # names have no order


def test_nothing_is_told_as_a_multiple_of_rounding() -> None:
    effect = of_seeds(
        {"pca": [1.2e-14, 1.2e-14], "vanilla": [0.03, 0.032]}, axis="model", pca=[1.0, 1.0], vanilla=[0.55, 0.53]
    )
    assert effect.sentence == (
        "model: pca is best with a test MSE of 1.2e-14 (1.2e-14 to 1.2e-14 over 2 seeds), which is rounding, unlike"
        " that at vanilla (0.031; difference 0.031, 95 % interval 0.0183 to 0.0437); 2 of 2 seeds agree."
    )
    # Runs without the explained variance: beside the worst; and an error of 0.
    assert of_seeds({"identity": [0.0], "vanilla": [0.03]}, axis="model").sentence == (
        "model: identity is best with a test MSE of 0, which is rounding, unlike that at vanilla (0.03); one seed can't"
        " tell whether others would say the same."
    )
    # A small error of small data is none: the explained variance says so.
    small = of_seeds({"2": [1.0], "4": [5e-6]}, **{"2": [0.0], "4": [0.5]})
    assert "200000.0 times less than at 2" in small.sentence
    assert of_seeds({"2": [3e-14], "4": [1e-14]}, **{"2": [1.0], "4": [1.0]}).sentence == (
        "code size: the test MSE is rounding at every value, 3e-14 at most: nothing to compare."
    )


def test_what_beats_rounding_comes_first() -> None:
    table = study()
    for row in table.rows:
        if row.point["noise"] == "none":
            row.metrics["test/mse"] *= 1e-14
    assert effects(table)[0].axis == "noise"


def test_the_main_sentence_is_of_a_setting_whose_seeds_all_finished() -> None:
    said = overall(study())
    assert said.startswith("Best: code size 8, depth 0, noise none, with a test MSE of 0.131 (0.125 to 0.138 over 2")
    assert said.endswith("Verdict: loses to the linear floor (1 of 2 seeds).")  # once, without its number
    last = len(AXES["noise"]) * 2
    alone = overall(study(failed=frozenset(range(24 - last, 24))))  # code size 8 at depth 1
    assert alone.startswith("Best: code size 8, depth 0, noise none")
    assert overall(study(failed=frozenset(range(24)))) == "No job has finished with a test error."


def test_a_third_axis_is_no_bar_of_a_curve_but_a_panel_of_its_own() -> None:
    figure = curves(study())
    assert figure is not None
    (bars, *_) = figure.axes[0].collections
    low, high = bars.get_segments()[0][:, 1]
    # Code size 2: seeds 0 and 1, each the mean over both noises; with the noise the bar would reach from 0.5 to 1.1.
    assert (low, high) == pytest.approx((0.75, 0.825))
    panels = main_effects(study())
    assert isinstance(panels, Figure)
    assert [axes.get_title() for axes in panels.axes] == ["code size", "noise", "depth"]
    assert main_effects(study({"model.code_size": ["2", "4"], "seed": ["0", "1"]})) is None


def test_a_mosaic_holds_a_third_axis_at_the_best_value_in_every_cell() -> None:
    table = study()
    assert held(table) == {"noise": "none"}
    _, _, picked = chosen(table)
    assert {row.point["noise"] for row in picked.values()} == {"none"}
    assert {row.point["seed"] for row in picked.values()} == {"0"}
    assert len(picked) == 6


def test_a_verdict_is_said_once_whatever_its_numbers() -> None:
    table = study({"model.code_size": ["2", "4"], "seed": ["0", "1"]})
    told = {"0": "3 of 9 units dead; best epoch is the last: train longer", "1": "2 of 9 units dead"}
    table.rows[:] = [row._replace(health=told[row.point["seed"]]) for row in table.rows]
    assert overall(table).endswith("Verdict: units dead; best epoch is the last (1 of 2 seeds).")


def test_the_sentence_on_the_page_is_what_the_record_gives() -> None:
    root = Path(__file__).parents[3]
    rows: dict[tuple[str, ...], float] = {}
    with (root / "experiments" / "code_size_by_depth" / "results.csv").open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["metric"] == "test/mse":
                size, depth = re.findall(r"\d+", line["arm"])
                rows[size, depth, line["seed"]] = float(line["value"])
    axes = {
        name: list(dict.fromkeys(point[place] for point in rows))
        for place, name in enumerate(("model.code_size", "model.depth", "seed"))
    }
    found = [
        Row(dict(zip(axes, point, strict=True)), "FINISHED", "", {"test/mse": mse}, 1.0, "")
        for point, mse in rows.items()
    ]
    (size_effect, _) = effects(Table(name="x", axes=axes, rows=found))
    page = " ".join((root / "docs" / "report.md").read_text(encoding="utf-8").split())
    assert size_effect.sentence.replace("code size", "Code size", 1) in page
