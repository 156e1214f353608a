"""The table of runs as a person sees it first: made-up runs in a real store, a real browser where there is one."""

from pathlib import Path

import pytest

from browser.driving import browser, columns, dashboard, values, visitor
from hourglass.tracking import Run
from hourglass.tracking.first_page import as_javascript, columns_for, first_view, script


def test_axes_come_first_those_of_the_latest_study_before_older_ones() -> None:
    found = columns_for(
        [{"axis.noise": "a, b", "axis.optimizer.lr": "1, 2"}, {"axis.model.depth": "1, 2", "kind": "study"}]
    )
    assert found[:5] == [
        *("params.`model.code_size`", "params.`seed`", "tags.`noise`", "params.`optimizer.lr`", "params.`model.depth`")
    ]
    assert found.index("metrics.`test/mse`") < found.index("tags.`health`") < found.index("tags.`failure`")
    assert len(set(found)) == len(found)
    assert columns_for([]) == columns_for([{"axis.a`b": "1"}])  # no column can be called so


def test_a_key_of_a_sweep_cannot_leave_the_script() -> None:
    assert "</script>" not in script("1", {"selectedColumns": ["params.`</script><b>`"]})
    assert as_javascript('a"b') == '"a\\"b"'


def made_up(folder: Path) -> str:
    """A study of two runs, and a failed run, in a store of a folder; the experiment's id."""
    uri = f"sqlite:///{folder}/mlflow.db"
    tags = {"kind": "study", "axis.model.code_size": "4, 8"}
    with Run.start(uri=uri, experiment="hourglass", name="a study", tags=tags, params={}) as study:
        for size, error in (("4", 0.5), ("8", 0.25)):
            params = {"model.code_size": size, "seed": "0"}
            with study.start_below(name=f"{size} d0 s0 vanilla digits", tags={"health": "ok"}, params=params) as run:
                run.log_end_values({"test/mse": error, "test/psnr": 3.0}, steps=100)
        lost = study.start_below(name="lost", tags={}, params={"seed": "0"})
        lost.fail(RuntimeError("out of luck"))
    return study.experiment_id


def test_the_view_pins_the_study(tmp_path: Path) -> None:
    experiment = made_up(tmp_path)
    study = Run.find("a study", f"sqlite:///{tmp_path}/mlflow.db")
    view = first_view(study._client, experiment)
    assert view["runsPinned"] == [study.id]
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`test/mse`", True)
    assert set(view["selectedColumns"]) < set(view["columnOrder"])


@pytest.mark.long
def test_the_table_opens_sorted_and_a_later_axis_finds_its_place(tmp_path: Path) -> None:
    made_up(tmp_path)
    with browser() as opened, dashboard(tmp_path) as address, visitor(opened) as page:
        page.goto(address)
        page.get_by_text("8 d0 s0 vanilla digits").first.wait_for()
        page.wait_for_timeout(500)
        assert values(page, "attributes.`Run Name`") == [
            *("a study", "8 d0 s0 vanilla digits", "4 d0 s0 vanilla digits", "lost")
        ]
        found = columns(page)
        main = ["params.`model.code_size`", "params.`seed`", "metrics.`test/mse`", "metrics.`test/psnr`"]
        assert [name for name in found if name in main] == main
        assert values(page, "metrics.`test/mse`")[1:3] == ["0.25", "0.5"]

        uri = f"sqlite:///{tmp_path}/mlflow.db"
        tags = {"kind": "study", "axis.optimizer.lr": "1, 2"}
        Run.start(uri=uri, experiment="hourglass", name="another", tags=tags, params={"optimizer.lr": "1"}).finish()
        page.goto("about:blank")
        page.goto(address)
        page.get_by_text("another").first.wait_for()
        page.wait_for_timeout(500)
        assert "params.`optimizer.lr`" in columns(page)
        assert set(values(page, "attributes.`Run Name`")[:2]) == {"a study", "another"}
