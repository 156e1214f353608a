import errno
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from hourglass.tracking import Run, TrackingUnavailable, initialise_store, mark_dead_runs, resolve_uri
from hourglass.tracking.retries import at_most, is_transient, retried, store_timeout


def _answer(status: int) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    return answer


def test_importing_the_package_leaves_mlflow_and_lightning_alone() -> None:
    code = "import sys, hourglass.tracking; assert not {'mlflow', 'torch', 'pytorch_lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_can_be_loaded() -> None:
    import hourglass.tracking as tracking

    assert all(getattr(tracking, name) is not None for name in tracking.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        tracking.nonsense  # noqa: B018


def test_uri_is_the_given_one_else_the_environment_else_a_file_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_uri(None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000/")
    assert resolve_uri(None) == "http://127.0.0.1:5000"
    assert resolve_uri("sqlite:///deep/x.db") == f"sqlite:///{tmp_path}/deep/x.db"


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_uri_of_no_store_is_refused(uri: str) -> None:
    with pytest.raises(TrackingUnavailable, match=r"tracking.uri must be .* got"):
        resolve_uri(uri)


def test_initialising_makes_a_whole_database_in_wal_mode_and_leaves_it_alone_after(blank: Path) -> None:
    before = blank.read_bytes()
    initialise_store(f"sqlite:///{blank}")
    assert blank.read_bytes() == before
    with sqlite3.connect(blank) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not list(blank.parent.glob("*.new-*"))


def _described(path: Path) -> tuple[list[str], list[str]]:
    """The tables of a database, and where its experiments' files go."""
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name")
        # MLflow writes a table's constraints in any order.
        return [" ".join(sorted(text.replace(",", " ").split())) for (text,) in tables], [
            place for (place,) in database.execute("SELECT artifact_location FROM experiments")
        ]


def test_the_tables_of_a_new_database_are_kept_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("HOURGLASS_CACHE", str(cache))
    made = [tmp_path / name / "mlflow.db" for name in ("first", "second", "third", "fourth")]
    initialise_store(f"sqlite:///{made[0]}")
    (kept,) = cache.rglob("tables-*.db")
    before = kept.read_bytes()
    initialise_store(f"sqlite:///{made[1]}")
    assert kept.read_bytes() == before
    kept.write_bytes(before[:5000])  # as a full disk leaves it
    initialise_store(f"sqlite:///{made[2]}")
    assert "is damaged and is computed again" in caplog.text
    assert kept.stat().st_size == len(before)
    monkeypatch.setenv("HOURGLASS_CACHE", "/proc/nowhere")  # where nothing can be kept
    initialise_store(f"sqlite:///{made[3]}")
    for path in made:
        tables, places = _described(path)
        assert tables == _described(made[0])[0]
        assert places == [f"{path.parent}/mlartifacts/0"]
        assert sorted(each.name for each in path.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_initialising_migrates_an_older_store(uri: str) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision

    command.downgrade(_get_alembic_config(uri), "-1")
    initialise_store(uri)
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (
            _get_latest_schema_revision(),
        )


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    for use in (initialise_store, lambda uri: Run.find("something", uri)):
        with pytest.raises(TrackingUnavailable, match=r"mlflow.db cannot be read: ") as caught:
            use(f"sqlite:///{path}")
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (id INTEGER)")
    with pytest.raises(TrackingUnavailable, match="is not a whole MLflow database"):
        initialise_store(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrackingUnavailable, match="cannot be used"):
        initialise_store(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_reading_makes_no_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(TrackingUnavailable, match="there is no such database"):
        Run.find("something", uri)
    assert mark_dead_runs(uri, "hourglass") == []
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as taken:  # bound but not listening: nothing answers there
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TrackingUnavailable, match=rf"{uri} cannot be reached .*refused"):
            initialise_store(uri)


@pytest.mark.parametrize(("code", "there"), [(200, True), (404, True), (401, True), (503, False)])
def test_a_server_is_there_unless_a_gateway_says_that_it_is_not(code: int, there: bool) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_port}"
    try:
        if there:
            initialise_store(uri)
        else:
            with pytest.raises(TrackingUnavailable, match="answers with error 503"):
                initialise_store(uri)
    finally:
        server.shutdown()
        server.server_close()


def test_waiting_tries_again_until_the_store_is_back() -> None:
    answers = iter([ConnectionError("gone"), RuntimeError("(sqlite3.OperationalError) database is locked"), 42])

    def call() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retried(call, "sqlite:///x") == 42


def test_waiting_ends_and_passes_other_errors_on() -> None:
    def away() -> None:
        raise ConnectionError("gone\nlong story")

    def wrong() -> None:
        raise KeyError("wrong")

    with (
        pytest.raises(TrackingUnavailable, match=r"^tracking.uri=http://me:\*\*\*@x cannot be used: gone$"),
        at_most(0.2),
    ):
        retried(away, "http://me:secret@x")
    with pytest.raises(KeyError, match="wrong"):
        retried(wrong, "http://x")


def test_the_timeout_is_a_number_of_seconds_also_by_its_earlier_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_timeout() == 120.0
    monkeypatch.setenv("HOURGLASS_PATIENCE", "7.5")
    assert store_timeout() == 7.5
    monkeypatch.setenv("HOURGLASS_STORE_TIMEOUT", "3")
    assert store_timeout() == 3.0
    monkeypatch.setenv("HOURGLASS_STORE_TIMEOUT", "a while")
    with pytest.raises(ValueError, match="HOURGLASS_STORE_TIMEOUT must be a number of seconds, 0 or more, got 'a wh"):
        store_timeout()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("no such table: runs"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (requests.HTTPError("500 Server Error", response=_answer(500)), True),
        (requests.HTTPError("404 Client Error", response=_answer(404)), False),
        (ValueError("anything else"), False),
    ],
    ids=str,
)
def test_what_can_pass_is_waited_for(error: Exception, expected: bool) -> None:
    assert is_transient(error) is expected


def test_a_database_that_refuses_is_named_without_its_password() -> None:
    with socket.socket() as taken:  # bound but not listening: nothing answers there
        taken.bind(("127.0.0.1", 0))
        uri = f"postgresql+psycopg2://me:secret@127.0.0.1:{taken.getsockname()[1]}/runs"
        with pytest.raises(TrackingUnavailable, match=r"//me:\*\*\*@.* cannot be used: .*refused") as caught:
            initialise_store(uri)
        assert "secret" not in str(caught.value)
    with pytest.raises(TrackingUnavailable, match="install its driver and name it"):
        initialise_store("mysql://me@127.0.0.1/runs")
