"""Where runs are kept: one MLflow store, named by a URI, readied before anything writes to it.

The default store is a file, ``sqlite:///<current directory>/mlflow.db``, with its artifacts beside it in
``mlartifacts/``, so that runs started from any directory with the same URI share both. Any MLflow server or
database URI works the same way.

A new sqlite file is built under a temporary name and renamed when whole: processes that meet an empty
database each try to create its tables, and the file stays broken for good. It is kept in write-ahead-log
mode, in which readers never block the writer; writers queue, and wait instead of failing.
"""

import os
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from hourglass.errors import HourglassError
from hourglass.tracking.patience import TrackingUnavailable, one_line, patiently

_SERVERS = ("http://", "https://")
_DATABASES = ("postgresql", "mysql", "mssql")


def resolve_uri(uri: str | None) -> str:
    """``uri``, else ``MLFLOW_TRACKING_URI``, else ``sqlite:///<current directory>/mlflow.db``.

    A relative sqlite path is made absolute, because a job of a sweep may run in another directory.

    Raises:
        TrackingUnavailable: the URI names no sqlite file, server or database.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if uri.startswith("sqlite:///") and uri not in ("sqlite:///", "sqlite:///:memory:"):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).expanduser().absolute()}"
    if uri.startswith((*_SERVERS, *_DATABASES)):
        return uri.rstrip("/")
    raise TrackingUnavailable(
        "tracking.uri must be sqlite:///FILE, http(s)://HOST:PORT or the URI of a postgresql, mysql or mssql "
        f"database, got {uri!r}"
    )


def sqlite_path(uri: str) -> Path | None:
    """The database file of a resolved sqlite URI; None for a server or another database."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def prepare(uri: str) -> None:
    """Makes the store ready, once, before any worker opens it.

    A sqlite file is created if missing and migrated if it was written by an older MLflow, by one process at a
    time (file lock); a server is asked for a sign of life.

    Raises:
        TrackingUnavailable: a file that is no MLflow database, a folder that can't be written, a server that
            does not answer within 3 s.
    """
    path = sqlite_path(uri)
    if uri.startswith(_SERVERS):
        _knock(uri)
    elif path is not None:
        try:
            with _locked(path):
                if not path.exists() or path.stat().st_size == 0:
                    _create(path)
                _migrate(path)
        except OSError as error:
            raise TrackingUnavailable(f"tracking.uri={uri} cannot be used: {one_line(error)}") from error


def open_client(uri: str) -> Any:
    """An ``MlflowClient`` on a store that exists.

    Raises:
        TrackingUnavailable: the database is missing or broken, the server does not answer.
    """
    path = sqlite_path(uri)
    if path is None:
        prepare(uri)
    else:
        _schema_version(path)  # MLflow itself would retry on a broken file for minutes
    return _mlflow().MlflowClient(uri, registry_uri=uri)


def search_runs(uri: str, experiment: str | None, condition: str) -> list[Any]:
    """MLflow's own records of the runs that meet a condition in its search syntax, latest first.

    Args:
        uri: the resolved tracking URI.
        experiment: name of an experiment; None: all.
        condition: as MLflow's search takes it.
    """
    client = open_client(uri)
    places = [
        each.experiment_id for each in client.search_experiments() if experiment is None or each.name == experiment
    ]
    if not places:
        return []
    runs: list[Any] = []
    token = None
    while True:
        page = patiently(
            partial(
                client.search_runs,
                places,
                condition,
                max_results=1000,
                order_by=["start_time DESC"],
                page_token=token,
            ),
            uri,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def experiment_id(client: Any, uri: str, name: str) -> str:
    """The id of the experiment ``name``, which is created if missing; several processes may ask at once.

    Raises:
        HourglassError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    def find_or_create() -> str:
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, _artifact_location(uri, name)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)  # another process was faster
        if found.lifecycle_stage != "active":
            raise HourglassError(f"tracking.experiment={name} was deleted: restore it or choose another name")
        return str(found.experiment_id)

    return patiently(find_or_create, uri)


@cache
def _mlflow() -> Any:
    # Read by MLflow when it is imported or calls: no reports to its makers, and short attempts, because
    # `patiently` does the waiting and a stalled call would stall the training with it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import logging

    import mlflow

    # What it logs on a failed call is said again, in one line, by our own errors.
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def _artifact_location(uri: str, experiment: str) -> str | None:
    # Beside a local database; elsewhere the server decides.
    path = sqlite_path(uri)
    return None if path is None else (path.parent / "mlartifacts" / experiment.replace("/", "~")).as_uri()


def _knock(uri: str) -> None:
    try:
        urllib.request.urlopen(f"{uri}/health", timeout=3).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:  # a server that refuses the page is there; a gateway without its server is not
            raise TrackingUnavailable(f"tracking.uri={uri} answers with error {error.code}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingUnavailable(
            f"tracking.uri={uri} cannot be reached ({reason}): start the server or choose tracking.uri=sqlite:///FILE"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(path: Path) -> None:
    _mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import Engine, event

    def without_syncing(connection: sqlite3.Connection, _record: Any) -> None:
        # A draft need not survive a power cut, and the disk is the slow part of creating some hundred tables.
        connection.execute("PRAGMA synchronous = OFF")

    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    event.listen(Engine, "connect", without_syncing)
    try:
        SqlAlchemyStore(f"sqlite:///{draft}", str(path.parent / "mlartifacts")).engine.dispose()
        with closing(sqlite3.connect(draft)) as database:
            database.execute("PRAGMA journal_mode = WAL")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        event.remove(Engine, "connect", without_syncing)
        for leftover in path.parent.glob(f"{draft.name}*"):
            leftover.unlink()


def _migrate(path: Path) -> None:
    version = _schema_version(path)
    _mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.utils import _get_latest_schema_revision, _upgrade_db, create_sqlalchemy_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        if version != _get_latest_schema_revision():
            engine = create_sqlalchemy_engine(f"sqlite:///{path}")
            _upgrade_db(engine)
            engine.dispose()
        with closing(sqlite3.connect(path, timeout=20)) as database:
            database.execute("PRAGMA journal_mode=WAL")
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} cannot be migrated: {one_line(error)}") from error


def _schema_version(path: Path) -> str:
    if not path.is_file():
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path}: there is no such database")
    try:
        with closing(sqlite3.connect(path, timeout=20)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if not {"alembic_version", "experiments", "runs", "metrics"} <= tables:
                raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} is not a whole MLflow database")
            (version,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise TrackingUnavailable(f"tracking.uri=sqlite:///{path} cannot be read: {one_line(error)}") from error
    return str(version)
