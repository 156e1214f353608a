"""Ctrl-C and SIGTERM through the real command line: the run's status is true and the exit code says what happened."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hourglass.tracking import Run

WORDS = [
    "train",
    "data=digits",
    "training.epochs=1000000",
    "tracking.images=false",
    "tracking.checkpoint_every=1000000",
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
