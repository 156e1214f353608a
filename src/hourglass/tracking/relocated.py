"""A store that was moved or renamed: the files of its runs are found beside its database.

MLflow records absolute places. What lies in `mlartifacts/` beside the database counts before a place elsewhere that is
recorded; the database stays as it is, because another machine may know the same folder by its other name.
"""

from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

from hourglass.tracking import mlflow_internals

FOLDER = "mlartifacts"

_followed: WeakSet[Any] = WeakSet()
"""The engines of databases that are followed."""


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


def follow(engine: Any) -> None:
    """Let MLflow find files so, of a database in a file that this process reads.

    Args:
        engine: of the database; what others read is left as it is.
    """
    _listen()
    _followed.add(engine)


@cache
def _listen() -> None:
    """SQLAlchemy tells of rows by their class, of whatever database they are."""
    from sqlalchemy import event

    known = mlflow_internals.tables()
    columns = (
        (known.run, "artifact_uri"),
        (known.experiment, "artifact_location"),
        (known.model, "artifact_location"),
    )
    for table, column in columns:
        for moment in ("load", "refresh"):
            event.listen(table, moment, partial(_correct, column))


def _correct(column: str, row: Any, context: Any, *_: Any) -> None:
    from sqlalchemy.orm.attributes import set_committed_value

    engine = context.session.get_bind()
    recorded = vars(row).get(column)
    if recorded and engine in _followed:
        place = beside(recorded, Path(engine.url.database).absolute())
        if place != recorded:
            set_committed_value(row, column, place)  # as if it had been read so: it is not written back
