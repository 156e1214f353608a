"""What a study says of its axes, by hand."""

from itertools import product

import pytest
from matplotlib.figure import Figure

from hourglass.sweeps.studies.charts import curves
from hourglass.sweeps.studies.conclusions import effects, overall
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
        " (0.788), and every step up helps; 2 of 2 seeds agree."
    )
    assert noise.sentence.startswith("noise: none is best")
    assert noise.sentence.endswith("2.0 times less than at masking (0.613); 2 of 2 seeds agree.")
    assert depth.sentence == "depth: no effect; the test MSE is 0.459 (0.438 to 0.481 over 2 seeds) at every value."


def test_values_are_compared_where_all_of_them_have_a_job() -> None:
    # Number 0 is code size 2, depth 0, no noise, seed 0: without it, masking would look better than it is.
    (_, noise, _) = effects(study(failed=frozenset({0})))
    assert noise.spreads["masking"].mean == pytest.approx(2 * noise.spreads["none"].mean)
    assert noise.compared == 20  # of code size 2 and depth 0 both seeds are left out


def test_one_seed_says_nothing_of_chance() -> None:
    (effect,) = effects(study({"model.code_size": ["2", "4"]}))
    assert effect.sentence.endswith("one seed, so that chance is not known.")
    assert not effect.is_clear


def test_what_seeds_alone_would_do_is_no_clear_effect() -> None:
    errors = {("2", "0"): 1.0, ("2", "1"): 2.0, ("4", "0"): 1.1, ("4", "1"): 1.5}
    rows = [
        Row({"model.code_size": size, "seed": seed}, "FINISHED", size + seed, {"test/mse": mse}, 1.0, "")
        for (size, seed), mse in errors.items()
    ]
    (effect,) = effects(Table(name="x", axes={"model.code_size": ["2", "4"], "seed": ["0", "1"]}, rows=rows))
    assert "not a clear effect" in effect.sentence


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
