"""A real PostgreSQL server, where one is installed: eight writers at once, and a restart under them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from hourglass.tracking import Run, initialise_store, search_runs

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
POINTS = 1200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="PostgreSQL's server is not installed (apt-get install postgresql)"),
]


class Database:
    """A server of its own in a folder of its own; root may not run one, so it runs as nobody."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hourglass-postgresql-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody")
        self.run("initdb", "-D", str(self.folder / "data"), "-U", "hourglass", "--auth=trust", "--no-sync")
        self.start()
        self.uri = f"postgresql+psycopg2://hourglass:secret@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", str(self.folder / "log"), "-w", "start"
        )

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def run(self, program: str, *words: str) -> None:
        user: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.getuid() == 0 else {}
        command = [str(FOUND[-1].with_name(program)), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **user)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.stop()
    shutil.rmtree(database.folder)


def _write(uri: str, name: str) -> None:
    with Run.start(uri=uri, experiment="crowd", name=name, tags={}, params={"name": name}) as run:
        for step in range(POINTS):
            run.log_metrics({"loss": float(step)}, step)
            time.sleep(0.005)
        run.log_text(name, "name.txt")


def test_eight_processes_write_through_a_restart_and_nothing_is_lost(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fork_server_of_its_own: None,  # noqa: ARG001
) -> None:
    monkeypatch.chdir(tmp_path)
    initialise_store(database.uri)
    context = get_context("forkserver")
    context.set_forkserver_preload(["hourglass.tracking.run", "mlflow.store.tracking.sqlalchemy_store"])
    workers = [context.Process(target=_write, args=(database.uri, f"worker-{index}")) for index in range(8)]
    for worker in workers:
        worker.start()
    while not search_runs(database.uri, "crowd", "attributes.status = 'RUNNING'"):
        time.sleep(0.1)
    database.stop()
    time.sleep(5)
    database.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(search_runs(database.uri, "crowd", "")) == 8
    for index in range(8):
        run = Run.find(f"worker-{index}", database.uri)
        assert run.status == "FINISHED"
        assert run.history("loss") == [(step, float(step)) for step in range(POINTS)]
        assert run.artifact("name.txt").read_text() == run.name


def test_a_run_is_recorded_without_the_password(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["data=digits", "data.train_size=64", "training.epochs=1", "~callback.pictures"]
    command = [sys.executable, "-m", "hourglass", "train", *small, f"tracking.uri={database.uri}"]
    subprocess.run(command, check=True)
    (found,) = search_runs(database.uri, None, "tags.kind = 'training'")
    assert "secret" not in f"{found.data.params} {found.data.tags}"
    run = Run.find(found.info.run_id, database.uri)
    assert "secret" not in run.artifact("config.yaml").read_text()
    subprocess.run([*command[:4], f"resume={run.id}", "training.epochs=2", command[-1]], check=True)
    assert len(Run.find(run.id, database.uri).history("val/loss")) == 2
