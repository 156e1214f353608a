"""What Hourglass knows of MLflow, and of SQLAlchemy below it, that neither promises: each item with its reason.

Everything else goes through MLflow's documented client. `tests/tracking/test_mlflow_internals.py` exercises each item
on the MLflow that is installed, so that an upgrade which changes one fails there. Importing this module doesn't import
MLflow.
"""

import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

# Its environment

REQUEST_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
"""In seconds, read before each request, so that it can be shortened for one (`retries`)."""
CLIENT_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # no reports to its makers
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # single, short attempts: a stalled call would stall the training with it
    REQUEST_TIMEOUT: "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # of a file that is far away
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # at the end of a run: a training says itself where to look
}
"""What its client reads when it is first needed; what a person has set counts first."""
SERVER_SETTINGS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""What its server reads when it starts: no processes beside it."""
LOGGERS = ("mlflow.store.db.utils", "alembic")
"""Who logs a failed call, which our own errors say again in one line."""
SLOW_IMPORTS = (
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
)
"""What it imports only when a store is first used: seconds, in every process that doesn't have them yet."""

# Its pages

FIRST_CHOICES = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",  # else the first page opens the panel by itself
}
"""Keys of the browser's local storage, and what they hold where training runs are compared."""
VIEW: dict[str, Any] = {
    "searchFilter": "",
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "columnOrder": [],
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "runsHiddenMode": "FIRST_20_RUNS",
}
"""The state of an experiment's table, but for columns and order. It is taken as a whole, so no key may lack."""


def view_key(experiment_id: str) -> str:
    """Where the browser keeps the state of an experiment's table."""
    return f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment_id}"]-ReactComponentState'


NAME_COLUMN = "attributes.`Run Name`"
FIRST_COLUMNS = (NAME_COLUMN, "runDateAndNestInfo", "duration")
"""What the table calls the columns that it always has: name, when (and the tree), how long."""
CAPTION = "css-d3v9zr"
"""The class around the name and the params above a picture. It shows all params: the whole configuration would push the
picture out of its card. They stay in the tooltip."""
HEAD = "<head>"
"""Of its start page: what stands right behind comes before its own scripts."""
HIDDEN = "mlflow."
"""Tags that begin so are not shown."""

# Its names

PARENT = "mlflow.parentRunId"
"""The tag by which a run names its parent, and the pages nest them."""
SOURCE = {"mlflow.source.name": "hourglass", "mlflow.source.type": "LOCAL"}
"""The tags of what made a run."""
NOTE = "mlflow.note.content"
"""The tag that the pages show as a description, in Markdown."""
DATA_CONTEXT = "mlflow.data.context"
"""The tag that says what a data set was used for."""
IMAGES = "images"
"""The folder of a run where the pages look for pictures."""
IMAGES_MARK = {"mlflow.loggedImages": "True"}
"""The tag by which they know that a run has some."""
UNFINISHED = ".artifact.uploading."
"""Lists of files leave out what begins so."""


def image_name(key: str, *, step: int, milliseconds: int, unique: str) -> str:
    """A picture's name without its ending, from which the pages read key, step and time."""
    return f"{key.replace('/', '~')}+step+{step}+timestamp+{milliseconds}+{unique}"


def read_image_name(name: str) -> tuple[str, int, int]:
    """Key, step and time in milliseconds of a picture's name."""
    key, _, step, _, milliseconds, _ = name.rsplit("+", 5)
    return key.replace("~", "/"), int(step), int(milliseconds)


IMAGE_ENDINGS = (".png", "+compressed.webp")
"""Of the whole picture, and of the small one for the overview."""


def artifact_link(path: str, *, run_id: str) -> str:
    """The address of a run's file, from inside a description."""
    return f"get-artifact?path={quote(path, safe='')}&run_uuid={run_id}"


def page_link(experiment_id: str, run_id: str, *, artifact: str = "") -> str:
    """The address of a run's page, or of one of its files there, behind that of the dashboard."""
    file = f"/artifacts/{quote(artifact)}" if artifact else ""
    return f"#/experiments/{quote(experiment_id, safe='')}/runs/{run_id}{file}"


# Its limits

ENTRIES_PER_BATCH = 100
"""The most params or tags that it takes in one call."""
LONGEST_TAG = 8000
"""The most characters of a tag."""
METRICS_PER_BATCH = 1000
"""The most points."""
DIGEST_LENGTH = 36
"""The most characters that it keeps of a data set's digest."""


def meant(value: float) -> float:
    """A metric as it was logged: its stores keep an infinite one as the largest number that there is."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value


# Its errors

UNAVAILABLE = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
"""Codes of errors that may pass. A database's trouble has the first, also where a table is missing."""
ALREADY_THERE = "RESOURCE_ALREADY_EXISTS"
"""The code where another process was faster in making an experiment."""
REFUSED = ("failed with error code 401", "failed with error code 403")
"""In the text where a server wants another name or password: only the text tells."""
LOST = ("failed with exception", "failed with error code 50")
"""In the text where a connection is lost, which it reports as an internal error, or a gateway's server is away."""
NO_RUN = "Run with id="
"""In the text where a run is not found: another database has taken the place of the one that a run began in."""
SAME_DATA = ("failed: datasets.", 'unique constraint "dataset', "for key 'datasets.")
"""In the text where two jobs record the same data for the first time: of SQLite, PostgreSQL and MySQL."""
SQL_PREFIXES = (r"^\(raised as a result of [^\n]*\n", r"^\(\w+\.\w+\) ")
"""What SQLAlchemy puts before the message of a database."""

# Its database

VERSION_TABLE, VERSION_COLUMN = "alembic_version", "version_num"
"""Where a database holds the version of its tables."""
FIRST_TABLES = {VERSION_TABLE, "experiments", "runs", "metrics"}
"""What any MLflow database has."""
SET_LOCK_TIMEOUT = "PRAGMA busy_timeout"
"""How the statement begins that each of its sessions on SQLite starts with: 20 s for each lock, however often."""


class Tables(NamedTuple):
    """The classes of rows that are read or written without its client."""

    run: Any
    """Columns: `run_uuid`, `experiment_id`, `status`, `end_time`, `lifecycle_stage`, `artifact_uri`."""
    tag: Any
    """Columns: `run_uuid`, `key`, `value`."""
    experiment: Any
    """Columns: `artifact_location`."""
    model: Any
    """Columns: `artifact_location`."""


def tables() -> Tables:
    """See `Tables`."""
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun, SqlTag

    return Tables(SqlRun, SqlTag, SqlExperiment, SqlLoggedModel)


def database_of(client: Any) -> Any:
    """What a client asks where the store is a database that this process opens itself; None where a server answers.

    It has `ManagedSessionMaker`, a context manager of sessions of SQLAlchemy's which end as transactions.
    """
    store = client._tracking_client.store
    return store if hasattr(store, "ManagedSessionMaker") else None


def engine_of(client: Any) -> Any:
    """SQLAlchemy's engine of a client's database: the one of all clients, and of the server, of this process."""
    return client._tracking_client.store.engine


def first_engine(uri: str) -> Any:
    """The same before there is a client."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return SqlAlchemyStore._get_or_create_engine(uri)


def create_tables(uri: str) -> None:
    """Make MLflow's tables in an empty database."""
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(first_engine(uri))


def create_store(uri: str, artifacts: str) -> None:
    """Make what a database lacks of MLflow's: tables, and the experiment that there always is."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, artifacts).engine.dispose()


def upgrade_tables(uri: str) -> None:
    """What `mlflow db upgrade` does, in this process."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    _upgrade_db(engine)
    engine.dispose()


def latest_version() -> str:
    """Of the tables, as this MLflow has them; it reads every migration that there ever was."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


# Its server, and what it keeps for a process


def server_application(uri: str, artifacts: Path) -> tuple[Any, str]:
    """MLflow's server as an ASGI application of this process, and its start page.

    Args:
        uri: of its store.
        artifacts: where the files of runs are that send them to it.
    """
    import uvicorn  # noqa: F401 - MLflow protects itself against foreign hosts only if it sees a server imported

    os.environ.update(SERVER_SETTINGS)
    from mlflow.server import app, constants

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = uri
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = artifacts.as_uri()
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside MLflow
        from mlflow.server.fastapi_app import create_fastapi_app
    return create_fastapi_app(app), (Path(app.static_folder) / "index.html").read_text(encoding="utf-8")


@contextmanager
def tracking_at(address: str) -> Iterator[None]:
    """Within, MLflow's functions that take no address go to this one.

    MLflow keeps it for the process, even in the environment, by which the next run would go.
    """
    import mlflow

    before = {key: os.environ.get(key) for key in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(mlflow.get_tracking_uri())
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
