"""The memory of a search: real journals, objectives that a hand can compute."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.trial import Trial, TrialState

from hourglass.sweeps.search.report import table
from hourglass.sweeps.search.space import parse
from hourglass.sweeps.search.trials import Trials
from hourglass.system.errors import HourglassError

from .test_settings import settings

SQUARE = ("x=interval(-4,4)", "y=range(0,9)")


def trials(folder: Path, *words: str, **changed: Any) -> Trials:
    space = parse(OverridesParser.create().parse_overrides(list(words or SQUARE)))
    return Trials(folder=folder / "search", settings=settings(**changed), space=space)


def tell(search: Trials, trial: Trial, *values: float, **how: Any) -> None:
    search.tell(trial, values, **{"run_id": f"run{trial.number}", "pruned": False, "failure": None, **how})


def bowl(trial: Trial) -> float:
    return float(trial.params["x"] ** 2 + trial.params["y"])


def points(search: Trials) -> list[dict[str, Any]]:
    return [trial.params for trial in search.ended]


@pytest.mark.parametrize(
    "sampler",
    [
        "tpe",
        "random",
        "nsga2",
        pytest.param("cmaes", marks=pytest.mark.skipif(not find_spec("cmaes"), reason="needs cmaes")),
    ],
)
def test_a_search_that_is_taken_up_again_goes_on_as_if_it_had_not_stopped(sampler: str, tmp_path: Path) -> None:
    how: dict[str, Any] = {"sampler": sampler, "n_trials": 8, "startup_trials": 3, "seed": 5}
    whole = trials(tmp_path / "whole", **how)
    while asked := whole.ask(2):
        for trial in asked:
            tell(whole, trial, bowl(trial))
    for n_trials in (4, 4, 8):  # the same again does nothing; a larger number adds the difference
        while asked := (part := trials(tmp_path / "parts", **{**how, "n_trials": n_trials})).ask(2):
            for trial in asked:
                tell(part, trial, bowl(trial))
        assert len(part.ended) == n_trials
    assert points(part) == points(whole)
    assert len({tuple(point.values()) for point in points(whole)}) == 8
    assert whole.best()[0].value == min(bowl(trial) for trial in whole.ended)  # type: ignore[arg-type]


def test_tpe_finds_what_is_good(tmp_path: Path) -> None:
    search = trials(tmp_path, n_trials=30)
    while asked := search.ask(5):
        for trial in asked:
            tell(search, trial, bowl(trial))
    values = [bowl(trial) for trial in search.ended]  # type: ignore[arg-type]
    assert sum(values[-15:]) / 15 < 0.75 * sum(values[:10]) / 10  # the first ten are random


def test_what_was_cut_off_is_tried_again_and_not_counted(tmp_path: Path) -> None:
    search = trials(tmp_path, n_trials=3)
    first, second = search.ask(2)
    tell(search, first, 1.0)
    again = trials(tmp_path, n_trials=3)  # the process ended before the second did
    assert [trial.number for trial in again.ended] == [0]
    retried, third = again.ask(5)
    assert retried.params == second.params
    assert retried.number == 2
    tell(again, retried, 2.0)
    tell(again, third, 3.0)
    assert again.ask(1) == []
    assert again.failed == 0


def test_a_grid_is_gone_through_once(tmp_path: Path) -> None:
    grid = ("a=range(0,3)", "b=x,y")
    search = trials(tmp_path, *grid, sampler="grid", n_trials=50)
    assert search.total == 6
    first = search.ask(4)
    tell(search, first[0], 1.0)
    again = trials(tmp_path, *grid, sampler="grid", n_trials=50)
    rest = again.ask(9)
    for trial in rest:
        tell(again, trial, 1.0)
    assert again.ask(1) == []
    assert sorted((point["a"], point["b"]) for point in points(again)) == [(a, b) for a in range(3) for b in "xy"]


def test_the_front_is_what_no_other_beats(tmp_path: Path) -> None:
    search = trials(tmp_path, objective=["test/mse", "model.code_size"], n_trials=6)
    told = [(0.5, 2), (0.3, 4), (0.4, 4), (0.3, 8), (0.1, 16), (0.6, 3)]
    for trial, values in zip(search.ask(6), told, strict=True):
        tell(search, trial, *values)
    # (0.4, 4) and (0.3, 8) lose to (0.3, 4), and (0.6, 3) to (0.5, 2).
    assert [tuple(trial.values) for trial in search.best()] == [(0.1, 16), (0.3, 4), (0.5, 2)]
    lines = table(search.best(), search).splitlines()
    assert lines[0] == "trial,state,x,y,test/mse,model.code_size,run_id,reason"
    assert [line.split(",")[0] for line in lines[1:]] == ["4", "1", "0"]


def test_what_failed_or_was_stopped_is_not_the_best(tmp_path: Path) -> None:
    search = trials(tmp_path, n_trials=4, pruner="median")
    failed, infinite, stopped, good = search.ask(4)
    assert search.best() == []
    tell(search, failed, failure="ValueError: no", run_id="")
    tell(search, infinite, math.inf)
    stopped.report(0.0, 1)
    tell(search, stopped, pruned=True)
    tell(search, good, 2.0)
    states = [TrialState.FAIL, TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE]
    assert [trial.state for trial in search.ended] == states
    assert search.failed == 2
    assert [trial.number for trial in search.best()] == [good.number]
    rows = [line.split(",") for line in table(search.ended, search).splitlines()[1:]]
    assert [row[1] for row in rows] == ["fail", "fail", "pruned", "complete"]
    assert [row[-1] for row in rows] == ["ValueError: no", "fit/val_mse is inf", "stopped early", ""]


def test_two_terminals_do_not_share_a_search(tmp_path: Path) -> None:
    space = parse(OverridesParser.create().parse_overrides(list(SQUARE)))
    how: dict[str, Any] = {"folder": tmp_path / "search", "settings": settings(), "space": space}
    with Trials.opened(**how), pytest.raises(HourglassError, match="running already"), Trials.opened(**how):
        pass
    with Trials.opened(**how):
        pass
