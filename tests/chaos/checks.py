"""What must hold after a disturbance: each check answers with the complaints that it has."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import store
from place import Command, Place
from store import Result, Row
from subjects import Subject

GRACE = 5.0
"""Seconds that processes may outlive their command: on a machine of their own they take less than two."""
STACKED = 1e-4
"""Relative difference of a metric of a job that trained in another stack than the undisturbed one, or in none."""


def said(command: Command) -> list[str]:
    """A person never sees a traceback, and a mistake in one line."""
    text = command.said
    where = command.output.name
    complaints = [f"{where}: {sign!r}" for sign in ("Traceback (most", "--- Logging error ---") if sign in text]
    if command.process.returncode == 2 and not text.strip().splitlines()[-1].startswith("hourglass: "):
        complaints.append(f"{where}: exit code 2, but the last line is {text.strip().splitlines()[-1][:120]!r}")
    return complaints


def gone(place: Place) -> list[str]:
    """No process outlives the commands."""
    began = time.monotonic()
    while left := place.processes:
        if time.monotonic() - began > 10 * GRACE:
            return [f"{len(left)} processes outlive their command by more than {10 * GRACE:.0f} s"]
        time.sleep(0.1)
    seconds = time.monotonic() - began
    crowd = max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))  # processes to each core
    late = f"processes outlive their command by {seconds:.1f} s, with {crowd:.1f} busy ones on each core"
    return [late] if seconds > GRACE * crowd else []


def true(place: Place, *, running: bool) -> list[str]:
    """FINISHED runs have their weights, and RUNNING ones a process.

    Args:
        place: where the runs are.
        running: whether RUNNING runs are looked at: who was killed can't say so.
    """
    complaints = []
    for row in store.rows(place.database):
        if row.status == "RUNNING" and running and not row.alive:
            complaints.append(f"a {row.kind or 'run'} is RUNNING without a process")
        if row.status == "FINISHED" and row.kind == "training":
            missing = [name for name in (store.WEIGHTS, "config.yaml") if not (row.files / name).exists()]
            complaints += [f"a FINISHED training has no {name}" for name in missing]
    return sorted(set(complaints))


def done(place: Place) -> dict[str, Row]:
    """The finished trainings by the hash of their configuration, of several the last."""
    return {row.key: row for row in store.rows(place.database) if row.kind == "training" and row.status == "FINISHED"}


def whole(place: Place, expected: Mapping[str, Result]) -> bool:
    """Whether all is done, as far as the database can be read."""
    with suppress(sqlite3.Error):
        return done(place).keys() >= expected.keys()
    return False


def once(place: Place, subject: Subject, expected: Mapping[str, Result], *, all_of_them: bool) -> list[str]:
    """Each job is done exactly once, and the study with them.

    Args:
        place: where the runs are.
        subject: what was to be done.
        expected: what it came to undisturbed, by the hash of each configuration.
        all_of_them: whether none may be missing.
    """
    rows = store.rows(place.database)
    counts = Counter(row.key for row in rows if row.kind == "training" and row.status == "FINISHED")
    complaints = [f"a job is done {number} times" for number in counts.values() if number > 1]
    if missing := len(expected.keys() - counts.keys()):
        complaints += [f"{missing} of {len(expected)} jobs are not done"] if all_of_them else []
    if strange := len(counts.keys() - expected.keys()):
        complaints += [f"{strange} jobs are none of the undisturbed ones'"] if all_of_them else []
    studies = Counter(row.status for row in rows if row.kind == "study")
    if subject.several and all_of_them and studies != {"FINISHED": 1}:
        complaints.append(f"studies: {dict(studies)}")
    return complaints


def equal(place: Place, expected: Mapping[str, Result], alone: Mapping[str, Result]) -> list[str]:
    """Metrics and weights are what they are undisturbed, to the last bit.

    Args:
        place: where the runs are.
        expected: what the jobs came to undisturbed.
        alone: what they came to when each was trained by itself; nothing where they always are. Who trained in another
            stack than undisturbed, or by itself, differs by rounding.
    """
    complaints: Counter[str] = Counter()
    for key, row in done(place).items():
        if key not in expected:
            continue
        found = store.result(place.database, row)
        differ = store.differences(found, expected[key])
        if differ and key in alone and "fused" not in row.tags:
            differ = store.differences(found, alone[key])
        elif differ and key in alone:
            differ = store.far(found, expected[key], STACKED)
        complaints.update(differ)
    return [f"{number} x {what}" if number > 1 else what for what, number in complaints.items()]


def nothing_left(place: Place, subject: Subject) -> list[str]:
    """No temporary files, and no more of others than there are jobs."""
    complaints = []
    # Torch's cache of compiled code, one for each user.
    if left := sorted(path for path in place.temporary.rglob("*") if not path.name.startswith("torchinductor_")):
        size = sum(path.stat().st_size for path in left if path.is_file())
        names = ", ".join(str(path.relative_to(place.temporary)) for path in left[:3])
        complaints.append(f"in TMPDIR {len(left)} files and folders, {size} bytes: {names}")
    known = {"mlartifacts", "runs", *(f"mlflow.db{end}" for end in ("", "-wal", "-shm", ".lock"))}
    if strange := sorted({path.name for path in place.work.iterdir()} - known):
        complaints.append(f"in the working folder: {', '.join(strange)}")
    claims = [path for path in place.cache.rglob("*") if path.is_file()]
    # One for each job, the study and a search's journal, in each database; two databases at most.
    if len(claims) > 2 * (subject.jobs + 2) or any(path.stat().st_size > 100 for path in claims):
        complaints.append(f"{len(claims)} lock files, the largest {_largest(claims)} bytes")
    return complaints


def _largest(paths: list[Path]) -> int:
    return max((path.stat().st_size for path in paths), default=0)
