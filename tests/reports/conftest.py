"""A study of real trainings, and runs that only the record knows."""

import logging
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from hourglass.commands.main import main
from hourglass.tracking import Run, search_runs

WORDS = [
    *("train", "-m", "data=digits", "training.epochs=2", "training.batch_size=64", "optimizer.lr=0.01"),
    *("callback=quick", "sweep.workers=2", "study=small", "model.code_size=2,9", "noise=none,masking", "seed=0,1"),
]


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a finished study of 2 x 2 settings with two seeds each; `mlflow.db` is in it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", sys.argv)
        assert main(WORDS) == 0
    yield folder
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.fixture
def in_small(small: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The current folder is the study's; its store."""
    monkeypatch.chdir(small)
    return f"sqlite:///{small}/mlflow.db"


def best_runs(uri: str) -> list[str]:
    """Ids of the study's trainings, the least error first."""
    found = search_runs(uri, None, "tags.kind = 'training'")
    return [run.info.run_id for run in sorted(found, key=lambda run: run.data.metrics["test/mse"])]


def thousand(folder: Path) -> str:
    """A store with a study of 1,000 jobs, of which every 97th has failed; no model was trained. Returns its address."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    uri = f"sqlite:///{folder}/mlflow.db"
    axes = {"model.code_size": [str(2**k) for k in range(1, 11)], "model.depth": list("01234")}
    axes |= {"noise": ["none", "masking"], "seed": list("0123456789")}
    tags = {"kind": "study", "study": "thousand", **{f"axis.{key}": ", ".join(axes[key]) for key in axes}}
    with Run.start(uri=uri, experiment="hourglass", name="thousand", tags=tags, params={}) as study:
        client = MlflowClient(uri)
        place = client.get_experiment_by_name("hourglass").experiment_id
        for number, values in enumerate(product(*axes.values())):
            point = dict(zip(axes, values, strict=True))
            mse = (1 + float(point["model.depth"])) / (float(point["model.code_size"]) + 5)
            mse *= (1.5 if point["noise"] == "masking" else 1.0) * (1 + 0.01 * float(point["seed"]))
            told = {
                "mlflow.parentRunId": study.id,
                "kind": "training",
                "machine.config_hash": str(number),
                "health": "ok",
            }
            run = client.create_run(place, run_name=f"job {number}", tags={**told, "noise": point["noise"]})
            now = int(time.time() * 1000)
            measured = {"test/mse": mse, "test/psnr": 20.0, "test/code_active_fraction": 0.5, "fit/dead_units": 1.0}
            client.log_batch(
                run.info.run_id,
                [Metric(name, value, now, 0) for name, value in measured.items()],
                [Param(key, value) for key, value in point.items()],
                [],
            )
            client.set_terminated(run.info.run_id, "FINISHED" if number % 97 else "FAILED")
    return uri
