"""Searches as a person starts them: real trainings, real journals, real MLflow."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hourglass.commands.main import main
from hourglass.tracking import Run, search_runs

SMALL = [
    "data=digits",
    "data.train_size=200",
    "callback=quick",
    "sweep.workers=2",
    "hydra/sweeper=hourglass_optuna",
]


def search(*words: str) -> int:
    """The exit code of a search in the current directory."""
    return main(["train", "-m", *SMALL, *words])


def runs(kind: str) -> list[Any]:
    found = search_runs(f"sqlite:///{Path.cwd()}/mlflow.db", None, f"tags.kind = '{kind}'")
    return sorted(found, key=lambda run: int(run.data.tags.get("trial", 0)))


def rows(study: Any, name: str) -> list[dict[str, str]]:
    run = Run.find(study.info.run_id, f"sqlite:///{Path.cwd()}/mlflow.db")
    return list(csv.DictReader(io.StringIO(run.artifact(f"search/{name}.csv").read_text())))


PRUNED = [
    *("hydra.sweeper.sampler=grid", "hydra.sweeper.batch_size=2", "hydra.sweeper.n_trials=2"),
    *("hydra.sweeper.pruner=median", "hydra.sweeper.prune_after=2", "training.epochs=3"),
    *("loss=mse", "bottleneck=linear", "model.output_activation=linear", "optimizer=sgd"),
    "+hydra.sweeper.params={optimizer.lr:'0.1,0.3,1e-9,1e30'}",  # as a recipe says it
]


@pytest.mark.long
def test_a_search_grows_stops_what_is_bad_and_says_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search(*PRUNED) == 0
    assert len(runs("training")) == 2
    said = capsys.readouterr().err
    assert len(re.findall("^best ", said, re.MULTILINE)) == 1
    # Chosen on validation; its test error is told and chooses nothing.
    assert re.search(r"^best     fit/val_mse [0-9.e-]+: trial \d, .*, run \w+; test/mse [0-9.e-]+$", said, re.MULTILINE)

    assert search(*PRUNED, "hydra.sweeper.n_trials=9") == 1
    said = capsys.readouterr().err
    assert "4 trials by grid, 2 done before" in said
    assert "4 trials: 1 stopped early, 1 failed" in said
    assert "training diverged" in said
    assert said.rstrip().endswith("1 of 4 trials failed")

    (study,) = runs("study")
    first, second, stopped, failed = runs("training")
    assert {run.data.tags["mlflow.parentRunId"] for run in (first, second, stopped, failed)} == {study.info.run_id}
    assert [run.data.tags["trial"] for run in (first, second, stopped, failed)] == ["0", "1", "2", "3"]
    assert "pruned" not in first.data.tags
    # What was stopped is a whole run that was trained less long.
    assert stopped.data.tags["pruned"] == "epoch 1, step 1"
    assert stopped.info.status == "FINISHED"
    assert stopped.data.metrics["test/mse"] > second.data.metrics["test/mse"]
    assert failed.info.status == study.info.status == "FAILED"

    best = min((first, second), key=lambda run: run.data.metrics["fit/val_mse"])
    assert study.data.tags["best_trial.run"] == study.data.tags["best_run"] == best.info.run_id
    assert study.data.tags["best_trial.optimizer.lr"] == best.data.params["optimizer.lr"]
    assert study.data.metrics["best/fit/val_mse"] == best.data.metrics["fit/val_mse"]
    assert study.data.metrics["best_trial/test/mse"] == best.data.metrics["test/mse"]
    assert study.data.tags["axis.optimizer.lr"] == "0.1,0.3,1e-9,1e30"
    table = rows(study, "trials")
    assert [row["state"] for row in table] == ["complete", "complete", "pruned", "fail"]
    assert [row["run_id"] for row in table[:3]] == [run.info.run_id for run in (first, second, stopped)]
    assert "training diverged" in table[3]["reason"]
    # What failed costs the others neither table nor pictures nor report.
    run = Run.find(study.info.run_id, f"sqlite:///{Path.cwd()}/mlflow.db")
    jobs = list(csv.DictReader(io.StringIO(run.artifact("study/jobs.csv").read_text())))
    assert len(jobs) == 4
    report = run.artifact("report.html").read_text(encoding="utf-8")
    assert "training diverged" in report
    by, told = (best.data.metrics[name] for name in ("fit/val_mse", "test/mse"))
    number = best.data.tags["trial"]
    assert f'main">The best trial is number {number}, by fit/val_mse {by:.4g}, with test/mse {told:.4g}: ' in report


@pytest.mark.long
def test_two_objectives_leave_a_front_and_a_stack_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    several = ["hydra.sweeper.objective=[test/mse,model.code_size]", "hydra.sweeper.sampler=nsga2"]
    sizes = ["model.code_size=tag(log,int(interval(2,32)))", "optimizer.lr=0.01", "training.epochs=2"]
    assert search(*several, *sizes, "hydra.sweeper.n_trials=3") == 0
    (study,) = runs("study")
    points = {
        row["trial"]: (float(row["test/mse"]), int(float(row["model.code_size"]))) for row in rows(study, "trials")
    }
    assert len(points) == 3
    front = {
        name
        for name, (error, size) in points.items()
        if not any((e, s) != (error, size) and e <= error and s <= size for e, s in points.values())
    }
    assert {row["trial"] for row in rows(study, "pareto")} == front
    assert study.data.metrics["search/front"] == len(front)
    assert not [name for name in study.data.metrics if name.startswith("best/")]  # it would mix two trials
    report = Run.find(study.info.run_id, None).artifact("report.html").read_text(encoding="utf-8")
    assert "on the front of test/mse and model.code_size: no other is better in all." in report

    monkeypatch.chdir(tmp_path)
    stacked = [
        *("sweep.max_stack=4", "sweep.workers=1", "hydra.sweeper.sampler=grid", "training.epochs=4"),
        *("hydra.sweeper.pruner=successive_halving", "hydra.sweeper.reduction_factor=2", "study=stacked"),
    ]
    capsys.readouterr()
    assert search(*stacked, "optimizer.lr=0.01,0.03,1e-8,1e-9") == 0
    assert "trials: 2 stopped early, 0 failed" in capsys.readouterr().err
    members = [run for run in runs("training") if run.data.tags.get("fused") == "4"]
    assert [run.data.tags.get("pruned", "") for run in members] == ["", "", "epoch 1, step 1", "epoch 1, step 1"]
    assert {run.info.status for run in members} == {"FINISHED"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hydra.sweeper.sampler=tpx", "seed=range(0,3)"], "hydra.sweeper.sampler must be one of tpe, random, grid"),
        (["hydra.sweeper.n_trials=0", "seed=range(0,3)"], "hydra.sweeper.n_trials must be at least 1, got 0"),
        (["hydra.sweeper.n_trails=3", "seed=range(0,3)"], "hydra.sweeper.n_trails: no such key"),
        (["seed=range(0,"], "seed=range(0,"),
        (["modle.code_size=range(2,4)"], "modle.code_size: no such key; nearest: model.code_size"),
        (["hydra.sweeper.sampler=grid", "optimizer.lr=interval(0.1,1)"], "is continuous and has no grid"),
        (["hydra.sweeper.objective=model.code_siez", "seed=range(0,3)"], "nearest: model.code_size"),
        (["hydra.sweeper.objective=model.output_activation", "seed=range(0,3)"], "must be a number, got 'sigmoid'"),
        (["hydra/launcher=basic", "seed=range(0,3)"], "needs hydra/launcher=hourglass, which tells how jobs ended"),
        (["sweep.rerun=true", "seed=range(0,3)"], "sweep.rerun=true: a search is not repeated"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search(*words) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "mlflow.db").exists()


def test_what_no_run_measures_ends_the_search_after_its_first_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["hydra.sweeper.batch_size=1", "training.epochs=1", "seed=range(0,9)"]
    assert search("hydra.sweeper.objective=test/msee", *words) == 2
    assert "hydra.sweeper.objective=test/msee is measured by no run; nearest: test/mse" in capsys.readouterr().err
    assert search("hydra.sweeper.pruner=median", "hydra.sweeper.prune_on=val/los", *words) == 2
    assert "hydra.sweeper.prune_on=val/los is not measured after an epoch; nearest: val/loss" in capsys.readouterr().err
    assert len(runs("training")) == 2


@pytest.mark.slow
def test_a_killed_search_goes_on_with_what_it_was_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["hydra.sweeper.n_trials=6", "hydra.sweeper.batch_size=2", "hydra.sweeper.startup_trials=2"]
    words += ["model.code_size=range(2,33)", "training.epochs=1"]
    command = [sys.executable, "-m", "hourglass", "train", "-m", *SMALL, *words]
    began = subprocess.Popen(command, env={**os.environ, "HYDRA_FULL_ERROR": "0"})
    deadline = time.monotonic() + 300
    while len([path for path in tmp_path.glob("mlflow.db") if path.stat().st_size]) < 1 or len(runs("training")) < 3:
        assert time.monotonic() < deadline
        assert began.poll() is None
        time.sleep(0.2)
    began.send_signal(signal.SIGKILL)
    began.wait(60)
    assert search(*words) == 0
    (study,) = runs("study")
    assert study.info.status == "FINISHED"
    disturbed = [row["model.code_size"] for row in rows(study, "trials")]
    other = tmp_path / "undisturbed"
    other.mkdir()
    monkeypatch.chdir(other)
    assert search(*words) == 0
    (study,) = runs("study")
    assert sorted(disturbed) == sorted(row["model.code_size"] for row in rows(study, "trials"))
