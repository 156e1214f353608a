"""What MLflow's client can't ask of a database without reading whole runs, or write without a call for each: in SQL.

Only for stores that are databases; a server answers through the client alone. The tables are MLflow's own
(`mlflow_internals.Tables`).
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from hourglass.tracking import mlflow_internals
from hourglass.tracking.machine import IDENTITY, PROCESS_START, machine_tag
from hourglass.tracking.retries import RetryingClient

_STARTS = [name for name in IDENTITY if name.endswith("process_start")]
_AT_ONCE = 500  # numbers of runs in a statement: databases limit how many values one may hold


class Running(NamedTuple):
    """A run that says RUNNING."""

    run_id: str
    tags: dict[str, str]
    """Which process writes it: see `machine.IDENTITY`."""


def is_database(client: RetryingClient) -> bool:
    """Whether the store is a database that this process opens itself."""
    return mlflow_internals.database_of(client.once) is not None


def running(client: RetryingClient, experiment_id: str) -> list[Running]:
    """The runs of an experiment that say RUNNING."""
    from sqlalchemy import select

    table = mlflow_internals.tables()

    def read(once: Any) -> list[Running]:
        query = (
            select(table.run.run_uuid, table.tag.key, table.tag.value)
            .join(table.tag, table.tag.run_uuid == table.run.run_uuid)
            .where(table.run.experiment_id == int(experiment_id), table.run.status == "RUNNING")
            .where(table.run.lifecycle_stage == "active", table.tag.key.in_(IDENTITY))
        )
        found: dict[str, dict[str, str]] = {}
        with mlflow_internals.database_of(once).ManagedSessionMaker() as session:
            for run_id, key, value in session.execute(query):
                found.setdefault(run_id, {})[key] = value
        return [Running(run_id, tags) for run_id, tags in found.items()]

    return client.retried(read)


def mark_killed(client: RetryingClient, dead: Mapping[str, tuple[dict[str, str], str]]) -> list[str]:
    """End runs as KILLED in one transaction, unless they ended or were taken up by another process meanwhile.

    Args:
        client: of a database.
        dead: by the ids of the runs the tags of the process that wrote them, and what is to be their tag `failure`.

    Returns:
        the ids of those that were marked.
    """
    from sqlalchemy import bindparam, delete, exists, insert, or_, select, update

    table = mlflow_internals.tables()

    def write(once: Any) -> list[str]:
        now = int(time.time() * 1000)
        same = (
            exists()
            .where(table.tag.run_uuid == bindparam("run"), or_(*(table.tag.key == name for name in _STARTS)))
            .where(table.tag.value == bindparam("start"))
        )
        mark = update(table.run).where(table.run.run_uuid == bindparam("run"), table.run.status == "RUNNING", same)
        # The connection, not the session: nothing of theirs is loaded, and many rows go in one call.
        with mlflow_internals.database_of(once).ManagedSessionMaker(read_only=False) as session:
            connection = session.connection()
            started = [{"run": run_id, "start": machine_tag(tags, PROCESS_START)} for run_id, (tags, _) in dead.items()]
            connection.execute(mark.values(status="KILLED", end_time=now), started)
            marked: list[str] = []
            for at in range(0, len(dead), _AT_ONCE):
                asked = table.run.run_uuid.in_(list(dead)[at : at + _AT_ONCE])
                ended = select(table.run.run_uuid).where(asked, table.run.status == "KILLED", table.run.end_time == now)
                marked += connection.execute(ended).scalars()
            rows = [{"run_uuid": run_id, "key": "failure", "value": dead[run_id][1]} for run_id in marked]
            if rows:
                old = delete(table.tag).where(table.tag.run_uuid == bindparam("run"), table.tag.key == "failure")
                connection.execute(old, [{"run": run_id} for run_id in marked])
                connection.execute(insert(table.tag), rows)
        return marked

    return client.retried(write)
