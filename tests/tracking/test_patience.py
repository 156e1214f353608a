"""A signal meets a call to the store in the middle of a transaction: the call is whole, then the signal is heard."""

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from hourglass.tracking import Run


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
