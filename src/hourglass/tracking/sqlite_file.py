"""A store in a file: made whole before anything opens it, and kept in write-ahead-log mode.

A new file is built under a temporary name and renamed when whole: processes that meet an empty database each try to
create its tables, and the file stays broken for good. In write-ahead-log mode readers never block the writer; writers
queue, and wait instead of failing.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from hourglass.system.cache import cache_dir, kept
from hourglass.tracking import mlflow_internals
from hourglass.tracking.retries import Gone, TrackingUnavailable, import_mlflow, longest_try, one_line, retried

_LONGEST_LOCK = 20.0  # seconds that one try waits while others write


class State(NamedTuple):
    """What the file says of itself."""

    version: str
    """Of MLflow's tables."""
    mode: str
    """How it keeps its journal."""


def make_ready(path: Path) -> None:
    """Creates the file if missing and migrates one that an older MLflow wrote; one process at a time (file lock).

    Raises:
        TrackingUnavailable: a file that is no MLflow database, a folder that can't be written.
    """
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _locked(path):
            if not path.exists() or path.stat().st_size == 0:
                _create(path)
            _migrate(path)
    except (OSError, MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} cannot be used: {one_line(error)}") from error


def read_state(path: Path) -> State:
    """Looks into the file, because MLflow itself would retry on a broken one for minutes.

    Raises:
        TrackingUnavailable: the file is missing, broken or something else.
    """
    if not path.is_file():
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path}: there is no such database")
    try:
        return retried(partial(_state, path), f"sqlite:///{path}")
    except sqlite3.Error as error:
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} cannot be read: {one_line(error)}") from error


def read_again(path: Path) -> None:
    """The same of a file that was there.

    Raises:
        Gone: it is missing, broken or something else.
    """
    try:
        read_state(path)
    except TrackingUnavailable as error:
        raise Gone(str(error).removeprefix(f"tracking.uri=sqlite:///{path}").removeprefix(": ")) from error


def identify(path: Path) -> tuple[int, int]:
    """Which file it is: another one under the same name has another number.

    Raises:
        Gone: there is none, or it is empty.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise Gone("there is no such database") from error
    if not found.st_size:
        raise Gone("the database is empty")
    return found.st_dev, found.st_ino


def reopen(path: Path, client: Any) -> None:
    """Let a client of MLflow's turn to the file that has taken the place of the one it opened.

    Raises:
        Gone: that is no whole database.
    """
    read_again(path)
    mlflow_internals.engine_of(client).dispose()


def limit_locks(client: Any) -> None:
    """Let a client of MLflow's wait for a lock no longer than the call does which it is part of.

    Itself it waits 20 s for each, as often as it is asked.
    """
    from sqlalchemy import event

    engine = mlflow_internals.engine_of(client)
    if not event.contains(engine, "before_cursor_execute", _limit_lock):
        event.listen(engine, "before_cursor_execute", _limit_lock, retval=True)


def _limit_lock(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    if statement.startswith(mlflow_internals.SET_LOCK_TIMEOUT):
        statement = f"{mlflow_internals.SET_LOCK_TIMEOUT} = {1000 * longest_try(_LONGEST_LOCK):.0f}"
    return statement, parameters


def write_nothing(path: Path) -> None:
    """What any writer begins with.

    Raises:
        Gone: the file is missing, broken or something else.
        sqlite3.Error: nobody can write to it.
    """
    identify(path)
    read_again(path)
    with closing(sqlite3.connect(path, timeout=longest_try(5.0), isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def _state(path: Path) -> State:
    with _unreadable_told(path), closing(sqlite3.connect(path, timeout=longest_try(_LONGEST_LOCK))) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if mlflow_internals.FIRST_TABLES - tables:
            raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} is not a whole MLflow database")
        version_of = f"SELECT {mlflow_internals.VERSION_COLUMN} FROM {mlflow_internals.VERSION_TABLE}"  # noqa: S608
        (version,) = database.execute(version_of).fetchone()
        (mode,) = database.execute("PRAGMA journal_mode").fetchone()
    return State(str(version), str(mode))


@contextmanager
def _unreadable_told(path: Path) -> Iterator[None]:
    """A file that is broken is told at once; one that is locked is waited for."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except sqlite3.Error as error:
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} cannot be read: {one_line(error)}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(path: Path) -> None:
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        draft.write_bytes(_tables(draft))
        with _unsynced(draft) as uri:
            mlflow_internals.create_store(uri, str(path.parent / "mlartifacts"))
        with closing(sqlite3.connect(draft)) as database:
            database.execute("PRAGMA journal_mode = WAL")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        for leftover in path.parent.glob(f"{draft.name}*"):
            leftover.unlink()


def _tables(draft: Path) -> bytes:
    """A database with MLflow's tables and nothing in them.

    MLflow makes them by all migrations that there ever were, which takes half a second or more: so they are kept, for
    this version of it, beside the data sets.

    Args:
        draft: a file that is free, to make them in.
    """

    def made() -> bytes:
        with _unsynced(draft) as uri:
            mlflow_internals.create_tables(uri)
        return draft.read_bytes()

    def read(path: Path) -> bytes:
        with closing(sqlite3.connect(path)) as database:
            try:
                (found,) = database.execute("PRAGMA integrity_check").fetchone()
            except sqlite3.Error as error:
                raise ValueError(error) from error
        if found != "ok":
            raise ValueError(found)
        return path.read_bytes()

    version = import_mlflow().__version__
    path = cache_dir() / "mlflow" / f"tables-{version}.db"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return kept(path, read=read, compute=made, write=Path.write_bytes)
    except OSError:  # a data folder that nobody may write to, or a full one
        draft.unlink(missing_ok=True)
        return made()


@contextmanager
def _unsynced(draft: Path) -> Iterator[str]:
    """Within, MLflow's engine for the address of a draft doesn't wait for the disk.

    A draft need not survive a power cut, and the disk is the slow part of creating some hundred tables.
    """
    from sqlalchemy import event

    def without_syncing(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    uri = f"sqlite:///{draft}"
    engine = mlflow_internals.first_engine(uri)
    event.listen(engine, "connect", without_syncing)
    engine.dispose()  # with the connections that it has already
    try:
        yield uri
    finally:
        engine.dispose()


def _migrate(path: Path) -> None:
    state = read_state(path)
    if state.version != _latest_version():
        mlflow_internals.upgrade_tables(f"sqlite:///{path}")
    if state.mode != "wal":
        with closing(sqlite3.connect(path, timeout=_LONGEST_LOCK)) as database:
            database.execute("PRAGMA journal_mode = WAL")


_latest_version = cache(mlflow_internals.latest_version)
