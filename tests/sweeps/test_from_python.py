"""`hourglass.sweep`: arrays in Python, swept as files on the command line are."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

import hourglass
from hourglass.configuration.build import build
from hourglass.data.given_arrays import NOT_KEPT, Given
from hourglass.data.handed_over import VARIABLE, found, hand_over
from hourglass.data.reading import read
from hourglass.pipeline.fit import data_of
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, search_runs

QUICK: dict[str, Any] = {"epochs": 1, "callback": "quick", "overrides": {"trainer.accelerator": "cpu"}}

SCRIPT = """
import logging, os
import numpy as np
import pytorch_lightning  # importing it sets a variable of the environment, which is not the sweep's doing
import hourglass
from hydra.core.global_hydra import GlobalHydra

print("once")  # without a guard: no process of a job runs this anew
held = np.load("held.npz")
quick = {"epochs": 1, "code_size": [3], "callback": "quick", "name": "mine"}
splits = {"trainer.accelerator": "cpu", "data.train_size": [100, 5000]}
several = ("masking", "gaussian")

def state():
    return {k: v for k, v in os.environ.items() if "MLFLOW" not in k}, np.random.get_state()[1].tolist()

before = state()
frame = hourglass.sweep(held["x"], held["y"], noise=["none", several], overrides=splits, **quick)
frame.to_pickle("first.pkl")
hourglass.sweep(held["x"], held["y"], noise=["none", several, "blur"], overrides=splits, **quick).to_pickle("more.pkl")
hourglass.sweep(held["x"][::-1], held["y"], noise=["none", several], overrides=splits, **quick)
after = state()
assert after == before, sorted(set(after[0].items()) ^ set(before[0].items()))
assert not GlobalHydra.instance().is_initialized()
assert logging.getLogger("hourglass").handlers == []
"""


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return (x[:300] / 16).astype(np.float32).reshape(-1, 8, 8), y[:300]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits: tuple[np.ndarray, np.ndarray]) -> tuple[Path, str, str]:
    """A folder in which the script has run, and what that printed."""
    folder = tmp_path_factory.mktemp("home")
    np.savez(folder / "held.npz", x=digits[0], y=digits[1])
    (folder / "script.py").write_text(SCRIPT)
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


# -- a study of jobs -----------------------------------------------------------------------------------------------


def test_a_row_for_each_job_with_its_axes_its_metrics_its_run_or_its_error(home: tuple[Path, str, str]) -> None:
    folder, printed, said = home
    assert printed == "once\n"
    frame = pd.read_pickle(folder / "first.pkl")
    assert list(frame.columns[:4]) == ["noise", "code_size", "data.train_size", "status"]
    assert list(frame.columns[-2:]) == ["run", "error"]
    assert len(frame) == 4
    assert set(frame.noise) == {"none", "masking,gaussian"}
    small, large = frame[frame["data.train_size"] == 100], frame[frame["data.train_size"] == 5000]
    assert set(small.status) == {"FINISHED"}
    assert set(small.code_size) == {3}
    assert (small["test/mse"] > 0).all()
    assert set(small.error) == {None}
    assert set(large.status) == {"REFUSED"}
    assert large.error.str.startswith("data.train_size must be at most 240").all()
    assert set(large.run) == {None}
    assert large["test/mse"].isna().all()
    assert ": 4 jobs, " in said
    assert "refused  noise=none data.train_size=5000" in said


def test_it_is_a_study_whose_jobs_are_those_of_fit(
    home: tuple[Path, str, str], digits: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home[0])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    frame = pd.read_pickle("first.pkl")
    study = Run.find(frame.attrs["study"], None)
    assert study.tags["study"] == "vanilla arrays: noise, train_size"
    assert study.tags["axis.data.train_size"] == "100, 5000"
    assert study.tags["axis.noise"] == "none, [masking,gaussian], blur"
    assert study.tags["command"].startswith(
        "hourglass.sweep(x, y=y, overrides=['noise=none,[masking,gaussian],blur', 'callback=quick', "
    )
    row = frame[(frame.noise == "none") & (frame.status == "FINISHED")].iloc[0]
    job = Run.find(row.run, None)
    assert job.name == "no noise train_size=100 mine"
    fitted = hourglass.fit(
        *digits, code_size=3, **{**QUICK, "overrides": {**QUICK["overrides"], "data.train_size": 100}}
    )
    assert fitted.run is not None
    assert job.tags["machine.config_hash"] == fitted.run.tags["machine.config_hash"]
    assert job.read_config()["data"] == fitted.run.read_config()["data"]
    assert row["test/mse"] == pytest.approx(fitted.metrics["test/mse"], rel=1e-4)
    assert hourglass.load(row.run).encode(digits[0]).shape == (300, 3)
    assert "tmp" not in str(job.read_config()["data"])


def test_the_same_call_again_does_what_is_missing_and_other_arrays_are_another_study(
    home: tuple[Path, str, str],
) -> None:
    folder, _, said = home
    first, more = pd.read_pickle(folder / "first.pkl"), pd.read_pickle(folder / "more.pkl")
    assert list(more.status) == ["FINISHED", "REFUSED"] * 3
    assert more.attrs == first.attrs
    assert set(first.run.dropna()) < set(more.run.dropna())
    assert "6 jobs, 2 finished before" in said
    assert len(search_runs(f"sqlite:///{folder}/mlflow.db", None, "tags.kind = 'study'")) == 2
    assert (
        len(
            search_runs(
                f"sqlite:///{folder}/mlflow.db", None, "tags.kind = 'training' AND tags.mlflow.parentRunId != ''"
            )
        )
        == 5
    )


@pytest.mark.usefixtures("fork_server_of_its_own")
def test_without_tracking_nothing_is_left(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = hourglass.sweep(digits[0], seed=[0, 1], code_size=[2], tracking=None, **QUICK)
    assert list(frame.seed) == [0, 1]
    assert list(frame.code_size) == [2, 2]
    assert set(frame.status) == {"FINISHED"}
    assert set(frame.run) == {None}
    assert frame["test/mse"].nunique() == 2
    assert list(tmp_path.iterdir()) == []
    assert logging.getLogger("hourglass").handlers == []
    assert VARIABLE not in os.environ


# -- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": ["conv", "cnn"]}, "model=cnn: no such choice; .*allowed: conv"),
        ({"noise": ["none", ["masking", "blurr"]]}, "noise=blurr: no such choice"),
        ({"noise": [3]}, "noise must be a choice by its name"),
        ({"code_size": []}, "model.code_size must have at least one value, got none"),
        ({"name": ["a", "b"]}, "name must have one value, because it makes no other job"),
        ({"overrides": {"optimizer.rate": [1, 2]}}, "optimizer.rate: no such key"),
        ({"overrides": {"data": ["digits", "mnist"]}}, "data=.*: hourglass.sweep trains anew, on x"),
        ({"overrides": {"data": "digits"}}, "data=digits: hourglass.sweep trains anew, on x"),
        ({"overrides": ["hydra/sweeper=hourglass_optuna"]}, "hydra/sweeper=hourglass_optuna: hourglass.sweep has"),
        ({"overrides": {"sweep.engine": "ray"}}, "sweep.engine must be local, got ray"),
        ({"overrides": {"sweep.workers": 0}}, "sweep.workers must be at least 1"),
        ({"x": np.zeros((50, 3), complex)}, "x must be uint8 or float"),
        ({"tracking": "wandb"}, "tracking must be one of mlflow, none"),
    ],
)
def test_a_mistake_of_all_jobs_is_one_line_and_nothing_is_recorded(
    changed: dict[str, Any],
    said: str,
    digits: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    x = changed.pop("x", digits[0])
    with pytest.raises(HourglassError, match=said) as error:
        hourglass.sweep(x, **{"seed": [0, 1], **QUICK, **changed})
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


# -- arrays handed over --------------------------------------------------------------------------------------------


def test_arrays_that_are_handed_over_are_the_same_and_known_by_their_digest() -> None:
    from hourglass.configuration.composition import compose_config

    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.random(50), "b": draw.integers(0, 9, 50), "kind": np.arange(50) % 2})
    for words, given in (
        ([], Given(read("x", draw.random((50, 3))), test=read("test", torch.rand(9, 3)))),
        (["data.scaling=minmax"], Given(read("x", frame, "kind"))),
        (["data.scaling=minmax"], Given(read("x", frame.assign(town=["Ulm", "Bonn"] * 25), "kind"))),
    ):
        config, _ = compose_config(["data=arrays", *words])
        data = data_of(config, given)
        parts = {name: part for name, part in given._asdict().items() if part}
        with hand_over(parts) as digest:
            again = build(config.data)
            with hand_over(parts) as same:
                assert same == digest
            config.data.digest = "0" * 64
            with pytest.raises(HourglassError, match=NOT_KEPT[:40]):
                build(config.data)
        assert again.digest == data.digest
        assert again.columns == data.columns
        assert found() is None
