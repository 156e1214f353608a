"""Pictures of made-up studies: what they say, and when there is none."""

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.figures import to_array
from hourglass.sweeps.studies.charts import curves, heat_map
from hourglass.sweeps.studies.linear_row import linear_cells
from hourglass.sweeps.studies.mosaic import Cell, chosen, draw
from hourglass.sweeps.studies.table import Row, Table


def study(axes: dict[str, list[str]], *, status: dict[int, str] | None = None) -> Table:
    """A job at each point: its MSE is 1 over the code size, plus a tenth for each seed; the floor is 2 over it."""
    rows = []
    for number, values in enumerate(product(*axes.values())):
        point = dict(zip(axes, values, strict=True))
        size = float(point.get("model.code_size", 1))
        mse = 1 / size + 0.1 * float(point.get("seed", 0))
        metrics = {
            "test/mse": mse,
            "test/linear_mse": 2 / size,
            "test/code_active_fraction": 0.5 / size,
            "test/linear_accuracy": 0.9,
        }
        rows.append(Row(point, (status or {}).get(number, "FINISHED"), str(number), metrics, 1.0, ""))
    return Table(name="made up", axes=axes, rows=rows)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


BOTH = {"model.code_size": ["2", "4", "32"], "model.depth": ["0", "1"], "seed": ["0", "1", "2"]}


def test_a_heat_map_has_a_number_in_each_cell_and_says_what_is_missing() -> None:
    # Points 0 to 2 are the seeds of code size 2 and depth 0, 3 to 5 those of depth 1.
    figure = heat_map(study(BOTH, status={0: "FAILED", 3: "RUNNING", 4: "FAILED", 5: "FAILED"}))
    assert figure is not None
    # 1/2 and seeds 1 and 2: (0.6 + 0.7) / 2; 1/4 + 0.1; 1/32 + 0.1
    assert texts(figure) == ["0.650\n2 of 3", "0.350", "0.131", "failed", "0.350", "0.131"]
    assert "mean over seed (3 values); 14 of 18 jobs finished" in figure.get_suptitle()
    assert [axes.get_ylabel() for axes in figure.axes] == ["depth", "test MSE per value"]
    assert to_array(figure).shape[2] == 3


def test_curves_have_bars_over_seeds_and_the_linear_floor() -> None:
    figure = curves(study(BOTH))
    assert figure is not None
    error, active = figure.axes  # the probe is the same everywhere: it says nothing
    assert error.get_xscale() == "log"
    line, *_ = (each for each in error.lines if each.get_marker() == "o")
    assert np.allclose(line.get_xydata(), [(2, 0.6), (4, 0.35), (32, 1 / 32 + 0.1)])
    (bars, *_) = error.collections
    assert np.allclose(bars.get_segments()[0], [(2, 0.5), (2, 0.7)])
    (floor,) = (each for each in error.lines if each.get_linestyle() == "--")
    assert np.allclose(floor.get_xydata(), [(2, 1.0), (4, 0.5), (32, 1 / 16)])
    assert active.get_ylim() == (0, 1.03)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "depth 0",
        "depth 1",
        "best linear code of as many units",
    ]


@pytest.mark.parametrize(
    ("axes", "drawn"),
    [
        ({"seed": ["0", "1"]}, (False, False)),
        ({"model.code_size": ["2", "4"]}, (False, True)),
        ({"noise": ["none", "masking"]}, (False, True)),
        ({"noise": ["none", "masking"], "model": ["vanilla", "conv"]}, (True, True)),
        ({"model.code_size": [str(size) for size in range(2, 40)], "optimizer.lr": ["1", "2"]}, (True, True)),
        ({"x": ["1", "2"], "y": [str(number) for number in range(30)]}, (True, True)),
    ],
    ids=str,
)
def test_any_axes(axes: dict[str, list[str]], drawn: tuple[bool, bool]) -> None:
    figures = heat_map(study(axes)), curves(study(axes))
    assert tuple(figure is not None for figure in figures) == drawn
    for figure in filter(None, figures):
        height, width, _ = to_array(figure).shape
        assert 250 < height < 1200
        assert 400 < width < 1700


def test_the_least_cell_is_framed() -> None:
    figure = heat_map(study(BOTH))
    assert figure is not None
    (frame,) = (patch for patch in figure.axes[0].patches if not patch.get_fill())
    assert (frame.get_x() + 0.47, frame.get_y() + 0.47) == pytest.approx((2, 0))  # code size 32


def test_dead_units_have_a_panel_and_the_probe_its_number_of_samples() -> None:
    table = study(BOTH)
    for row in table.rows:
        row.metrics["fit/dead_units"] = float(row.point["seed"] == "2") * float(row.point["model.code_size"])
        row.metrics["test/linear_accuracy"] = 0.9 - 1 / float(row.point["model.code_size"])
        row.metrics["test/linear_samples"] = 55_000.0
    figure = curves(table)
    assert figure is not None
    dead, probe = figure.axes[2:]
    assert dead.get_title() == "dead units: on for no training sample"
    line, *_ = (each for each in dead.lines if each.get_marker() == "o")
    assert np.allclose(line.get_xydata(), [(2, 2 / 3), (4, 4 / 3), (32, 32 / 3)])  # of one seed in three
    assert probe.get_title() == "linear probe of the code: accuracy, from 55,000 samples"
    table.rows[0].metrics["test/linear_samples"] = 10_000.0
    figure = curves(table)
    assert figure is not None
    assert figure.axes[3].get_title().endswith(", from 10,000 to 55,000 samples")


def test_one_job_that_diverged_does_not_flatten_the_others() -> None:
    table = study({"model.code_size": ["2", "3", "4", "5", "6"]})
    table.rows[2].metrics["test/mse"] = 1000.0
    figure = curves(table)
    assert figure is not None
    assert figure.axes[0].get_ylim()[1] < 2
    assert figure.axes[0].get_title().endswith("not shown: up to 1.00e+03")


def test_equal_values_have_bars_of_no_length() -> None:
    """Their mean differs from them in its last bit."""
    table = study({"model.code_size": ["2", "4"], "seed": ["0", "1", "2"]})
    for row in table.rows:
        row.metrics["test/linear_accuracy"] = 0.61 if row.point["model.code_size"] == "2" else 0.7
    assert curves(table) is not None


def test_nothing_finished_is_drawn_too() -> None:
    table = study(BOTH, status=dict.fromkeys(range(18), "RUNNING"))
    figure = heat_map(table)
    assert figure is not None
    assert texts(figure) == ["running"] * 6
    assert curves(table) is not None


def test_a_mosaic_takes_the_lowest_seed_and_at_most_48_models() -> None:
    axes = {
        "model.code_size": [str(size) for size in range(1, 21)],
        "model.depth": list("01234567"),
        "seed": ["1", "0"],
    }
    downward, blocks, picked = chosen(study(axes))
    assert downward == ["1", "4", "6", "9", "12", "15", "17", "20"]
    assert blocks == ["0", "1", "3", "4", "6", "7"]
    assert len(picked) == 48
    assert {row.point["seed"] for row in picked.values()} == {"0"}


@pytest.mark.parametrize(
    ("sizes", "noises", "expected"),
    [
        ((2, 4), ("none", "none"), (True, "best linear code (PCA)")),
        ((2, 4), ("masking", "masking"), (True, "reduced-rank regression")),
        ((4, 4), ("none", "masking"), (True, "best linear code")),
        ((4, 4), ("masking", "masking"), (False, "linear, 4 units")),
    ],
)
def test_a_mosaic_names_the_linear_code_that_it_shows(
    sizes: tuple[int, int], noises: tuple[str, str], expected: tuple[bool, str]
) -> None:
    """A row for each model."""
    configs = [compose_config(["data=digits", f"noise={noise}"])[0] for noise in noises]
    data = build(configs[0].data)
    models: Any = {
        (str(row), ""): SimpleNamespace(model=SimpleNamespace(code_size=size), config=config)
        for row, (size, config) in enumerate(zip(sizes, configs, strict=True))
    }
    found = linear_cells(data, data.scaled(data.test.x[:3]), models, {})
    assert (found.by_row, found.column if found.by_row else found.label) == expected


def test_a_mosaic_leaves_a_gap_where_there_is_no_model() -> None:
    images = np.zeros((3, 1, 28, 28))
    figure = draw(
        {("2", "0"): Cell(images, 0.5), ("4", "1"): Cell(images, 0.25)},
        above={"original": {"0": images, "1": images}},
        downward={"2": "code 2", "4": "code 4"},
        blocks={"0": "depth 0", "1": "depth 1"},
        value_range=(0, 1),
        title="Made up",
    )
    said = figure.texts
    assert said.count("no finished job") == 2
    assert {"original", "code 2", "depth 1", "0.500", "0.250", "MSE"} <= set(said)
    assert len(figure.panels) == 4  # two originals, two reconstructions
    # 3 images of 28 pixels at double size with 2 between them, twice, and room for labels
    assert to_array(figure).shape[1] > 2 * (3 * 56 + 2 * 4)
