"""Slurm by Hydra's own launcher for it, and jobs that another launcher sends to processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hourglass.tracking import search_runs

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")

SMALL = [
    "data=digits",
    "data.train_size=200",
    "training.epochs=1",
    "callback=quick",
]


def train(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hourglass", "train", *words]
    environment = {**os.environ, "HYDRA_FULL_ERROR": "0"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def test_the_launcher_for_slurm_composes(tmp_path: Path) -> None:
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
    done = train(tmp_path, *words, "--cfg", "hydra", "--package", "hydra.launcher")
    assert done.returncode == 0, done.stderr
    assert "_target_: hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher" in done.stdout
    assert "partition: gpu" in done.stdout
    assert "gpus_per_node: 1" in done.stdout


@pytest.mark.slow
def test_jobs_in_processes_of_another_launcher_are_recorded_and_their_failures_told(tmp_path: Path) -> None:
    done = train(tmp_path, "-m", "hydra/launcher=submitit_local", *SMALL, "model.code_size=2,0,4")
    assert done.returncode == 1
    assert "hourglass: model.code_size must be at least 1, got 0" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    found = search_runs(uri, None, "status = 'FINISHED'")
    assert sorted(run.data.params["model.code_size"] for run in found) == ["2", "4"]
    assert not any("mlflow.parentRunId" in run.data.tags for run in found)
    assert not search_runs(uri, None, "tags.kind = 'study'")
