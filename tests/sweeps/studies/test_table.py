"""The table of a study, by hand."""

import math

import pytest

from hourglass.sweeps.studies.table import NOT_RUN, Row, Spread, Table

AXES = {"seed": ["0", "1"], "model.depth": ["1", "0"], "model.code_size": ["2", "16", "4"]}


def row(size: str, depth: str, seed: str, mse: float, status: str = "FINISHED", **metrics: float) -> Row:
    point = {"seed": seed, "model.depth": depth, "model.code_size": size}
    named = {f"test/{name}": value for name, value in metrics.items()}
    return Row(point, status, f"run{size}{depth}{seed}", {"test/mse": mse, **named}, 1.25, "")


ROWS = [
    row("2", "0", "0", 0.5, mse_over_linear=2.0),
    row("2", "0", "1", 0.25, mse_over_linear=1.0),
    row("2", "1", "0", 0.125),
    row("2", "1", "1", math.nan),
    row("16", "0", "0", 0.0, status="FAILED"),
    row("16", "0", "1", 0.0625),
]


def study() -> Table:
    return Table(name="made up", axes=AXES, rows=ROWS)


def test_numbers_stand_in_order_and_seeds_are_averaged() -> None:
    table = study()
    assert table.values == {"seed": ["0", "1"], "model.depth": ["0", "1"], "model.code_size": ["2", "4", "16"]}
    assert table.shown == ["model.code_size", "model.depth"]
    assert table.averaged == ["seed"]


def test_of_several_axes_those_with_most_values_are_shown_numbers_across() -> None:
    axes = {"loss": ["mse", "bce", "l1"], "optimizer.lr": ["0.1", "0.01"], "noise": ["none", "masking"]}
    rows = [
        Row({"loss": a, "optimizer.lr": b, "noise": "none"}, "FINISHED", "", {}, 1.0, "")
        for a in axes["loss"]
        for b in axes["optimizer.lr"]
    ]
    table = Table(name="", axes=axes, rows=rows)
    assert table.shown == ["optimizer.lr", "loss"]
    assert table.averaged == ["noise"]
    assert table.values["loss"] == ["mse", "bce", "l1"]  # text as the sweep has it
    assert table.values["optimizer.lr"] == ["0.01", "0.1"]


def test_a_search_has_no_grid() -> None:
    points = [{"optimizer.lr": str(1 / number), "model.code_size": str(number)} for number in range(1, 9)]
    rows = [Row(point, "FINISHED", "", {"test/mse": 0.5}, 1.0, "") for point in points]
    axes = {"optimizer.lr": ["interval(0, 1)"], "model.code_size": ["range(1, 9)"]}
    table = Table(name="", axes=axes, rows=rows)
    assert len(table.rows) == 8
    assert (table.scattered, table.shown) == (True, ["model.code_size"])
    assert not study().scattered


def test_means_and_ranges() -> None:
    table = study()
    assert table.spreads("test/mse", table.shown) == {
        ("2", "0"): Spread(0.375, 0.25, 0.5, 2),
        ("2", "1"): Spread(0.125, 0.125, 0.125, 1),  # not the one that is no number
        ("16", "0"): Spread(0.0625, 0.0625, 0.0625, 1),  # nor the one that failed
    }
    assert table.spreads("test/mse_over_linear", ["model.code_size"]) == {("2",): Spread(1.5, 1.0, 2.0, 2)}
    assert table.best is ROWS[5]


def test_the_rest_of_the_grid_is_not_run() -> None:
    table = study()
    assert len(table.rows) == 12
    assert table.states(table.shown)["16", "0"] == {"FAILED": 1, "FINISHED": 1}
    assert table.states(table.shown)["4", "1"] == {NOT_RUN: 2}
    # A search tries what is in no list.
    assert (
        len(Table(name="", axes={"x": ["interval(0, 1)"]}, rows=[Row({"x": "0.3"}, "FINISHED", "", {}, 1.0, "")]).rows)
        == 1
    )
    # The same number, written in two ways.
    (only,) = Table(name="", axes={"x": ["1e-3"]}, rows=[Row({"x": "0.001"}, "FINISHED", "", {}, 1.0, "")]).rows
    assert only.point == {"x": "0.001"}


def test_the_csv_has_a_line_for_each_job() -> None:
    lines = study().to_csv().splitlines()
    assert lines[0] == "seed,model.depth,model.code_size,status,test/mse,seconds,failure,run_id,test/mse_over_linear"
    assert lines[1] == "1,0,16,FINISHED,0.0625,1.2,,run1601,"
    assert [line.split(",")[4] for line in lines[1:5]] == ["0.0625", "0.125", "0.25", "0.5"]  # by error
    assert lines[5] == "0,0,4,NOT RUN,,,,,"  # then in the order of the axes
    assert len(lines) == 13


@pytest.mark.parametrize("rows", [[], [ROWS[4]]], ids=["none", "failed"])
def test_without_a_finished_job_there_is_no_best(rows: list[Row]) -> None:
    assert Table(name="", axes=AXES, rows=rows).best is None
