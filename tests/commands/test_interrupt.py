"""Signals through the real command line: the status of the run is true and the exit code says what happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hourglass.callbacks import CHECKPOINT
from hourglass.commands.main import main
from hourglass.tracking import Run, search_runs

WORDS = [
    "train",
    "data=digits",
    "training.epochs=1000000",
    "~callback.pictures",
    "callback.checkpoints.every=1000000",
    "name=endless",
]


def _wait_for_a_point(uri: str, process: subprocess.Popen[str]) -> None:
    """Until the run has recorded something, so that the signal meets the training."""
    for _ in range(1200):
        assert process.poll() is None, process.communicate()[1]
        try:
            if Run.find("endless", uri).metrics:
                return
        except ValueError:  # no database or no run yet
            pass
        time.sleep(0.1)
    pytest.fail("the training did not start within two minutes")


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_training_as_killed(number: signal.Signals, code: int, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    command = [sys.executable, "-m", "hourglass", *WORDS, f"tracking.uri={uri}"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for_a_point(uri, process)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # nothing to do where it has ended
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    run = Run.find("endless", uri)
    assert run.status == "KILLED"
    assert run.tags["failure"].startswith("interrupted by")


def _ended_in_the_test(command: list[str], number: int, folder: Path, environment: dict[str, str]) -> int:
    """The exit code of a command that gets a signal as soon as it says that it measures."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:
        assert process.stderr is not None
        try:
            said = ""
            while "measuring on" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "Traceback" not in errors
    return process.returncode


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_a_signal_in_the_test_ends_the_training_as_killed(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "data=digits", "training.epochs=1", "name=measured"]
    command = [sys.executable, "-m", "hourglass", *words, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    assert _ended_in_the_test(command, number, tmp_path, dict(os.environ)) == code
    run = Run.find("measured", f"sqlite:///{tmp_path}/mlflow.db")
    assert run.status == "KILLED"
    # An evaluation ends the same way.
    assert main(["train", f"resume={run.id}", f"tracking.uri={run.uri}"]) == 0
    program = (
        f"from hourglass.commands.main import main; raise SystemExit(main(['evaluate', '{run.id}', 'noise=masking']))"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": run.uri}
    assert _ended_in_the_test([sys.executable, "-c", program], number, tmp_path, environment) == code
    (evaluation,) = search_runs(run.uri, None, "tags.kind = 'evaluation'")
    assert evaluation.info.status == "KILLED"


def test_a_signal_while_everything_is_imported_ends_it_at_once(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pytorch_lightning': os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from hourglass.commands.main import main\n"
        "main(['train', 'data=digits'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "")


@pytest.mark.long
def test_a_killed_training_goes_on_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each checkpoint finds the points of its epochs recorded, and nothing is left outside the run's own folder."""
    monkeypatch.chdir(tmp_path)
    uri, temporary = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "temporary"
    temporary.mkdir()
    words = ["data=digits", "model.code_size=8", "training.log_every_n_steps=1", "~callback.pictures"]
    words += ["callback=[quick,pictures,baselines]", f"tracking.uri={uri}"]
    command = [sys.executable, "-m", "hourglass", "train", *words, "training.epochs=1000000", "name=killed"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.rglob("last.ckpt")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1)  # anywhere in an epoch
        process.kill()
    run = Run.find("killed", uri)
    epochs = torch.load(run.artifact(CHECKPOINT), weights_only=True)["epoch"] + 1
    assert len(run.history("val/loss")) >= epochs
    assert not list(temporary.iterdir())
    assert main(["train", f"resume={run.id}", f"training.epochs={epochs + 2}", f"tracking.uri={uri}"]) == 0
    assert main(["train", *words, f"training.epochs={epochs + 2}", "name=whole"]) == 0
    whole = Run.find("whole", uri)
    for key in whole.metrics.keys() - {"time/steps_per_second", "time/fit_seconds"}:
        assert run.history(key) == whole.history(key), key
    assert all(torch.equal(value, whole.load_weights()[name]) for name, value in run.load_weights().items())
    assert not list(tmp_path.rglob("*uploading*"))
