"""Real processes that write, are killed, are interrupted."""

import os
import signal
import sqlite3
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from hourglass.system.temporary import temporary_folder
from hourglass.tracking import Run, mark_dead_runs, search_runs
from hourglass.tracking.processes import _mark, identity, is_alive
from hourglass.tracking.store import open_client
from hourglass.tracking.tables import running

POINTS = 1200


@pytest.fixture
def context(fork_server_of_its_own: None) -> Any:  # noqa: ARG001
    context = get_context("forkserver")
    context.set_forkserver_preload(["hourglass.tracking.run", "mlflow.store.tracking.sqlalchemy_store"])
    return context


def _write(uri: str, name: str) -> None:
    with Run.start(uri=uri, experiment="crowd", name=name, tags={}, params={"name": name}) as run:
        for step in range(POINTS):
            run.log_metrics({"loss": float(step)}, step)
        run.log_text(name, "name.txt")


def _hold(uri: str, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a sweep's fork server passes on that it is ignored
    with Run.start(uri=uri, experiment="hourglass", name="held", tags={}, params={}) as run:
        run.log_metrics({"loss": 0.5}, 7)
        pipe.send(run.id)
        time.sleep(60)


def _held(context: Any, uri: str) -> tuple[Any, str]:
    mine, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(uri, theirs))
    process.start()
    return process, mine.recv()


@pytest.mark.long
@pytest.mark.parametrize("ready", [True, False], ids=["prepared by one", "prepared by all at once"])
def test_eight_processes_write_to_one_new_file_and_nothing_is_lost(
    context: Any, uri: str, tmp_path: Path, ready: bool
) -> None:
    if not ready:
        uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    workers = [context.Process(target=_write, args=(uri, f"worker-{index}")) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(search_runs(uri, "crowd", "")) == 8
    for index in range(8):
        run = Run.find(f"worker-{index}", uri)
        assert run.status == "FINISHED"
        assert run.history("loss") == [(step, float(step)) for step in range(POINTS)]
        assert run.params == {"name": run.name}
        assert run.artifact("name.txt").read_text() == run.name


def test_a_killed_process_is_found_out(context: Any, uri: str) -> None:
    process, number = _held(context, uri)
    assert mark_dead_runs(uri, "hourglass") == []  # it lives
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert Run.find(number, uri).status == "RUNNING"
    assert mark_dead_runs(uri, "hourglass") == [number]
    run = Run.find(number, uri)
    assert run.status == "KILLED"
    assert run.tags["failure"] == f"process {process.pid} ended without a word"
    assert mark_dead_runs(uri, "hourglass") == []


def test_ctrl_c_leaves_the_points_and_a_true_status(context: Any, uri: str) -> None:
    process, number = _held(context, uri)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    run = Run.find(number, uri)
    assert process.exitcode != 0  # the interrupt went on
    assert run.status == "KILLED"
    assert run.tags["failure"] == "interrupted by KeyboardInterrupt"
    assert run.history("loss") == [(7, 0.5)]


def test_a_run_that_ended_well_after_the_search_is_not_marked(context: Any, uri: str) -> None:
    process, number = _held(context, uri)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    client = open_client(uri)
    (seen,) = running(client, client.get_experiment_by_name("hourglass").experiment_id)
    assert seen == (number, {key: seen.tags[key] for key in ("machine.host", "machine.pid", "machine.process_start")})
    Run.find(number, uri).finish()  # what a search a moment ago did not see
    assert _mark([seen], client) == []
    assert Run.find(number, uri).status == "FINISHED"


def test_a_run_that_was_taken_up_after_the_search_is_not_marked(context: Any, uri: str) -> None:
    process, number = _held(context, uri)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    client = open_client(uri)
    seen = running(client, client.get_experiment_by_name("hourglass").experiment_id)
    resumed = Run.resume(number, uri=uri)
    assert _mark(seen, client) == []
    assert resumed.status == "RUNNING"


def test_a_thousand_dead_are_marked_together(run: Run, uri: str) -> None:
    gone = {**identity(), "machine.pid": str(2**22 + 1)}
    run.set_tags(gone | {"failure": "an older one"})
    numbers = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) SELECT i FROM n)"
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        for table in ("runs", "tags"):
            columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})") if name != "run_uuid"]
            listed = ", ".join(f'"{name}"' for name in columns)
            rows = f"SELECT printf('%032x', i), {listed} FROM {table}, {numbers} WHERE run_uuid = ?"
            database.execute(f"INSERT INTO {table} (run_uuid, {listed}) {rows}", [run.id])
    database.close()
    assert len(mark_dead_runs(uri, "hourglass")) == 1201
    assert search_runs(uri, None, "attributes.status = 'RUNNING'") == []
    for found in search_runs(uri, None, "attributes.status = 'KILLED'"):
        assert found.data.tags["failure"] == f"process {2**22 + 1} ended without a word"
        assert found.info.end_time >= found.info.start_time
        assert found.data.tags["model"] == "conv"
    assert mark_dead_runs(uri, "hourglass") == []


def test_a_run_whose_process_lives_cannot_be_resumed(run: Run, uri: str) -> None:
    with pytest.raises(ValueError, match=f"process {os.getpid()} is still writing it"):
        Run.resume(run.id, uri=uri)


def test_runs_of_other_hosts_are_left_alone(run: Run, uri: str) -> None:
    run.set_tags({"machine.host": "elsewhere", "machine.pid": "1"})
    assert mark_dead_runs(uri, "hourglass") == []
    assert run.status == "RUNNING"


def test_a_process_is_known_by_host_number_and_start() -> None:
    tags = identity()
    assert tags["machine.pid"] == str(os.getpid())
    assert is_alive(tags)
    assert not is_alive(tags | {"machine.host": "elsewhere"})
    assert not is_alive(tags | {"machine.process_start": f"{psutil.Process().create_time() - 60:.2f}"})  # number reused
    assert not is_alive({"machine.host": tags["machine.host"]})


def test_a_database_that_someone_else_locks_loses_nothing(run: Run, uri: str) -> None:
    path = uri.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(2.0, lambda: other.execute("COMMIT"))
    release.start()
    run.log_metrics({"loss": 0.25}, 1)
    run.finish()
    release.join()
    other.close()
    assert run.history("loss") == [(1, 0.25)]
    assert run.status == "FINISHED"


def _fetch(pipe: Connection) -> None:
    (temporary_folder() / "copy").write_text("here")
    pipe.send(temporary_folder())
    pipe.recv()


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_process_has_fetched_goes_with_it_or_with_the_next_one(context: Any, killed: bool) -> None:
    def start() -> tuple[Any, Connection, Path]:
        mine, theirs = context.Pipe()
        process = context.Process(target=_fetch, args=(theirs,))
        process.start()
        return process, mine, mine.recv()

    process, mine, folder = start()
    other, theirs, still = start()
    assert folder != still
    assert (folder / "copy").read_text() == "here"
    process.kill() if killed else mine.send(None)
    process.join()
    third, last, _ = start()
    assert not folder.exists()
    assert not folder.with_name(f"{folder.name}.lock").exists()
    assert (still / "copy").read_text() == "here"
    for pipe, each in ((theirs, other), (last, third)):
        pipe.send(None)
        each.join()
    assert not still.exists()


def test_the_machines_tags_stand_under_one_prefix(tmp_path: Path) -> None:
    run = Run.start(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="e", name="r", tags={}, params={})
    own = {key for key in run.tags if not key.startswith("mlflow.")}
    assert own == {"machine.host", "machine.pid", "machine.process_start"}


def test_a_dead_run_of_an_earlier_version_is_marked(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run = Run.start(uri=uri, experiment="e", name="r", tags={}, params={})
    client = open_client(uri)
    for key, value in {**identity(), "machine.pid": str(2**22 + 1)}.items():
        client.set_tag(run.id, key.removeprefix("machine."), value)
        client.delete_tag(run.id, key)
    assert mark_dead_runs(uri, "e") == [run.id]
    assert Run.find(run.id, uri).status == "KILLED"
