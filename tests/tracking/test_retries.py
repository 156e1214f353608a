"""A store that is away, and a signal in the middle of a transaction: the call is whole, then the signal is heard."""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from hourglass.tracking import Run, TrackingUnavailable
from hourglass.tracking.retries import at_most, retried


@contextmanager
def signalled_in_a_transaction(number: signal.Signals) -> Iterator[None]:
    """Within, each statement that writes is followed by a signal, which says what it is by an exception."""

    def exit(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    def send(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            os.kill(os.getpid(), number)

    before = signal.signal(number, exit)
    event.listen(Engine, "after_cursor_execute", send)
    try:
        yield
        assert signal.getsignal(number) is exit
    finally:
        event.remove(Engine, "after_cursor_execute", send)
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_a_call_is_over(number: signal.Signals, run: Run, tmp_path: Path) -> None:
    with signalled_in_a_transaction(number), pytest.raises(SystemExit) as end:
        run.set_tags({"half": "done"})
    assert end.value.code == 128 + number
    (database,) = tmp_path.rglob("*.db")
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody holds it
    assert run.tags["half"] == "done"


def test_a_run_that_is_interrupted_in_a_call_says_so(run: Run, uri: str) -> None:
    run.log_metrics({"train/loss": 1.0}, step=1)
    with signalled_in_a_transaction(signal.SIGTERM), pytest.raises(SystemExit), run:
        run.flush()
    found = Run.find(run.id, uri)
    assert found.status == "KILLED"
    assert found.tags["failure"].startswith("interrupted by")
    assert found.metrics == {"train/loss": 1.0}


# How long is waited


def test_a_process_waits_for_a_store_once_and_not_with_each_call_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOURGLASS_STORE_TIMEOUT", "0.5")
    answers: Iterator[Exception | int] = iter(())
    tries = 0

    def call() -> int:
        nonlocal tries
        tries += 1
        if isinstance(answer := next(answers, ConnectionError("gone")), Exception):
            raise answer
        return answer

    for several in (True, False, False):
        tries = 0
        with pytest.raises(TrackingUnavailable, match="gone"):
            retried(call, "sqlite:///away")
        assert (tries > 1) is several
    assert retried(lambda: 42, "sqlite:///away") == 42  # a locked database can be read
    tries = 0
    with pytest.raises(TrackingUnavailable, match="gone"):
        retried(call, "sqlite:///away")
    assert tries == 1
    assert retried(lambda: 42, "sqlite:///away", again=False) == 42  # one that takes points is back
    answers = iter([ConnectionError("gone"), 42])
    assert retried(call, "sqlite:///away") == 42


def lock_timeout(run: Run) -> float:
    """Seconds that MLflow lets a statement of the run's wait for a lock."""

    def ask(once: Any) -> float:
        with once._tracking_client.store.ManagedSessionMaker() as session:
            return float(session.execute(text("PRAGMA busy_timeout")).scalar() / 1000)

    return float(run._client.retried(ask))


def test_a_try_waits_for_a_lock_no_longer_than_its_call(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lock_timeout(run) == 20.0
    with at_most(0.0):
        assert lock_timeout(run) == 2.0
    monkeypatch.setenv("HOURGLASS_STORE_TIMEOUT", "7.5")
    assert 2.0 <= lock_timeout(run) <= 7.5


def test_a_try_waits_for_an_answer_no_longer_than_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    monkeypatch.setenv(name, "30")
    assert retried(lambda: os.environ[name], "http://x") == "30"
    with at_most(0.0):
        assert retried(lambda: os.environ[name], "http://x") == "2"
    assert os.environ[name] == "30"


def test_a_database_that_stays_locked_is_told_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOURGLASS_STORE_TIMEOUT", "0")
    run.log_metrics({"train/loss": 1.0}, step=1)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingUnavailable, match=r"mlflow\.db cannot be used: database is locked$"):
            run.flush()
    run.flush()
    assert run.metrics == {"train/loss": 1.0}
