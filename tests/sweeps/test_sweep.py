"""Sweeps through the command line: real Hydra, real processes, real MLflow on real sqlite."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hourglass.sweeps import Settings
from hourglass.sweeps.jobs import axes
from hourglass.tracking import search_runs

SMALL = [
    "data=digits",
    "data.train_size=200",
    "training.epochs=1",
    "tracking.images=false",
    "tracking.usefulness=false",
    "sweep.workers=2",
]


def sweep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hourglass", "train", "-m", *SMALL, *words]
    environment = {**os.environ, "HYDRA_FULL_ERROR": "0"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def runs(folder: Path, kind: str) -> list[Any]:
    return search_runs(f"sqlite:///{folder}/mlflow.db", None, f"tags.kind = '{kind}'")


@pytest.mark.slow
def test_a_study_does_what_is_missing_and_grows(tmp_path: Path) -> None:
    first = sweep(tmp_path, "model.code_size=2,4", "seed=0,1")
    assert first.returncode == 0, first.stderr
    (study,) = runs(tmp_path, "study")
    assert study.info.status == "FINISHED"
    assert study.data.tags["study"] == "vanilla digits: code_size, seed"
    children = runs(tmp_path, "training")
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {study.info.run_id}
    points = {(run.data.params["model.code_size"], run.data.params["seed"]) for run in children}
    assert points == {("2", "0"), ("2", "1"), ("4", "0"), ("4", "1")}
    assert "4 of 4 jobs done" in first.stdout + first.stderr

    again = sweep(tmp_path, "model.code_size=2,4,8", "seed=0,1")
    assert again.returncode == 0, again.stderr
    assert "6 jobs, 4 finished before" in again.stdout + again.stderr
    assert [run.info.run_id for run in runs(tmp_path, "study")] == [study.info.run_id]
    assert runs(tmp_path, "study")[0].data.tags["axis.model.code_size"] == "2, 4, 8"
    fresh = [run for run in runs(tmp_path, "training") if run.info.run_id not in {old.info.run_id for old in children}]
    assert sorted(run.data.params["model.code_size"] for run in fresh) == ["8", "8"]


@pytest.mark.slow
def test_jobs_fail_alone_and_the_end_says_why(tmp_path: Path) -> None:
    linear = ["loss=mse", "bottleneck=linear", "model.output_activation=linear", "optimizer=sgd"]
    done = sweep(tmp_path, *linear, "model.code_size=2,0", "optimizer.lr=0.1,1e30")
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    # What makes no sense is known before anything starts.
    assert said.index("refused  model.code_size=0") < said.index("model.code_size=2")
    assert "model.code_size must be at least 1, got 0" in said
    assert "training diverged" in said
    assert "3 of 4 jobs failed; the same command again runs only these" in done.stderr
    assert "Traceback" not in done.stderr
    statuses = {float(run.data.params["optimizer.lr"]): run.info.status for run in runs(tmp_path, "training")}
    assert statuses == {0.1: "FINISHED", 1e30: "FAILED"}
    (study,) = runs(tmp_path, "study")
    assert study.info.status == "FAILED"
    assert "3 of 4 jobs failed" in study.data.tags["failure"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sweep.workers=0", "seed=0,1"], "sweep.workers must be at least 1, got 0"),
        (["sweep.slots_per_gpu=0", "seed=0,1"], "sweep.slots_per_gpu must be at least 1, got 0"),
        (["modle.code_size=1,2"], "modle.code_size: no such key; nearest: model.code_size"),
        (["model.code_size="], "model.code_size"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line(words: list[str], expected: str, tmp_path: Path) -> None:
    done = sweep(tmp_path, *words)
    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_stack_leaves_the_runs_that_its_members_would_have(tmp_path: Path) -> None:
    words = ["model.code_size=2,5", "optimizer.lr=0.001,0.01", "training=backprop,layerwise", "training.epochs=8"]
    done = sweep(tmp_path, *words, "sweep.max_stack=8", "sweep.workers=1")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "4 jobs in 1 stacks of 4 to 4" in said
    assert "4 alone: Layerwise makes steps of its own" in said
    children = runs(tmp_path, "training")
    assert {run.info.status for run in children} == {"FINISHED"}
    assert sorted(run.data.tags.get("fused", "") for run in children) == ["", "", "", "", "4", "4", "4", "4"]


def test_axes_are_what_differs() -> None:
    jobs = [["model=conv", "seed=0", "+x=1"], ["model=conv", "seed=1", "+x=1"], ["model=conv", "seed=0", "+x=1"]]
    assert axes(jobs) == {"seed": ["0", "1"]}


def test_cores_are_shared_out() -> None:
    cores = len(os.sched_getaffinity(0))
    settings = Settings(workers=None, slots_per_gpu=1, max_stack="auto", rerun=False)
    assert [slot.threads for slot in settings.slots(accelerator="cpu", jobs=100)] == [1] * cores
    (alone,) = settings.slots(accelerator="cpu", jobs=1)
    assert alone.threads == cores


def test_gpus_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5")
    settings = Settings(workers=None, slots_per_gpu=2, max_stack="auto", rerun=False)
    assert [slot.gpu for slot in settings.slots(accelerator="auto", jobs=3)] == ["2", "GPU-5", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert {slot.gpu for slot in settings.slots(accelerator="auto", jobs=3)} == {None}
