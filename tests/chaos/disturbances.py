"""Disturbances: what happens to a command, and what must hold after it.

Each is a function that does it, at the moment that the round has waited for, with `@disturbance(...)` saying to whom it
is done and which exit codes are true then. What it must put right before the same command is given again (a lock let
go of, a file put back) it registers with `round.afterwards`.
"""

import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import store
from place import Command, Place, SmallDisk, until
from server import Server
from subjects import Subject

SHORT = 4.0
"""Seconds that something lasts which a command waits for."""
PATIENCE = 3.0
"""Seconds that a command waits for its store where that does not come back."""


@dataclass
class Round:
    """What a disturbance works on.

    Attributes:
        subject: what is disturbed.
        place: where it runs.
        command: under way.
        chance: of this round.
        again: the words of the command that goes on where this one was cut off.
        server: the subject's tracking server.
        disk: the small disk, where the disturbance asked for one.
        afterwards: what is put right before the same command is given again.
        others: further commands of this round, each with the exit codes that are true for it.
        complaints: what did not hold.
    """

    subject: Subject
    place: Place
    command: Command
    chance: random.Random
    again: Callable[[], list[str]]
    server: Server | None = None
    disk: SmallDisk | None = None
    afterwards: ExitStack = field(default_factory=ExitStack)
    others: list[tuple[Command, frozenset[int]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Disturbance:
    """Something that happens.

    Attributes:
        name: in the table.
        act: does it.
        exits: the exit codes that are true after it; 0 besides, where everything was done before it.
        applies: to which subjects.
        stretches: between which marks it may come (see `moments`).
        patience: seconds that the command waits for its store; None: as by itself.
        disk: `work` or `tmp`: that folder is a small disk.
        silent: whether the command can't say that it ended: its runs stay RUNNING until the next command.
        lost: whether the store, with all in it, is gone afterwards.
        possible: whether this machine and user can do it.
    """

    name: str
    act: Callable[[Round], None]
    exits: frozenset[int]
    applies: Callable[[Subject], bool]
    stretches: tuple[int, ...]
    patience: float | None
    disk: str | None
    silent: bool
    lost: bool
    possible: Callable[[], bool]


DISTURBANCES: list[Disturbance] = []
ANY = (0, 1, 2, 3)
OPEN = (1, 2, 3)


def _everyone(_: Subject) -> bool:
    return True


def _several(subject: Subject) -> bool:
    return subject.several


def _local(subject: Subject) -> bool:
    return not subject.server


def disturbance(
    *exits: int,
    applies: Callable[[Subject], bool] = _everyone,
    stretches: tuple[int, ...] = ANY,
    patience: float | None = None,
    disk: str | None = None,
    silent: bool = False,
    lost: bool = False,
    possible: Callable[[], bool] = lambda: True,
) -> Callable[[Callable[[Round], None]], Callable[[Round], None]]:
    """Put a function into the list; its name is the disturbance's."""

    def add(act: Callable[[Round], None]) -> Callable[[Round], None]:
        name = act.__name__.replace("_", " ")
        DISTURBANCES.append(
            Disturbance(name, act, frozenset(exits), applies, stretches, patience, disk, silent, lost, possible)
        )
        return act

    return add


# Processes end


@disturbance(-signal.SIGKILL, silent=True)
def kill_the_command(round_: Round) -> None:
    """SIGKILL."""
    round_.command.send(signal.SIGKILL)


@disturbance(0, 1, 2, applies=_several)
def kill_a_job(round_: Round) -> None:
    """SIGKILL of a process that was forked for a job; before there are any, of the next one."""
    with suppress(psutil.Error):
        until(lambda: round_.command.ended or round_.command.workers, "a job's process")
        if workers := round_.command.workers:
            round_.chance.choice(workers).kill()


@disturbance(0, 1, 2, applies=_several)
def kill_the_fork_server(round_: Round) -> None:
    """SIGKILL of the process that jobs are forked from."""
    with suppress(psutil.Error):
        if server := round_.command.fork_server:
            server.kill()


@disturbance(0, applies=_several)
def kill_the_resource_tracker(round_: Round) -> None:
    """SIGKILL of the process that multiprocessing keeps beside."""
    with suppress(psutil.Error):
        if tracker := round_.command.tracker:
            tracker.kill()


@disturbance(130)
def interrupt(round_: Round) -> None:
    """Ctrl-C in a terminal: SIGINT to the whole group."""
    round_.command.send_all(signal.SIGINT)


@disturbance(130)
def interrupt_twice(round_: Round) -> None:
    """A second Ctrl-C by someone in a hurry."""
    round_.command.send_all(signal.SIGINT)
    time.sleep(round_.chance.uniform(0.05, 1.0))
    round_.command.send_all(signal.SIGINT)


@disturbance(143, -signal.SIGTERM)
def terminate(round_: Round) -> None:
    """SIGTERM to the command alone, as `kill` sends it."""
    round_.command.send(signal.SIGTERM)


@disturbance(143, -signal.SIGTERM)
def terminate_all(round_: Round) -> None:
    """SIGTERM to the whole group, as a batch system sends it."""
    round_.command.send_all(signal.SIGTERM)


@disturbance(129, -signal.SIGHUP, silent=True)
def close_the_terminal(round_: Round) -> None:
    """SIGHUP to the whole group."""
    round_.command.send_all(signal.SIGHUP)


@disturbance(0)
def stop_and_continue(round_: Round) -> None:
    """SIGSTOP to everything, as a laptop that sleeps."""
    round_.command.send_all(signal.SIGSTOP)
    time.sleep(SHORT)
    round_.command.send_all(signal.SIGCONT)


@disturbance(0, applies=_several)
def stop_a_process(round_: Round) -> None:
    """SIGSTOP to one process below the command."""
    with suppress(psutil.Error):
        if below := round_.command.below:
            one = round_.chance.choice(below)
            one.suspend()
            time.sleep(SHORT)
            one.resume()


# The same again, elsewhere


@disturbance(0, applies=_several)
def start_it_twice(round_: Round) -> None:
    """The same command in a second terminal. A search can't be shared: it says so, unless it is over."""
    round_.others.append((round_.place.start(round_.again()), frozenset({0, 2} if round_.subject.searches else {0})))


@disturbance(-signal.SIGKILL, applies=lambda subject: subject.several and not subject.searches, silent=True)
def start_it_twice_and_kill_the_first(round_: Round) -> None:
    """The second terminal does all that the first leaves."""
    round_.others.append((round_.place.start(round_.again()), frozenset({0})))
    time.sleep(round_.chance.uniform(0.0, 12.0))
    round_.command.send(signal.SIGKILL)


@disturbance(0, applies=lambda subject: subject.resumed, stretches=(0, 1, 2))
def resume_it_twice(round_: Round) -> None:
    """The same training resumed in a second terminal: one of the two refuses."""
    round_.others.append((round_.place.start(round_.again()), frozenset({0, 2})))


# The database


@disturbance(0, stretches=OPEN)
def lock_the_database(round_: Round) -> None:
    """A foreign process writes for some seconds."""
    with suppress(sqlite3.Error), closing(_locked(round_.place.database)):
        time.sleep(SHORT)


@disturbance(2, applies=_local, stretches=OPEN, patience=PATIENCE)
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


@disturbance(2, applies=_local, stretches=OPEN, patience=PATIENCE, possible=_can_protect)
def make_the_database_read_only(round_: Round) -> None:
    """Nobody may write it any more, until the person has seen to it."""
    for path in _files(round_.place.database):
        if os.geteuid() == 0:  # whom permissions don't stop
            subprocess.run(["chattr", "+i", path], capture_output=True)
            round_.afterwards.callback(subprocess.run, ["chattr", "-i", path], capture_output=True)
        else:
            path.chmod(0o444)
            round_.afterwards.callback(_make_writable, path)


def _make_writable(path: Path) -> None:
    if path.exists():
        path.chmod(0o644)


@disturbance(2, applies=_local, stretches=OPEN, patience=PATIENCE, lost=True)
def delete_the_database(round_: Round) -> None:
    """With its log; what was trained is trained again."""
    for path in _files(round_.place.database):
        path.unlink(missing_ok=True)


@disturbance(1, 2, applies=_local, stretches=OPEN, patience=PATIENCE, lost=True)
def replace_the_database(round_: Round) -> None:
    """Another, empty one is in its place."""
    for path in _files(round_.place.database):
        path.unlink(missing_ok=True)
    shutil.copy(round_.place.folder.parent / "empty.db", round_.place.database)


@disturbance(2, applies=_local, stretches=OPEN, patience=PATIENCE, lost=True)
def cut_off_the_database(round_: Round) -> None:
    """Half of it is gone; the person removes the rest."""
    with suppress(OSError):
        os.truncate(round_.place.database, round_.place.database.stat().st_size // 2)
    for path in _files(round_.place.database):
        round_.afterwards.callback(path.unlink, missing_ok=True)


def _files(database: Path) -> list[Path]:
    return [path for end in ("", "-wal", "-shm") if (path := database.with_name(database.name + end)).exists()]


# Disks


@disturbance(0, applies=_local, stretches=OPEN, disk="work")
def fill_the_disk(round_: Round) -> None:
    """No byte is free in the working folder for some seconds."""
    assert round_.disk is not None
    round_.disk.fill()
    time.sleep(SHORT)
    round_.disk.empty()


@disturbance(2, applies=_local, stretches=OPEN, disk="work", patience=PATIENCE)
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


# Files


def _cut(path: Path, chance: random.Random) -> None:
    """Half of a file is left, nothing, or as many bytes of junk."""
    whole = path.read_bytes()
    path.write_bytes(chance.choice((whole[: len(whole) // 2], b"", chance.randbytes(len(whole)))))


def _refused(round_: Round, path: Path, words: Callable[[], list[str]]) -> None:
    """A command that needs a damaged file names it in one line and changes nothing; then the file is put back."""
    whole, before = path.read_bytes(), store.rows(round_.place.database)
    _cut(path, round_.chance)
    try:
        command = round_.place.start(words())
        code = command.wait()
        last = command.said.strip().splitlines()[-1]
        if code != 2 or not last.startswith("hourglass: ") or path.name not in last:
            round_.complaints.append(f"{path.name} damaged: exit code {code}, {last[:200]!r}")
        for row, later in zip(before, store.rows(round_.place.database), strict=False):
            if row.status != later.status:
                round_.complaints.append(f"{path.name} damaged: a run went from {row.status} to {later.status}")
    finally:
        path.write_bytes(whole)


def _alone(subject: Subject) -> bool:
    return not subject.several


@disturbance(143, -signal.SIGTERM, applies=_alone)
def cut_off_what_a_resume_needs(round_: Round) -> None:
    """Of a training that was ended, its checkpoint or configuration is damaged."""
    round_.command.send(signal.SIGTERM)
    round_.command.wait()
    for row in store.peek(round_.place.database):
        path = row.files / round_.chance.choice(("checkpoints/last.ckpt", "config.yaml"))
        if path.exists():
            _refused(round_, path, lambda row=row: ["train", f"resume={row.id}"])  # type: ignore[misc]


@disturbance(0, applies=_alone, stretches=(3,))
def cut_off_what_encode_needs(round_: Round) -> None:
    """Of a finished training, its weights or configuration are damaged."""
    round_.command.wait()
    samples = round_.place.work / "samples.npy"
    samples.write_bytes(_zeros((2, 1, 8, 8)))
    for row in store.peek(round_.place.database):
        path = row.files / round_.chance.choice((store.WEIGHTS, "config.yaml"))
        if row.status == "FINISHED":
            _refused(round_, path, lambda row=row: ["encode", row.id, "samples.npy", "codes.npy"])  # type: ignore[misc]
    samples.unlink()


def _zeros(shape: tuple[int, ...]) -> bytes:
    """An .npy file of zeros, 32 bits each."""
    header = str({"descr": "<f4", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(4 * math.prod(shape))


@disturbance(0, applies=_several, stretches=(2, 3))
def cut_off_a_file_of_a_finished_job(round_: Round) -> None:
    """The study is drawn without it, and goes on."""
    done = [row for row in store.peek(round_.place.database) if row.status == "FINISHED"]
    for row in done[:1]:
        path = row.files / round_.chance.choice((store.WEIGHTS, "config.yaml", "checkpoints/last.ckpt"))
        if path.exists():
            round_.afterwards.callback(path.write_bytes, path.read_bytes())
            _cut(path, round_.chance)
