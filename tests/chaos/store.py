"""What a store holds, read from its database and files without MLflow or Hourglass, which are what is examined."""

import hashlib
import json
import math
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

import psutil

WEIGHTS = "weights.safetensors"


class Row(NamedTuple):
    """A run."""

    id: str
    status: str
    tags: dict[str, str]
    files: Path
    """Where its files are."""

    @property
    def kind(self) -> str:
        """`training` or `study`."""
        return self.tags.get("kind", "")

    @property
    def key(self) -> str:
        """The hash of its configuration."""
        return self.tags.get("machine.config_hash", "")

    @property
    def alive(self) -> bool:
        """Whether the process that writes it runs."""
        try:
            process = psutil.Process(int(self.tags.get("machine.pid", -1)))
            same = abs(process.create_time() - float(self.tags["machine.process_start"])) < 2.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, KeyError, ValueError):
            return False


class Result(NamedTuple):
    """What a training came to, to the last bit; without what it took of time."""

    points: dict[str, frozenset[tuple[int, float | str]]]
    """Of each metric the steps and values."""
    weights: dict[str, str]
    """Of each file of weights its digest."""


def _read(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)


def rows(database: Path) -> list[Row]:
    """Its runs, the first first; none where there is no database or it has no tables yet."""
    if not database.exists():
        return []
    with closing(_read(database)) as reader:
        try:
            found = reader.execute("SELECT run_uuid, status, artifact_uri FROM runs ORDER BY start_time").fetchall()
            tags: dict[str, dict[str, str]] = {}
            for run, key, value in reader.execute("SELECT run_uuid, key, value FROM tags"):
                tags.setdefault(run, {})[key] = value
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
    return [Row(run, status, tags.get(run, {}), _folder(database, uri)) for run, status, uri in found]


def peek(database: Path) -> list[Row]:
    """The same while others may lock, change or remove it: none where it can't be read at this moment."""
    with suppress(sqlite3.Error, OSError):
        return [each for each in rows(database) if each.kind == "training"]
    return []


def _folder(database: Path, uri: str) -> Path:
    place = urlparse(uri)
    # A server's files are beside its database: see `server`.
    return Path(place.path) if place.scheme == "file" else database.parent / "artifacts" / place.path.lstrip("/")


def result(database: Path, row: Row) -> Result:
    """What a run came to."""
    points: dict[str, set[tuple[int, float | str]]] = {}
    with closing(_read(database)) as reader:
        query = "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? AND key NOT LIKE 'time/%'"
        for key, step, value, is_nan in reader.execute(query, (row.id,)):
            points.setdefault(key, set()).add((step, "nan" if is_nan else value))
    weights = {path.name: _digest(path) for path in row.files.glob("*.safetensors")}
    return Result({key: frozenset(values) for key, values in points.items()}, weights)


def _digest(path: Path) -> str:
    """Of a file of weights: its numbers, and what its header says in whatever order."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True)
    return hashlib.sha256(header.encode() + data[8 + size :]).hexdigest()[:16]


def differences(found: Result, expected: Result) -> list[str]:
    """In what two results differ, a line for each thing."""
    said = []
    for name in sorted(found.weights.keys() | expected.weights.keys()):
        if found.weights.get(name) != expected.weights.get(name):
            said.append(f"{name} {'differs' if name in found.weights else 'is missing'}")
    missing, other, more = [], [], []
    for key in sorted(found.points.keys() | expected.points.keys()):
        have, want = found.points.get(key, frozenset()), expected.points.get(key, frozenset())
        steps, wanted = {step for step, _ in have}, {step for step, _ in want}
        if wanted - steps:
            missing.append(f"{key} {_span(wanted - steps)}")
        if steps - wanted or len(have) > len(steps):
            more.append(key)
        if {point for point in have if point[0] in wanted} - want:
            other.append(key)
    for what, keys in (("points missing", missing), ("other values", other), ("points too many", more)):
        if keys:
            said.append(f"{what} of {len(keys)} metrics: {', '.join(keys[:3])}")
    return said


def _span(steps: set[int]) -> str:
    return f"{min(steps)}..{max(steps)} ({len(steps)})"


def far(found: Result, expected: Result, tolerance: float) -> list[str]:
    """In what two results differ by more than rounding: metrics by more than a share of their value."""
    said = []
    for key in sorted(found.points.keys() | expected.points.keys()):
        have, want = dict(found.points.get(key, ())), dict(expected.points.get(key, ()))
        if have.keys() != want.keys():
            said.append(f"{key} has other steps")
        elif any(not _close(have[step], want[step], tolerance) for step in have):
            said.append(f"{key} differs by more than rounding")
    return said[:3]


def _close(one: float | str, other: float | str, tolerance: float) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
