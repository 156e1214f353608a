"""Where runs are kept: one MLflow store, named by a URI, readied before anything writes to it.

The default store is a file, `sqlite:///<current directory>/mlflow.db`, with its artifacts beside it in
`mlartifacts/`, so that runs started from any directory with the same URI share both. Any MLflow server or
database URI works the same way; the artifacts of a database that is not a file are below the current directory.
"""

import os
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

from hourglass.system import passwords
from hourglass.system.passwords import redacted
from hourglass.tracking.mlflow_internals import create_store, engine_of
from hourglass.tracking.relocated import follow
from hourglass.tracking.retries import RetryingClient, TrackingUnavailable, import_mlflow, one_line, retried
from hourglass.tracking.sqlite_file import (
    identify,
    limit_locks,
    make_ready,
    read_again,
    read_state,
    reopen,
    write_nothing,
)

_SERVERS = ("http://", "https://")
_DATABASES = ("postgresql", "mysql", "mssql")

_expected: set[str] = set()
_reached: set[str] = set()
"""Servers and databases that have answered this process: it then waits for them when they are away."""


def resolve_uri(uri: str | None) -> str:
    """`uri`, else `MLFLOW_TRACKING_URI`, else `sqlite:///<current directory>/mlflow.db`.

    A relative sqlite path is made absolute, because a job of a sweep may run in another directory.

    Raises:
        TrackingUnavailable: the URI names no sqlite file, server or database, or its password is not known here.
    """
    uri = uri or os.environ.get(passwords.VARIABLE) or "sqlite:///mlflow.db"
    if uri.startswith("sqlite:///") and uri not in ("sqlite:///", "sqlite:///:memory:"):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).expanduser().absolute()}"
    if uri.startswith((*_SERVERS, *_DATABASES)):
        known = passwords.whole(uri.rstrip("/"))
        if known is None:
            raise TrackingUnavailable(
                f"tracking.uri={uri}: its password is not known here; give the whole address, or set"
                f" {passwords.VARIABLE} to it"
            )
        return known
    raise TrackingUnavailable(
        "tracking.uri must be sqlite:///FILE, http(s)://HOST:PORT or the URI of a postgresql, mysql or mssql "
        f"database, got {redacted(uri)!r}"
    )


def sqlite_path(uri: str) -> Path | None:
    """The database file of a resolved sqlite URI; None for a server or another database."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def initialise_store(uri: str) -> None:
    """Makes the store ready, once, before any worker opens it: a person's first use of it, told at once if it fails.

    A sqlite file is created if missing and migrated if it was written by an older MLflow, by one process at a
    time; a server is asked for a sign of life; another database gets its tables.

    Raises:
        TrackingUnavailable: a file that is no MLflow database, a folder that can't be written, a server that
            does not answer within 3 s, a database that refuses.
    """
    path = sqlite_path(uri)
    if path is not None:
        make_ready(path)
    elif uri not in _reached:
        if uri.startswith(_SERVERS):
            _knock(uri)
        else:
            _make_tables(uri)
        _reached.add(uri)


def open_client(uri: str) -> RetryingClient:
    """An `MlflowClient` on a store that exists, whose calls wait while it is away.

    Raises:
        TrackingUnavailable: the database file is missing or broken, and was not expected (`expect`) to be there.
    """
    path = sqlite_path(uri)
    if path is not None:
        if uri in _expected:
            retried(partial(read_again, path), uri)
        else:
            read_state(path)
        client = retried(partial(import_mlflow().MlflowClient, uri, registry_uri=uri), uri)
        follow(engine_of(client))
        limit_locks(client)
        return RetryingClient(client, uri, identify=partial(identify, path), reopen=partial(reopen, path))
    address = passwords.for_requests(uri) if uri.startswith(_SERVERS) else uri
    make = partial(import_mlflow().MlflowClient, address, registry_uri=address)  # which opens a database
    return RetryingClient(retried(make, uri), uri)


def expect(uri: str) -> None:
    """From now on this process waits for that store: it has been there."""
    _expected.add(uri)


def check(uri: str) -> None:
    """Whether a process that opens the store now can write to it.

    Raises:
        TrackingUnavailable: it can't, and the wait was in vain.
    """
    path = sqlite_path(uri)
    if path is not None:
        retried(partial(write_nothing, path), uri)


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where the files of an experiment go, as a URI; None where a server decides."""
    if uri.startswith(_SERVERS):
        return None
    path = sqlite_path(uri)
    folder = Path.cwd() if path is None else path.parent
    return (folder / "mlartifacts" / experiment.replace("/", "~")).as_uri()


def _knock(uri: str) -> None:
    try:
        address, headers = passwords.apart(uri)
        request = urllib.request.Request(f"{address}/health", headers=headers)  # noqa: S310 - http(s): see `resolve_uri`
        urllib.request.urlopen(request, timeout=3).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code >= 500:  # a server that refuses the page is there; a gateway without its server is not
            raise TrackingUnavailable(f"tracking.uri={redacted(uri)} answers with error {error.code}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingUnavailable(
            f"tracking.uri={redacted(uri)} cannot be reached ({reason}): start the server or choose "
            "tracking.uri=sqlite:///FILE"
        ) from error


def _make_tables(uri: str) -> None:
    import_mlflow()
    import sqlalchemy
    from mlflow.exceptions import MlflowException

    try:
        engine = sqlalchemy.create_engine(uri)
        engine.connect().close()  # MLflow would try again for minutes
        engine.dispose()
        create_store(uri, (Path.cwd() / "mlartifacts").as_uri())
    except ImportError as error:
        raise TrackingUnavailable(
            f"tracking.uri={redacted(uri)} cannot be used: {error}; install its driver and name it, as in "
            "postgresql+psycopg2://"
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, MlflowException) as error:
        raise TrackingUnavailable(f"tracking.uri={redacted(uri)} cannot be used: {one_line(error)}") from error
