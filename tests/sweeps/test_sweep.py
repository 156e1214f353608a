"""Sweeps through the command line: real Hydra, real processes, real MLflow on real sqlite."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hourglass.commands.main import main
from hourglass.tracking import search_runs

SMALL = [
    "data=digits",
    "data.train_size=200",
    "training.epochs=1",
    "callback=quick",
    "sweep.workers=2",
]

Sweep = Callable[..., tuple[int, str]]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Sweep]:
    """`hourglass train -m`, its exit code and what it said; in this process, so that all share one fork server."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", sys.argv)

    def run(*words: str) -> tuple[int, str]:
        code = main(["train", "-m", *SMALL, *words])
        said = "".join(capsys.readouterr())
        assert "Traceback" not in said
        return code, said

    yield run
    root.handlers[:], level = before
    root.setLevel(level)


def runs(folder: Path, kind: str) -> list[Any]:
    path = folder / "mlflow.db"
    return search_runs(f"sqlite:///{path}", None, f"tags.kind = '{kind}'") if path.exists() else []


@pytest.mark.long
def test_a_study_does_what_is_missing_and_grows(tmp_path: Path, sweep: Sweep) -> None:
    code, said = sweep("model.code_size=2,4", "seed=0,1")
    assert code == 0, said
    assert "4 of 4 jobs done" in said
    (study,) = runs(tmp_path, "study")
    assert study.info.status == "FINISHED"
    assert study.data.tags["study"] == "vanilla digits: code_size, seed"
    children = runs(tmp_path, "training")
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {study.info.run_id}
    points = {(run.data.params["model.code_size"], run.data.params["seed"]) for run in children}
    assert points == {("2", "0"), ("2", "1"), ("4", "0"), ("4", "1")}
    assert {run.info.run_name for run in children} == {
        *("2 d0 s0 vanilla digits", "2 d0 s1 vanilla digits", "4 d0 s0 vanilla digits", "4 d0 s1 vanilla digits")
    }

    code, said = sweep("model.code_size=2,4,8", "seed=0,1")
    assert code == 0, said
    assert "6 jobs, 4 finished before" in said
    assert [run.info.run_id for run in runs(tmp_path, "study")] == [study.info.run_id]
    assert runs(tmp_path, "study")[0].data.tags["axis.model.code_size"] == "2, 4, 8"
    fresh = [run for run in runs(tmp_path, "training") if run.info.run_id not in {old.info.run_id for old in children}]
    assert sorted(run.data.params["model.code_size"] for run in fresh) == ["8", "8"]


@pytest.mark.long
def test_a_file_that_has_changed_since_is_said_in_one_line(tmp_path: Path, sweep: Sweep) -> None:
    table = tmp_path / "table.csv"
    words = ["data=csv", "data.path=table.csv", "data.train_size=20,30", "model.code_size=2"]
    warning = "data.path=table.csv has changed since runs that are taken were trained on it: sweep.rerun=true"

    def write(rows: int) -> None:
        table.write_text("\n".join(f"{row}.5,{row % 7},{row % 3}" for row in range(rows)))

    write(40)
    assert sweep(*words)[0] == 0
    assert "has changed" not in sweep(*words)[1]
    write(50)
    code, said = sweep(*words)
    assert code == 0
    assert said.count(warning) == 1
    assert len(runs(tmp_path, "training")) == 2
    table.unlink()  # nothing to compare with
    assert "has changed" not in sweep(*words)[1]


def test_what_is_said_beside_a_recipe_counts_instead_of_its_axis(tmp_path: Path, sweep: Sweep) -> None:
    code, said = sweep("experiment=code_size_by_depth", "seed=1", "model.code_size=2", "model.depth=0,1")
    assert code == 0, said
    assert "2 of 2 jobs done" in said
    (study,) = runs(tmp_path, "study")
    assert [(key, value) for key, value in study.data.tags.items() if key.startswith("axis.")] == [
        ("axis.model.depth", "0, 1")
    ]
    assert {run.data.params["seed"] for run in runs(tmp_path, "training")} == {"1"}


def test_jobs_fail_alone_and_the_end_says_why(tmp_path: Path, sweep: Sweep) -> None:
    linear = ["loss=mse", "bottleneck=linear", "model.output_activation=linear", "optimizer=sgd"]
    code, said = sweep(*linear, "model.code_size=2,0", "optimizer.lr=0.1,1e30")
    assert code == 1, said
    # What makes no sense is known before anything starts.
    assert said.index("refused  model.code_size=0") < said.index("model.code_size=2")
    assert "model.code_size must be at least 1, got 0" in said
    assert "training diverged" in said
    assert "3 of 4 jobs failed; the same command again runs only these" in said
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
        (["sweep.max_stack=0", "seed=0,1"], "sweep.max_stack must be at least 1, got 0"),
        (["sweep.workers=1,2"], "sweep.workers must have one value, because it makes no other job, got 1, 2"),
        (["modle.code_size=1,2"], "modle.code_size: no such key; nearest: model.code_size"),
        (["model.code_size="], "model.code_size must have at least one value, got none"),
        (["study=[a,b]", "seed=0,1"], "study must be text or null, got ['a', 'b']"),
        (["tracking.experiment=''", "seed=0,1"], "tracking.experiment must be a name, got ''"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(words: list[str], expected: str, tmp_path: Path, sweep: Sweep) -> None:
    code, said = sweep(*words)
    assert code == 2
    assert said.startswith(f"hourglass: {expected}")
    assert said.count("\n") == 1
    assert not runs(tmp_path, "study")


@pytest.mark.skipif(torch.cuda.is_available(), reason="names GPUs that are there")
@pytest.mark.parametrize(
    ("visible", "accelerator", "expected"),
    [
        (None, "gpu", "trainer.accelerator=gpu needs a CUDA device, and there is none here"),
        ("", "gpu", "trainer.accelerator=gpu needs a CUDA device, and there is none here"),
        ("7", "auto", "CUDA_VISIBLE_DEVICES must name GPUs of this machine, got 7, of which CUDA finds 0"),
    ],
)
def test_a_gpu_that_is_not_there_is_one_line(
    visible: str | None,
    accelerator: str,
    expected: str,
    sweep: Sweep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    code, said = sweep(f"trainer.accelerator={accelerator}", "seed=0,1")
    assert code == 2
    assert said.startswith(f"hourglass: {expected}")
    assert said.count("\n") == 1
    assert not runs(tmp_path, "study")


@pytest.mark.long
def test_a_stack_leaves_the_runs_that_its_members_would_have(tmp_path: Path, sweep: Sweep) -> None:
    words = ["model.code_size=2,5", "training=backprop,layerwise", "training.epochs=6"]
    code, said = sweep(*words, "sweep.max_stack=8", "sweep.workers=1")
    assert code == 0, said
    assert "2 jobs in 1 stack of 2" in said
    assert "2 alone: Layerwise makes steps of its own" in said
    children = runs(tmp_path, "training")
    assert {run.info.status for run in children} == {"FINISHED"}
    assert sorted(run.data.tags.get("fused", "") for run in children) == ["", "", "2", "2"]


@pytest.mark.long
def test_the_process_of_a_sweep_imports_no_torch(tmp_path: Path) -> None:
    code = "import sys; from hourglass.commands.main import main; main(sys.argv[1:]); print(*sys.modules)"
    words = [sys.executable, "-c", code, "train", "-m", *SMALL, "model.code_size=2,4"]
    ended = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "2 of 2 jobs done" in ended.stdout + ended.stderr
    imported = set(ended.stdout.splitlines()[-1].split())
    assert "hourglass.sweeps.sweep" in imported
    assert not imported & {"torch", "pytorch_lightning", "sklearn"}
