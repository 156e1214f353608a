"""A store that was moved or renamed: the files of its runs are found beside its database.

MLflow records absolute places. What lies in `mlartifacts/` beside the database counts before a place elsewhere that is
recorded; the database stays as it is, because another machine may know the same folder by its other name.
"""

from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

FOLDER = "mlartifacts"


def beside(recorded: str, database: Path) -> str:
    """Where files are of which a database says that they are at `recorded`."""
    path = unquote(urlsplit(recorded).path) if recorded.startswith("file:") else recorded
    root, found, below = path.rpartition(f"/{FOLDER}/")
    here = database.parent / FOLDER
    if not found or not path.startswith("/") or Path(root) == database.parent:
        return recorded
    moved = here / below
    # A run without files yet goes where the others are.
    return moved.as_uri() if moved.exists() or (here.is_dir() and not Path(root, FOLDER).exists()) else recorded


@cache
def follow() -> None:
    """Let MLflow find files so, in this process: of every database in a file that it reads."""
    from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
    from sqlalchemy import event

    columns = ((SqlRun, "artifact_uri"), (SqlExperiment, "artifact_location"), (SqlLoggedModel, "artifact_location"))
    for table, column in columns:
        for moment in ("load", "refresh"):
            event.listen(table, moment, partial(_correct, column))


def _correct(column: str, row: Any, context: Any, *_: Any) -> None:
    from sqlalchemy.orm.attributes import set_committed_value

    url = context.session.get_bind().url
    recorded = vars(row).get(column)
    if recorded and url.get_backend_name() == "sqlite" and url.database:
        place = beside(recorded, Path(url.database).absolute())
        if place != recorded:
            set_committed_value(row, column, place)  # as if it had been read so: it is not written back
