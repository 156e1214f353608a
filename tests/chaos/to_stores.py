"""What happens to databases, disks and tracking servers: they are away for some seconds, for good, or lost."""

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

from disturbances import OPEN, SHORT, STORE_TIMEOUT, Round, disturbance, local

# The database


@disturbance(0, stretches=OPEN)
def lock_the_database(round_: Round) -> None:
    """A foreign process writes for some seconds."""
    with suppress(sqlite3.Error), closing(_locked(round_.place.database)):
        time.sleep(SHORT)


@disturbance(2, applies=local, stretches=OPEN, store_timeout=STORE_TIMEOUT)
def lock_the_database_for_good(round_: Round) -> None:
    """A foreign process writes for longer than the command waits."""
    with suppress(sqlite3.Error):
        round_.afterwards.enter_context(closing(_locked(round_.place.database)))


def _locked(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def _can_protect() -> bool:
    return os.geteuid() != 0 or shutil.which("chattr") is not None


@disturbance(2, applies=local, stretches=OPEN, store_timeout=STORE_TIMEOUT, possible=_can_protect)
def make_the_database_read_only(round_: Round) -> None:
    """Nobody may write it any more, until the person has seen to it."""
    # Not its index: that is memory which processes share, and would kill them with SIGBUS.
    for path in _files(round_.place.database, "", "-wal"):
        _protect(path, True)
        round_.afterwards.callback(_protect, path, False)


def _protect(path: Path, protected: bool) -> None:
    if os.geteuid() == 0:  # whom permissions don't stop
        subprocess.run(["chattr", "+i" if protected else "-i", path], capture_output=True)
    elif path.exists():
        path.chmod(0o444 if protected else 0o644)


@disturbance(2, applies=local, stretches=OPEN, store_timeout=STORE_TIMEOUT, lost=True)
def delete_the_database(round_: Round) -> None:
    """With its log; what was trained is trained again."""
    for path in _files(round_.place.database):
        path.unlink(missing_ok=True)


@disturbance(1, 2, applies=local, stretches=OPEN, store_timeout=STORE_TIMEOUT, lost=True)
def replace_the_database(round_: Round) -> None:
    """Another, empty one is in its place."""
    for path in _files(round_.place.database):
        path.unlink(missing_ok=True)
    shutil.copy(round_.place.folder.parent / "empty.db", round_.place.database)


@disturbance(2, applies=local, stretches=OPEN, store_timeout=STORE_TIMEOUT, lost=True)
def cut_off_the_database(round_: Round) -> None:
    """Half of it is gone; the person removes the rest."""
    with suppress(OSError):
        os.truncate(round_.place.database, round_.place.database.stat().st_size // 2)
    for path in _files(round_.place.database):
        round_.afterwards.callback(path.unlink, missing_ok=True)


def _files(database: Path, *ends: str) -> list[Path]:
    paths = [database.with_name(database.name + end) for end in ends or ("", "-wal", "-shm")]
    return [path for path in paths if path.exists()]


# Disks


@disturbance(0, applies=local, stretches=OPEN, disk="work")
def fill_the_disk(round_: Round) -> None:
    """No byte is free in the working folder for some seconds."""
    assert round_.disk is not None
    round_.disk.fill()
    time.sleep(SHORT)
    round_.disk.empty()


@disturbance(2, applies=local, stretches=OPEN, disk="work", store_timeout=STORE_TIMEOUT)
def fill_the_disk_for_good(round_: Round) -> None:
    """No byte is free for longer than the command waits."""
    assert round_.disk is not None
    round_.disk.fill()
    round_.afterwards.callback(round_.disk.empty)


@disturbance(0, disk="tmp")
def fill_the_temporary_folder(round_: Round) -> None:
    """No byte is free in TMPDIR for some seconds."""
    assert round_.disk is not None
    round_.disk.fill()
    time.sleep(SHORT)
    round_.disk.empty()


# The server


@disturbance(0, applies=lambda subject: subject.server, stretches=OPEN)
def restart_the_server(round_: Round) -> None:
    """It is killed, and back after some seconds."""
    assert round_.server is not None
    round_.server.kill()
    time.sleep(SHORT)
    round_.server.start()


@disturbance(0, applies=lambda subject: subject.server, stretches=OPEN)
def stop_the_server(round_: Round) -> None:
    """It takes connections and answers nothing for some seconds."""
    assert round_.server is not None
    round_.server.stop(2 * SHORT)
