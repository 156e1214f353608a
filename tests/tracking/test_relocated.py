"""A project folder that gets another name: nothing of it is out of reach, and nothing is written to the old place."""

import sqlite3
import urllib.request
from pathlib import Path

import pytest

from hourglass.tracking import Run
from hourglass.tracking.relocated import beside

from .test_dashboard import _server


def test_what_lies_beside_the_database_counts_first(tmp_path: Path) -> None:
    database = tmp_path / "new place" / "mlflow.db"
    here = database.parent / "mlartifacts" / "e" / "1"
    old = "file:///nowhere%20now/mlartifacts/e/1"
    assert beside(old, database) == old  # nothing is here either: the message names the recorded place
    here.mkdir(parents=True)
    assert beside(old, database) == here.as_uri()
    assert beside("/nowhere now/mlartifacts/e/1", database) == here.as_uri()
    assert beside(here.as_uri(), database) == here.as_uri()
    for elsewhere in ("mlflow-artifacts:/e/1", "s3://bucket/mlartifacts/e/1", "file:///nowhere/other/e/1"):
        assert beside(elsewhere, database) == elsewhere
    # A run without files: where the old folder is, there; else where the others are.
    (tmp_path / "old" / "mlartifacts").mkdir(parents=True)
    assert beside(f"file://{tmp_path}/old/mlartifacts/e/2", database) == f"file://{tmp_path}/old/mlartifacts/e/2"
    assert beside("file:///nowhere/mlartifacts/e/2", database) == (here.parent / "2").as_uri()


def test_a_moved_store_is_read_resumed_served_and_grows_in_its_new_place(
    blank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "mlflow.db").write_bytes(blank.read_bytes())
    with Run.start(uri=f"sqlite:///{old}/mlflow.db", experiment="e", name="first", tags={}, params={}) as run:
        run.log_text("a: 1\n", "config.yaml")
    old.rename(new)
    from mlflow import MlflowClient
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()  # as in another process
    uri = f"sqlite:///{new}/mlflow.db"
    theirs = MlflowClient(uri, registry_uri=uri)  # what somebody else reads is left as it is
    assert theirs.get_run(run.id).info.artifact_uri.startswith(f"file://{old}/")
    found = Run.find("first", uri)
    assert found.read_config() == {"a": 1}

    with Run.resume(found.id, uri=uri) as resumed:
        resumed.log_text("b", "more.txt")
    with Run.start(uri=uri, experiment="e", name="second", tags={}, params={}) as second:
        second.log_text("c", "c.txt")
    assert (new / "mlartifacts" / "e" / run.id / "artifacts" / "more.txt").read_text() == "b"
    assert (new / "mlartifacts" / "e" / second.id / "artifacts" / "c.txt").read_text() == "c"
    assert not old.exists()
    with sqlite3.connect(new / "mlflow.db") as database:
        places = dict(database.execute("SELECT name, artifact_uri FROM runs"))
    assert places["first"].startswith(f"file://{old}/")  # others may know the folder by that name
    assert places["second"].startswith(f"file://{new}/")

    server, url = _server(uri)
    try:
        with urllib.request.urlopen(f"{url}/get-artifact?path=more.txt&run_id={run.id}", timeout=30) as answer:
            assert answer.read() == b"b"
    finally:
        server.kill()
        server.wait()

    (new / "mlartifacts").rename(tmp_path / "apart")
    utils._artifact_repos_cache.clear()
    with pytest.raises(ValueError, match=rf"holds no 'config.yaml', it holds nothing in {old}/mlartifacts/e/{run.id}/"):
        Run.find("first", uri).read_config()
