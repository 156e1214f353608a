import sqlite3
from typing import Any

import pytest

from hourglass.tracking import Run, search_runs
from hourglass.tracking.search import create_run, experiment_id
from hourglass.tracking.store import open_client


def test_a_search_finds_more_than_a_page(run: Run, uri: str) -> None:
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(runs)") if name != "run_uuid"]
        kept = ", ".join(columns)
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100)"
        copies = f"{numbers} SELECT printf('%032x', i), {kept} FROM n, (SELECT * FROM runs WHERE run_uuid = ?)"
        database.execute(f"INSERT INTO runs (run_uuid, {kept}) {copies}", [run.id])
        tags = f"{numbers} SELECT 'kind', 'copy', printf('%032x', i) FROM n"
        database.execute(f"INSERT INTO tags (key, value, run_uuid) {tags}")
    database.close()
    found = search_runs(uri, "hourglass", "tags.kind = 'copy'")
    assert {each.info.run_id for each in found} == {f"{number:032x}" for number in range(1, 2101)}
    assert len(found) == 2100
    assert len(search_runs(uri, None, "attributes.status = 'RUNNING'")) == 2101
    assert search_runs(uri, "nowhere", "") == []


def test_a_run_whose_making_was_not_heard_of_is_not_made_twice(uri: str) -> None:
    client = open_client(uri)
    place = experiment_id(client, uri, "hourglass")

    class Deaf:
        """The real client, over a line that breaks once between question and answer."""

        def __init__(self, once: Any) -> None:
            self._once = once
            self.broken = False

        def __getattr__(self, name: str) -> Any:
            return getattr(self._once, name)

        def create_run(self, *arguments: Any, **keywords: Any) -> Any:
            made = self._once.create_run(*arguments, **keywords)
            if not self.broken:
                self.broken = True
                raise ConnectionError("gone")
            return made

    client.once = Deaf(client.once)
    entity = create_run(client, place, "only", {"a": "b"})
    assert client.once.broken
    (found,) = search_runs(uri, "hourglass", "")
    assert found.info.run_id == entity.info.run_id
    assert (found.info.run_name, found.data.tags["a"]) == ("only", "b")


def test_an_experiment_is_made_once_beside_the_database_and_a_deleted_one_is_refused(uri: str) -> None:
    client = open_client(uri)
    first = experiment_id(client, uri, "my/study")
    assert experiment_id(client, uri, "my/study") == first
    folder = uri.removeprefix("sqlite:///").removesuffix("/mlflow.db")
    assert client.get_experiment(first).artifact_location == f"file://{folder}/mlartifacts/my~study"
    client.delete_experiment(first)
    with pytest.raises(ValueError, match=r"tracking\.experiment=my/study was deleted"):
        experiment_id(client, uri, "my/study")
