"""What Hourglass knows of MLflow is so in the MLflow that is installed: each item is seen at work."""

import logging
import math
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from hourglass.tracking import Run, mlflow_internals
from hourglass.tracking.retries import import_mlflow
from hourglass.tracking.store import open_client

PAGES = Path(mlflow.__file__).parent / "server/js/build"


@cache
def scripts(pattern: str = "*.js") -> str:
    """Those of its pages, as one text."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (PAGES / "static/js").glob(pattern))


@pytest.fixture
def client(uri: str) -> MlflowClient:
    """MLflow's own, with nothing of ours around it."""
    import_mlflow()
    return MlflowClient(uri, registry_uri=uri)


@pytest.fixture
def run_id(client: MlflowClient) -> str:
    return str(client.create_run(client.create_experiment("theirs")).info.run_id)


# Its environment


def test_each_setting_is_one_that_mlflow_reads() -> None:
    from mlflow import environment_variables

    for name in {**mlflow_internals.CLIENT_SETTINGS, **mlflow_internals.SERVER_SETTINGS}:
        assert getattr(environment_variables, name).name == name
    import_mlflow()
    assert environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0
    assert environment_variables.MLFLOW_SERVER_ENABLE_JOB_EXECUTION.type is bool


def test_the_timeout_is_read_before_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    import_mlflow()
    asked: list[float] = []

    def ask(_session: object, _method: str, _url: str, *, timeout: float, **_: Any) -> None:
        asked.append(timeout)
        raise requests.ConnectionError("gone")

    monkeypatch.setattr(requests.Session, "request", ask)
    for seconds in ("30", "2"):
        monkeypatch.setenv(mlflow_internals.REQUEST_TIMEOUT, seconds)
        with pytest.raises(MlflowException, match=mlflow_internals.LOST[0]):
            MlflowClient("http://127.0.0.1:9").get_run("0" * 32)
    assert asked == [30, 2]


def test_a_failed_call_is_logged_by_those_that_we_silence_and_said_behind_sqlalchemys_words(
    client: MlflowClient, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("DROP TABLE tags")
    for name in mlflow_internals.LOGGERS:
        caplog.set_level(logging.INFO, logger=name)
    with pytest.raises(MlflowException) as caught:
        client.create_run("0")
    assert caught.value.error_code == mlflow_internals.UNAVAILABLE[0]
    said = str(caught.value)
    for prefix in mlflow_internals.SQL_PREFIXES:
        assert re.match(prefix, said)
        said = re.sub(prefix, "", said)
    assert said.startswith("no such table: tags\n")
    from alembic import context, script

    assert {record.name for record in caplog.records} == {mlflow_internals.LOGGERS[0]}
    assert all(each.__name__.startswith(f"{mlflow_internals.LOGGERS[1]}.") for each in (context, script))


def test_the_slow_imports_are_made_by_the_first_use_of_a_store(uri: str) -> None:
    code = (
        "import sys; import hourglass.tracking.mlflow_internals;"
        "assert not {'mlflow', 'sqlalchemy', 'torch'} & set(sys.modules);"  # nor by knowing of it
        "from mlflow import MlflowClient; before = set(sys.modules); uri = sys.argv[1];"
        "client = MlflowClient(uri, registry_uri=uri); client.search_experiments(); client.search_registered_models();"
        "print(*set(sys.modules) - before)"
    )
    made = subprocess.run([sys.executable, "-c", code, uri], check=True, capture_output=True, text=True).stdout.split()
    assert {*mlflow_internals.SLOW_IMPORTS} - {*made} <= {"alembic.command"}  # which only an upgrade needs
    assert import_module("alembic.command").upgrade


# Its pages


def test_the_pages_keep_the_first_choices_under_these_keys() -> None:
    text = scripts("main.*.js")
    for key in mlflow_internals.FIRST_CHOICES:
        name, _, version = key.rpartition("_v")
        assert f'key:"{name}",version:{version}' in text
    assert mlflow_internals.FIRST_CHOICES["mlflow.workflowType_v1"].strip('"') in re.findall(r'"(\w+)"', text)


def test_the_caption_of_a_picture_has_this_class() -> None:
    name = mlflow_internals.CAPTION.removeprefix("css-")
    text = scripts()
    (start,) = [found.start() for found in re.finditer("image-plot.run-name-tooltip", text)]
    assert f'{{name:"{name}",styles:"overflow:hidden"}}' in text[start - 700 : start]


def test_the_start_page_has_a_head_before_its_scripts() -> None:
    page = (PAGES / "index.html").read_text(encoding="utf-8")
    before, found, after = page.partition(mlflow_internals.HEAD)
    assert found
    assert "<script" not in before
    assert "<script" in after


def test_the_pages_leave_out_tags_that_begin_so() -> None:
    assert re.search(rf'="{re.escape(mlflow_internals.HIDDEN)}",(\w)=(\w)=>!\2\.startsWith\(\w\)', scripts("main.*.js"))


# Its names


def test_tags_have_these_names() -> None:
    from mlflow.utils import mlflow_tags

    assert mlflow_tags.MLFLOW_PARENT_RUN_ID == mlflow_internals.PARENT
    assert [*mlflow_internals.SOURCE] == [mlflow_tags.MLFLOW_SOURCE_NAME, mlflow_tags.MLFLOW_SOURCE_TYPE]
    assert mlflow_tags.MLFLOW_DATASET_CONTEXT == mlflow_internals.DATA_CONTEXT
    assert mlflow_internals.PARENT in scripts("main.*.js")


def test_a_picture_of_mlflows_own_has_this_name_and_place_and_mark(client: MlflowClient, run_id: str) -> None:
    client.log_image(run_id, np.zeros((30, 10), np.uint8), key="a/b", step=3, timestamp=1234567890123, synchronous=True)
    found = sorted(Path(file.path) for file in client.list_artifacts(run_id, mlflow_internals.IMAGES))
    assert len(found) == len(mlflow_internals.IMAGE_ENDINGS)
    unique = re.search(r"[0-9a-f-]{36}", found[0].name)
    assert unique is not None
    name = mlflow_internals.image_name("a/b", step=3, milliseconds=1234567890123, unique=unique.group())
    assert mlflow_internals.read_image_name(name) == ("a/b", 3, 1234567890123)
    assert {path.name for path in found} == {f"{name}{ending}" for ending in mlflow_internals.IMAGE_ENDINGS}
    assert mlflow_internals.IMAGES_MARK.items() <= client.get_run(run_id).data.tags.items()


def test_a_file_with_this_beginning_is_not_listed(client: MlflowClient, run_id: str) -> None:
    client.log_text(run_id, "whole", "a.txt")
    folder = Path(client.download_artifacts(run_id, ""))
    (folder / f"{mlflow_internals.UNFINISHED}b.txt").write_text("wh")
    assert [file.path for file in client.list_artifacts(run_id)] == ["a.txt"]


# Its limits


def test_a_call_takes_as_much_as_we_give(client: MlflowClient, run_id: str) -> None:
    numbers = range(mlflow_internals.ENTRIES_PER_BATCH)
    client.log_batch(run_id, params=[Param(str(each), "") for each in numbers])
    client.log_batch(run_id, tags=[RunTag(str(each), "") for each in numbers])
    points = [Metric("loss", each, 0, each) for each in range(mlflow_internals.METRICS_PER_BATCH)]
    client.log_batch(run_id, metrics=points)
    digest = "d" * mlflow_internals.DIGEST_LENGTH
    client.log_inputs(run_id, [DatasetInput(Dataset("digits", digest, "hourglass", "{}"))])
    found = client.get_run(run_id)
    assert len(found.data.params) == len(numbers)
    assert len(client.get_metric_history(run_id, "loss")) == len(points)
    assert [each.dataset.digest for each in found.inputs.dataset_inputs] == [digest]


# Its errors


def test_an_answer_without_use_and_one_that_may_pass_are_told_by_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import_mlflow()
    answer = requests.Response()
    answer._content = b"no"
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: answer)
    for text, codes in ((mlflow_internals.REFUSED, (401, 403)), (mlflow_internals.LOST, (502, 503))):
        for code in codes:
            answer.status_code = code
            with pytest.raises(MlflowException) as caught:
                MlflowClient("http://127.0.0.1:9").get_run("0" * 32)
            assert any(each in str(caught.value) for each in text)


@pytest.mark.usefixtures("run_id")
def test_errors_have_these_codes_and_texts(client: MlflowClient) -> None:
    from mlflow.protos.databricks_pb2 import ErrorCode

    assert {*mlflow_internals.UNAVAILABLE} <= {*ErrorCode.keys()}
    with pytest.raises(MlflowException) as caught:
        client.create_experiment("theirs")
    assert caught.value.error_code == mlflow_internals.ALREADY_THERE
    with pytest.raises(MlflowException, match=f"^{mlflow_internals.NO_RUN}{'0' * 32} not found"):
        client.get_run("0" * 32)


def test_the_same_data_twice_is_told_by_the_name_of_the_table(client: MlflowClient, run_id: str, uri: str) -> None:
    client.log_inputs(run_id, [DatasetInput(Dataset("digits", "1", "hourglass", "{}"))])
    table = import_module("mlflow.store.tracking.dbmodels.models").SqlDataset.__table__
    assert table.name == "datasets"
    assert f'unique constraint "{table.primary_key.name}"'.startswith(mlflow_internals.SAME_DATA[1])
    path = uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(datasets)") if name != "dataset_uuid"]
        listed = ", ".join(columns)
        twice = f"INSERT INTO datasets (dataset_uuid, {listed}) SELECT 'other', {listed} FROM datasets"
        with pytest.raises(sqlite3.IntegrityError) as caught:
            database.execute(twice)
    assert mlflow_internals.SAME_DATA[0] in str(caught.value)


# Its database


def test_a_database_has_these_tables_and_says_its_version_here(uri: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        assert tables >= mlflow_internals.FIRST_TABLES
        version = f"SELECT {mlflow_internals.VERSION_COLUMN} FROM {mlflow_internals.VERSION_TABLE}"
        assert database.execute(version).fetchone() == (mlflow_internals.latest_version(),)


def test_rows_hold_what_the_client_says(client: MlflowClient, run_id: str) -> None:
    from sqlalchemy import select

    client.set_tag(run_id, "a", "b")
    known = mlflow_internals.tables()
    with mlflow_internals.database_of(client).ManagedSessionMaker() as session:
        row = session.execute(select(known.run).where(known.run.run_uuid == run_id)).scalar_one()
        run = client.get_run(run_id)
        assert (str(row.experiment_id), row.status, row.lifecycle_stage, row.end_time, row.artifact_uri) == (
            run.info.experiment_id,
            "RUNNING",
            "active",
            None,
            run.info.artifact_uri,
        )
        tag = select(known.tag.value).where(known.tag.run_uuid == run_id, known.tag.key == "a")
        assert session.execute(tag).scalars().all() == ["b"]
        experiment = session.get(known.experiment, int(run.info.experiment_id))
        assert experiment.artifact_location == client.get_experiment(run.info.experiment_id).artifact_location
        assert "artifact_location" in known.model.__table__.columns
    client.set_terminated(run_id, "KILLED", end_time=12345)
    with mlflow_internals.database_of(client).ManagedSessionMaker() as session:
        row = session.execute(select(known.run).where(known.run.run_uuid == run_id)).scalar_one()
        assert (row.status, row.end_time) == ("KILLED", 12345)


def test_a_transaction_of_its_sessions_is_kept_where_it_may_write(client: MlflowClient, run_id: str) -> None:
    known = mlflow_internals.tables()
    with mlflow_internals.database_of(client).ManagedSessionMaker(read_only=False) as session:
        session.connection().execute(known.tag.__table__.insert(), [{"run_uuid": run_id, "key": "a", "value": "b"}])
    assert client.get_run(run_id).data.tags["a"] == "b"


def test_a_server_is_no_database() -> None:
    import_mlflow()
    assert mlflow_internals.database_of(MlflowClient("http://127.0.0.1:9")) is None


def test_a_process_has_one_engine_for_a_database(client: MlflowClient, uri: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    engine = mlflow_internals.engine_of(client)
    assert mlflow_internals.first_engine(uri) is engine
    assert SqlAlchemyStore(uri, "mlartifacts").engine is engine  # as the server's is
    assert mlflow_internals.engine_of(open_client(uri).once) is engine


def test_each_session_begins_with_its_own_time_for_locks(client: MlflowClient) -> None:
    from sqlalchemy import event

    said: list[str] = []
    engine = mlflow_internals.engine_of(client)

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    try:
        client.search_experiments()
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    at = [number for number, each in enumerate(said) if each.startswith(mlflow_internals.SET_LOCK_TIMEOUT)]
    assert at
    assert at[0] < min(number for number, each in enumerate(said) if each.lstrip().startswith("SELECT"))


# Its server, and what it keeps for a process; `test_dashboard` sees the server at work


def test_functions_without_an_address_go_elsewhere_only_within(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    with mlflow_internals.tracking_at(run.uri):
        assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (run.uri, run.uri)
        assert mlflow.get_run(run.id).info.run_name == "first"
    assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"
    assert "MLFLOW_REGISTRY_URI" not in os.environ


def test_an_infinite_metric_is_read_as_it_was_logged(client: MlflowClient, run_id: str) -> None:
    for name, value in (("up", math.inf), ("down", -math.inf), ("one", 1.0)):
        client.log_metric(run_id, name, value)
    found = client.get_run(run_id).data.metrics
    assert math.isfinite(found["up"])
    assert {name: mlflow_internals.meant(value) for name, value in found.items()} == {
        "up": math.inf,
        "down": -math.inf,
        "one": 1.0,
    }
