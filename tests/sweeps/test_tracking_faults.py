"""Sweeps whose store is locked, full or out of reach for a while: real sqlite, a real file system, a real server."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hourglass
from hourglass.commands import main as cli
from hourglass.tracking import Run, search_runs

LIMIT = 240.0  # seconds that a test waits for something that takes seconds on a machine of its own
EPOCHS, STEPS = 3, 4  # 200 samples in batches of 50
SMALL = [
    *("data=digits", "data.train_size=200", f"training.epochs={EPOCHS}", "training.batch_size=50"),
    *("tracking.log_every_n_steps=1", "callback=quick", "sweep.workers=2"),
]


def words(uri: str, *more: str) -> list[str]:
    return ["train", "-m", *SMALL, f"tracking.uri={uri}", *more]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def statuses(database: Path) -> list[str]:
    """Of the trainings, read without MLflow; none before there are tables."""
    query = "SELECT status FROM runs JOIN tags USING (run_uuid) WHERE key = 'kind' AND value = 'training'"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        return [status for (status,) in reader.execute(query)]
    return []


class Disturbance(threading.Thread):
    """Does something to the store as soon as the first training has begun, and says how many had finished before."""

    def __init__(self, database: Path, disturb: Callable[[], object]) -> None:
        super().__init__()
        self.database = database
        self.disturb = disturb
        self.finished_before: int | None = None

    def run(self) -> None:
        until(lambda: statuses(self.database))
        self.finished_before = statuses(self.database).count("FINISHED")
        self.disturb()


def assert_whole(uri: str, *, jobs: int) -> list[Any]:
    """Each job has exactly one finished run with every point, and nothing is left open."""
    finished = search_runs(uri, None, "tags.kind = 'training' AND attributes.status = 'FINISHED'")
    assert set(Counter(run.data.tags["machine.config_hash"] for run in finished).values()) == {1}
    assert len(finished) == jobs
    assert search_runs(uri, None, "attributes.status = 'RUNNING'") == []
    for each in finished:
        run = Run.find(each.info.run_id, uri)
        assert len(run.history("train/loss")) == EPOCHS * STEPS
        assert len(run.history("val/loss")) == EPOCHS
        assert {"time/fit_seconds", "test/mse"} <= run.metrics.keys()
        assert run.load_weights()
    return finished


# The database is locked


@pytest.mark.long
def test_a_database_that_is_locked_for_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = tmp_path / "mlflow.db"

    def lock() -> None:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=LIMIT)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(10)
            other.execute("COMMIT")

    locker = Disturbance(database, lock)
    locker.start()
    assert cli.main(words(f"sqlite:///{database}", "model.code_size=2,4,6")) == 0
    locker.join()
    assert locker.finished_before is not None
    assert locker.finished_before < 3
    assert_whole(f"sqlite:///{database}", jobs=3)


# The disk is full


def fill(folder: Path) -> None:
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.slow
def test_a_full_disk_that_gets_room_again(small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = small_disk / "mlflow.db"

    def full_for_ten_seconds() -> None:
        fill(small_disk)
        time.sleep(10)
        (small_disk / "filler").unlink()

    filler = Disturbance(database, full_for_ten_seconds)
    filler.start()
    assert cli.main(words(f"sqlite:///{database}", "model.code_size=2,4,6")) == 0
    filler.join()
    assert filler.finished_before is not None
    assert filler.finished_before < 3
    assert_whole(f"sqlite:///{database}", jobs=3)


@pytest.mark.slow
def test_a_disk_that_stays_full_is_named_and_the_rest_is_done_later(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = small_disk / "mlflow.db"
    command = words(f"sqlite:///{database}", "model.code_size=2,4,6")
    filler = Disturbance(database, lambda: fill(small_disk))
    filler.start()
    done = subprocess.run(
        [sys.executable, "-m", "hourglass", *command],
        capture_output=True,
        text=True,
        env={**os.environ, "HOURGLASS_STORE_TIMEOUT": "3", "HYDRA_FULL_ERROR": "0"},
    )
    filler.join()
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"hourglass: tracking.uri=sqlite:///{database} cannot be used: ")
    assert any(reason in last for reason in ("is full", "No space left on device", "disk I/O error"))
    assert "Traceback" not in done.stderr
    (small_disk / "filler").unlink()
    finished = statuses(database).count("FINISHED")
    assert finished < 3
    assert cli.main(command) == 0
    assert_whole(f"sqlite:///{database}", jobs=3)


# A tracking server


class Server:
    """A real MLflow server with sqlite behind it, which also keeps the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.database = folder / "server.db"

    def start(self) -> None:
        command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        until(self.answers)

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200)
        return False

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, after a sweep during which it was away for twenty seconds; how that ended is its `code`."""
    folder = tmp_path_factory.mktemp("server")
    server = Server(folder)
    server.start()

    def go_away() -> None:
        server.stop()
        time.sleep(20)
        server.start()

    outage = Disturbance(server.database, go_away)
    outage.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        server.code = cli.main(words(server.uri, "model.code_size=2,4,6"))  # type: ignore[attr-defined]
    outage.join()
    assert outage.finished_before is not None
    assert outage.finished_before < 3
    yield server
    server.stop()


@pytest.mark.slow
def test_a_server_that_is_away_for_twenty_seconds(server: Server) -> None:
    assert server.code == 0  # type: ignore[attr-defined]
    assert_whole(server.uri, jobs=3)
    assert not list(server.folder.glob("mlflow.db*"))


@pytest.mark.slow
def test_a_study_on_a_server_grows_and_its_runs_can_be_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    before = {run.info.run_id for run in search_runs(server.uri, None, "tags.kind = 'training'")}
    assert cli.main(words(server.uri, "model.code_size=2,4,6,8")) == 0
    captured = capsys.readouterr()
    assert "4 jobs, 3 finished before" in captured.out + captured.err
    assert len(search_runs(server.uri, None, "tags.kind = 'study'")) == 1
    runs = search_runs(server.uri, None, "tags.kind = 'training'")
    (fresh,) = [run for run in runs if run.info.run_id not in before]
    assert fresh.data.params["model.code_size"] == "8"

    model = hourglass.load(fresh.info.run_id)
    assert model.encode(torch.zeros(2, 1, 8, 8)).shape == (2, 8)
    assert cli.main(["evaluate", fresh.info.run_id, "noise=gaussian"]) == 0
    (measured,) = search_runs(server.uri, None, "tags.kind = 'evaluation'")
    assert measured.data.tags["evaluation_of"] == fresh.info.run_id
    assert np.isfinite(measured.data.metrics["test/mse"])
    assert cli.main(["encode", fresh.info.run_id, "missing.npy", "codes.npy"]) == 2
    with pytest.raises(ValueError, match=r"holds no 'nothing\.txt'"):
        Run.find(fresh.info.run_id, server.uri).artifact("nothing.txt")
