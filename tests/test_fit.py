"""`hourglass.fit`: arrays in Python, trained and recorded as files on the command line are."""

import inspect
import logging
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning  # noqa: F401 - importing it sets a variable of the environment, which is not the training's doing
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import hourglass
from hourglass.commands.main import main
from hourglass.commands.train import resumed
from hourglass.configuration.composition import compose_config
from hourglass.configuration.groups import choices
from hourglass.pipeline.compose import compose
from hourglass.pipeline.evaluate import evaluate
from hourglass.pipeline.fitted import Fitted
from hourglass.pipeline.train import train
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run

QUICK: dict[str, Any] = {"epochs": 1, "code_size": 4, "callback": "quick", "overrides": {"trainer.accelerator": "cpu"}}
TIMED = ("time/", "health")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] / 16).astype(np.float32), found.target[:300]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One database for all: making it takes seconds."""
    monkeypatch.chdir(home)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def recorded(home: Path, digits: tuple[np.ndarray, np.ndarray]) -> Fitted:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return hourglass.fit(
            *digits,
            model="multilayer",
            noise=["masking", "gaussian"],
            code_size=4,
            depth=2,
            epochs=2,
            seed=3,
            name="digits of mine",
            study="mine",
            overrides=["noise.gaussian.sigma=0.1", {"optimizer.lr": 1e-2, "trainer.accelerator": "cpu"}],
        )


def numbers(metrics: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if not key.startswith(TIMED)}


def unrecorded(*args: Any, **kwargs: Any) -> Fitted:
    return hourglass.fit(*args, tracking=None, **{**QUICK, **kwargs})


# -- what it answers -----------------------------------------------------------------------------------------------


def test_a_fitted_model_encodes_decodes_samples_and_shows_itself(
    recorded: Fitted, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    x, _ = digits
    code = recorded.encode(x)
    assert code.shape == (300, 4)
    assert not code.requires_grad
    assert torch.equal(recorded.decode(code), recorded.reconstruct(x))
    assert torch.allclose(recorded(x[:5]).reconstruction, recorded.reconstruct(x[:5]), atol=1e-6)
    assert recorded(torch.from_numpy(x[:5])[:, None].requires_grad_()).code.requires_grad
    with pytest.raises(HourglassError, match="no prior to draw from"):
        recorded.sample(3)
    assert recorded.metrics["test/mse"] > 0
    assert {"reconstructions", "code_map", "worst"} <= recorded.figures.keys()
    assert recorded.figures["reconstructions"].size > (100, 20)
    said = repr(recorded)
    for words in (
        "model=multilayer noise=masking,gaussian",
        "a code of 4",
        "240 train",
        "test    mse",
        "health",
        "mine",
    ):
        assert words in said


def test_its_record_says_the_truth_and_loads(recorded: Fitted, digits: tuple[np.ndarray, np.ndarray]) -> None:
    run = recorded.run
    assert run is not None
    assert run.status == "FINISHED"
    data = run.read_config()["data"]
    assert data["_target_"] == "hourglass.data.arrays"
    assert data["digest"] == recorded.data.digest
    assert data["digest"].startswith(str(run.digest))
    assert data["sizes"] == {"train": 240, "validation": 30, "test": 30}
    assert data["range"] == [0, 1]
    tags = run.tags
    assert (tags["data"], tags["model"], tags["noise"], tags["study"]) == (
        "arrays",
        "multilayer",
        "masking,gaussian",
        "mine",
    )
    assert run.params["optimizer.lr"] == "0.01"
    assert run.params["seed"] == "3"
    assert torch.equal(hourglass.load("digits of mine").encode(digits[0]), recorded.encode(digits[0]))


def test_it_is_measured_on_other_arrays_and_under_other_noise(
    recorded: Fitted, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    own = recorded.evaluate()
    assert own == {key: value for key, value in recorded.metrics.items() if key in own}
    assert own["test/mse"] == recorded.metrics["test/mse"]
    clean = recorded.evaluate(noise="none")
    assert clean["test/mse"] < own["test/mse"]
    found = recorded.evaluate(255 * (1 - digits[0]), digits[1], range=(0, 255), overrides={"noise.seed": 1})
    assert found["test/mse"] > own["test/mse"]
    assert "test/anomaly_auroc" in found
    with pytest.raises(HourglassError, match="model was trained on data from 0 to 1"):
        recorded.evaluate(255 * digits[0])
    with pytest.raises(HourglassError, match=r"shape \(1, 4, 4\)"):
        recorded.evaluate(digits[0][:, :4, :4])
    with pytest.raises(HourglassError, match=r"evaluate takes data=\.\.\., noise="):
        recorded.evaluate(overrides={"optimizer.lr": 1})


@pytest.mark.long
def test_what_needs_the_arrays_says_that_no_record_holds_them(
    recorded: Fitted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded.run is not None
    run, said = recorded.run.id, "arrays that were given in Python are in no record"
    for words in (f"evaluate {run}", f"evaluate {run} noise=gaussian"):
        assert main(words.split()) == 2
        written = capsys.readouterr().err
        assert said in written
        assert written.count("\n") == 1
    again = resumed(compose_config([f"resume={run}"])[0], ["training.epochs=3"])
    with pytest.raises(HourglassError, match=said):
        train(again, choices={}, folder=Path("runs"))
    assert recorded.run.status == "FINISHED"
    with pytest.raises(HourglassError, match=said):
        compose(compose_config(["data=arrays"])[0])
    _, metrics = evaluate(run, ["data=digits"], uri=None)
    assert metrics["test/mse"] > 0
    assert "test/anomaly_auroc" not in metrics


# -- the same as on the command line -------------------------------------------------------------------------------


@pytest.mark.long
def test_it_gives_the_numbers_of_the_command_line_each_time(digits: tuple[np.ndarray, np.ndarray]) -> None:
    np.savez("mine.npz", x=digits[0], y=digits[1])
    first = hourglass.fit(*digits, noise="masking", **QUICK)
    torch.rand(7)
    again = unrecorded(*digits, noise="masking")
    assert numbers(again.metrics) == numbers(first.metrics)
    words = "noise=masking training.epochs=1 model.code_size=4 callback=quick trainer.accelerator=cpu name=typed"
    command = [sys.executable, "-m", "hourglass", "train", "data=npz", "data.path=mine.npz", *words.split()]
    subprocess.run(command, check=True, capture_output=True)
    typed = Run.find("typed", None)
    assert numbers(typed.metrics) == numbers(first.metrics)
    assert first.run is not None
    assert typed.digest == first.run.digest
    other = hourglass.fit(digits[0][::-1], digits[1], noise="masking", **QUICK)
    assert other.run is not None
    assert other.run.tags["machine.config_hash"] != first.run.tags["machine.config_hash"]


@pytest.mark.parametrize("kind", ["tensor", "dataset", "loader", "shuffled", "lists"])
def test_whatever_holds_the_same_samples_trains_the_same(kind: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    pairs = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    given = {
        "tensor": (torch.from_numpy(x)[:, None], torch.from_numpy(y)),
        "dataset": (pairs,),
        "loader": (DataLoader(pairs, batch_size=64),),
        "shuffled": (DataLoader(pairs, batch_size=64, shuffle=True, drop_last=True),),
        "lists": (x.tolist(), y.tolist()),
    }[kind]
    data = unrecorded(*given).data
    assert data.digest == unrecorded(x, y).data.digest
    assert data.train.y is not None


def test_own_validation_and_test_sets_are_used_whole(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    fitted = unrecorded(
        x[:200], y[:200], validation=(x[200:240], y[200:240]), test=TensorDataset(torch.from_numpy(x[240:]))
    )
    assert fitted.data.sizes == {"train": 200, "validation": 40, "test": 60}
    assert torch.equal(fitted.data.test.x[:, 0], torch.from_numpy(x[240:]))
    with pytest.raises(HourglassError, match="the test set must match x"):
        unrecorded(x, test=x[:, :4])


def test_a_table_keeps_its_names_and_its_units() -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"metres": draw.uniform(0, 9e6, 200), "count": draw.integers(0, 9, 200), "kind": np.arange(200) % 2}
    )
    fitted = unrecorded(frame, "kind", code_size=1)
    assert fitted.data.columns == ("metres", "count")
    assert fitted.data.scaling is not None
    assert fitted.reconstruct(frame)[:, 0].mean() > 1e6
    assert torch.equal(fitted.encode(frame[["count", "metres"]]), fitted.encode(frame[["metres", "count"]].to_numpy()))
    assert fitted.evaluate(frame, "kind")["test/mse"] < 1
    with pytest.raises(HourglassError, match="none named count"):
        fitted.encode(frame[["metres"]])
    with pytest.raises(HourglassError, match="columns of numbers, got day of datetime"):
        unrecorded(frame.assign(day=pd.Timestamp("2020-01-01")))


def test_columns_of_one_name_are_both_used() -> None:
    values = np.random.default_rng(0).uniform(0, 1, (200, 2))
    frame = pd.DataFrame(values, columns=["a", "a"])
    fitted = unrecorded(frame, code_size=1)
    assert fitted.data.columns == ("a", "a.1")
    torch.testing.assert_close(fitted.encode(frame), fitted.encode(values))


# -- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"x": np.full((50, 3), np.nan)}, "finite numbers, got nan or infinity in sample 0 of 50"),
        ({"x": np.zeros(50)}, r"x must have shape \(N, D\), .*got \(50,\)"),
        ({"x": np.zeros((50, 3), int)}, "x must be uint8 or float, got int64"),
        ({"x": "digits"}, "x must be an array, .*got str"),
        ({"x": [[1.0, 2.0], [3.0]]}, "x must be an array"),
        ({"y": np.zeros(3, int)}, r"y must be whole numbers or texts of shape \(300,\)"),
        ({"x": 2 * np.ones((50, 3)) * np.arange(50)[:, None], "loss": "bce"}, "bce needs data in|gives values in"),
        ({"model": "cnn"}, "model=cnn: no such choice; .*allowed: conv"),
        ({"model": 3}, "model must be a choice by its name"),
        ({"noise": ["masking", "blurr"]}, "noise=blurr: no such choice; nearest: blur"),
        ({"code_size": "many"}, "model.code_size must be a whole number, got 'many'"),
        ({"epochs": 0}, "training.epochs must be"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"overrides": {"optimizer.rate": 1}}, "optimizer.rate: no such key"),
        ({"overrides": ["optimizer.lr"]}, "optimizer.lr must have a value"),
        ({"overrides": {"optimizer.lr": object()}}, "optimizer.lr must be a number, text"),
        ({"overrides": ["data=digits"]}, "data=digits: hourglass.fit trains anew, on x"),
        ({"overrides": ["resume=abcdef"]}, "resume: hourglass.fit trains anew"),
        ({"overrides": {"data.scaling": "log"}}, "data.scaling must be one of none, unit, minmax, standard, got 'log'"),
        ({"overrides": {"data.missing": "mean"}}, r"data.missing must be refuse for samples of shape"),
        ({"x": DataLoader(TensorDataset(torch.zeros(9, 3)), batch_size=None)}, "must be a DataLoader of batches, got"),
        ({"x": [{"a": 1.0}]}, "x must be an array, .*of numbers, got list"),
        ({"folder": "/proc/none"}, "folder=/proc/none can't be made"),
        ({"tracking": "wandb"}, "tracking must be one of mlflow, none"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_recorded(
    changed: dict[str, Any],
    said: str,
    digits: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = changed.pop("x", digits[0]), changed.pop("y", None)
    with pytest.raises(HourglassError, match=said) as error:
        hourglass.fit(x, y, **{**QUICK, **changed})
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


# -- nothing is left -----------------------------------------------------------------------------------------------


def state() -> dict[str, Any]:
    from hydra.core.global_hydra import GlobalHydra

    return {
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index]
        "torch": torch.random.get_rng_state().tolist(),
        "environment": dict(os.environ),
        "levels": {name: logging.getLogger(name).level for name in ("", "hourglass", "pytorch_lightning")},
        "warnings": list(warnings.filters),
        "filled": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "hydra": GlobalHydra.instance().is_initialized(),
        "folder": str(Path.cwd()),
    }


def test_without_tracking_nothing_is_left_and_the_process_is_as_it_was(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = state()
    fitted = hourglass.fit(
        *digits, bottleneck="gaussian", code_size=2, epochs=1, tracking="none", overrides={"trainer.accelerator": "cpu"}
    )
    assert fitted.evaluate(noise="gaussian")["test/mse"] > 0
    assert torch.equal(fitted.sample(3, seed=1), fitted.sample(3, seed=1))
    assert state() == before
    assert fitted.run is None
    assert "not kept" in repr(fitted)
    assert {"reconstructions", "samples", "manifold"} <= fitted.figures.keys()
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


def test_it_trains_within_an_application_of_hydra(tmp_path: Path) -> None:
    (tmp_path / "application.yaml").write_text("size: 2\n")
    (tmp_path / "application.py").write_text(
        """
import hydra, numpy, hourglass
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base=None, config_path=".", config_name="application")
def run(config):
    before = GlobalHydra.instance().hydra
    x = numpy.random.default_rng(0).random((60, 5))
    for _ in range(2):
        fitted = hourglass.fit(x, code_size=config.size, epochs=1, callback="quick", tracking=None)
    assert GlobalHydra.instance().hydra is before and HydraConfig.get().job.name == "application"
    print(fitted.model.code_size)

run()
"""
    )
    done = subprocess.run(
        [sys.executable, "application.py", "size=3"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["3"]), done.stderr


def test_values_of_python_are_written_in_the_grammar_of_the_command_line() -> None:
    from hourglass.configuration.overrides import parse
    from hourglass.pipeline.fit import words_of

    values = {"a": 1, "b": 1e-7, "c": True, "d": None, "e": 'x "y" \\', "g": np.float32(0.5), "h": float("inf")}
    read = {word[0]: parse(word).value() for word in words_of(values)}
    assert read == values
    assert words_of({"model.widths": [128, np.int64(64)]}) == ["model.widths=[128,64]"]


def test_every_way_from_python_takes_the_groups_that_fit_takes() -> None:
    groups = set(choices()) - {"data", "sweep", "tracking"}  # arrays are the data; where it is kept is no choice
    assert groups <= set(inspect.signature(hourglass.fit).parameters)
    assert groups <= set(inspect.signature(hourglass.sweep).parameters)
    assert groups <= set(inspect.signature(hourglass.Hourglass).parameters)
    assert groups - {"trainer", "callback"} <= set(inspect.signature(hourglass.module).parameters)
