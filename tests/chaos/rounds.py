"""A round: one subject, one disturbance, one moment, each drawn from a seed and the round's number."""

import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import checks
import moments
import store
import to_files
import to_processes
import to_stores
from disturbances import Disturbance, Round
from moments import Moment, Timeline
from place import Hangs, Place, SmallDisk, until
from server import Server, free_port
from store import Result
from subjects import SUBJECTS, Subject

DISTURBANCES = [
    each
    for module in (to_processes, to_stores, to_files)
    for each in vars(module).values()
    if isinstance(each, Disturbance)
]
DISK = {"work": 48, "tmp": 16}  # megabytes


class Plan(NamedTuple):
    """What a round will be."""

    number: int
    subject: Subject
    disturbance: Disturbance
    moment: Moment
    chance: random.Random
    """For what the disturbance itself leaves to it."""

    def __str__(self) -> str:
        return f"{self.subject.name}: {self.disturbance.name}, {self.moment}"


def plan(seed: int, number: int) -> Plan:
    """The round with this number: every disturbance comes once before one comes twice."""
    cycle, at = divmod(number, len(DISTURBANCES))
    order = list(DISTURBANCES)
    random.Random(f"{seed} {cycle}").shuffle(order)
    chance = random.Random(f"{seed} {cycle} {at}")
    chosen = order[at]
    subject = chance.choice([each for each in SUBJECTS if chosen.applies(each)])
    return Plan(number, subject, chosen, Moment(chance.choice(chosen.stretches), chance.random()), chance)


class Undisturbed(NamedTuple):
    """What a subject does when it is left alone."""

    results: dict[str, Result]
    """By the hash of each configuration."""
    timeline: Timeline


@dataclass
class Verdict:
    """How a round ended.

    Attributes:
        plan: what it was.
        complaints: what did not hold; nothing: all did.
        late: whether the command had ended before the moment came.
        skipped: why nothing was done; empty: it was.
        seconds: that it took.
    """

    plan: Plan
    complaints: list[str] = field(default_factory=list)
    late: bool = False
    skipped: str = ""
    seconds: float = 0.0


class Chaos:
    """Plays rounds.

    Args:
        folder: what they leave is below; those in which all held leave nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._undisturbed: dict[tuple[str, ...], Undisturbed] = {}

    def undisturbed(self, words: tuple[str, ...], *, jobs: int) -> Undisturbed:
        """What a command does when it is left alone: tried once."""
        if words not in self._undisturbed:
            place = Place(self.folder / f"undisturbed-{len(self._undisturbed)}")
            try:
                subject = Subject(name="", words=words, jobs=jobs)
                command = place.start(subject.command)
                timeline = moments.measure(place, command, jobs=jobs)
                if command.wait():
                    raise SystemExit(f"undisturbed, it fails: {command.said}")
                results = {key: store.result(place.database, row) for key, row in checks.done(place).items()}
                if len(results) != jobs:
                    raise SystemExit(f"undisturbed, {len(results)} of {jobs} jobs are done: {command.said}")
            finally:
                place.end_all()
            _emptied(place.database, self.folder / "empty.db")
            self._undisturbed[words] = Undisturbed(results, timeline)
        return self._undisturbed[words]

    def play(self, plan: Plan) -> Verdict:
        """Play a round."""
        verdict = Verdict(plan)
        subject, disturbance = plan.subject, plan.disturbance
        if not disturbance.possible():
            verdict.skipped = "not possible on this machine"
            return verdict
        undisturbed = self.undisturbed(subject.words, jobs=subject.jobs)
        alone = {}
        if subject.stacks:
            words = tuple("sweep.max_stack=1" if "max_stack" in word else word for word in subject.words)
            alone = self.undisturbed(words, jobs=subject.jobs).results
        began = time.monotonic()
        folder = self.folder / f"round-{plan.number}"
        with _world(folder, subject) as (place, server):
            try:
                disk = (
                    SmallDisk(getattr(place, _FOLDERS[disturbance.disk]), megabytes=DISK[disturbance.disk])
                    if (disturbance.disk)
                    else None
                )
            except OSError as error:
                verdict.skipped = str(error)
                return verdict
            try:
                self._play(verdict, place, server, disk, undisturbed, alone)
            except Hangs as hang:
                verdict.complaints.append(f"hangs: {hang}")
            finally:
                place.end_all()
                if disk is not None:
                    disk.close()
        verdict.seconds = time.monotonic() - began
        if verdict.complaints:
            (folder / "verdict.txt").write_text("\n".join([str(plan), *verdict.complaints, ""]), encoding="utf-8")
        else:
            shutil.rmtree(folder)
        return verdict

    def _play(
        self,
        verdict: Verdict,
        place: Place,
        server: Server | None,
        disk: SmallDisk | None,
        undisturbed: Undisturbed,
        alone: dict[str, Result],
    ) -> None:
        _, subject, disturbance, moment, chance = verdict.plan
        complaints = verdict.complaints
        again = partial(_again, place, subject)
        if subject.resumed:
            _begun(place, subject, chance)
        command = place.start(again(), store_timeout=disturbance.store_timeout)
        round_ = Round(subject, place, command, chance, again, server, disk)
        with round_.afterwards:
            verdict.late = not moments.await_moment(moment, place, command, undisturbed.timeline, jobs=subject.jobs)
            trained = moments.passed(len(moments.MARKS) - 2, place, command, jobs=subject.jobs)
            disturbance.act(round_)
            code = command.wait()
            ends = [(each.wait(), exits, each) for each, exits in round_.others]
            complaints += checks.gone(place)
            whole = checks.whole(place, undisturbed.results)
        complaints += round_.complaints
        true = whole or (disturbance.lost and trained)  # what was done is lost
        if code not in disturbance.exits and not (code == 0 and true):
            complaints.append(f"exit code {code}")
        if code == 0 and not true:
            complaints.append("exit code 0, but not all is done")
        complaints += [f"second command: exit code {end}" for end, exits, _ in ends if end not in exits]
        for each in (command, *(each for *_, each in ends)):
            complaints += checks.said(each)
        # Who was killed, who may not write, and who was killed before and is resumed only now, can't say that it ended.
        told = (
            not disturbance.silent
            and disturbance.store_timeout is None
            and not (subject.resumed and not moment.stretch)
        )
        complaints += checks.true(place, running=told)

        # Of a search, a trial that failed counts as one, and one whose run was lost with its database did end.
        failing = subject.searches and (1 in disturbance.exits or disturbance.lost)
        if subject.several or not checks.whole(place, undisturbed.results):
            self._recover(complaints, place, again(), {0, 1} if failing and 1 in disturbance.exits else {0})
        complaints += checks.gone(place)
        complaints += checks.true(place, running=True)
        complaints += checks.once(place, subject, undisturbed.results, all_of_them=not failing)
        complaints += checks.equal(place, undisturbed.results, alone)
        complaints += checks.nothing_left(place, subject)
        verdict.complaints = list(dict.fromkeys(complaints))

    def _recover(self, complaints: list[str], place: Place, words: list[str], exits: set[int]) -> None:
        """Give the same command again, once, or, where that fails, twice."""
        for _ in range(2):
            command = place.start(words)
            code = command.wait()
            complaints += checks.said(command)
            if code in exits:
                return
            complaints.append(f"given again: exit code {code}: {command.said.strip().splitlines()[-1][:160]}")


_FOLDERS = {"work": "work", "tmp": "temporary"}


@contextmanager
def _world(folder: Path, subject: Subject) -> Iterator[tuple[Place, Server | None]]:
    """A place, beside a tracking server where the subject records on one."""
    if not subject.server:
        yield Place(folder), None
        return
    behind = Place(folder / "server")
    server = Server(behind, port=free_port())
    try:
        server.start()
        place = Place(folder / "client", uri=server.uri)
        place.database = behind.database
        yield place, server
    finally:
        behind.end_all()


def _again(place: Place, subject: Subject) -> list[str]:
    """The words that go on with a subject: a sweep's own, or those that resume a training once it has a checkpoint."""
    if not subject.several:
        for row in store.peek(place.database):
            if row.status != "FINISHED" and (row.files / "checkpoints/last.ckpt").exists():
                return ["train", f"resume={row.id}"]
    return subject.command


def _begun(place: Place, subject: Subject, chance: random.Random) -> None:
    """A training that was killed at some time after its first checkpoint."""
    command = place.start(subject.command)
    until(partial(moments.passed, 2, place, command, jobs=1), "the first checkpoint")
    time.sleep(chance.uniform(0.0, 1.0))
    command.send(signal.SIGKILL)
    command.wait()


def _emptied(database: Path, target: Path) -> None:
    """A copy of a database without what is in it."""
    shutil.copy(database, target)
    with closing(sqlite3.connect(target)) as copy, copy:
        tables = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = {row[1] for row in copy.execute(f"PRAGMA table_info('{table}')")}
            if "run_uuid" in columns:
                copy.execute(f"DELETE FROM {table}")
        copy.execute("DELETE FROM experiments WHERE experiment_id != 0")


def clean(folder: Path) -> list[Path]:
    """Remove what is not needed to understand what did not hold; what is kept."""
    for path in folder.glob("undisturbed-*"):
        shutil.rmtree(path)
    (folder / "empty.db").unlink(missing_ok=True)
    kept = sorted(folder.iterdir())
    if not kept:
        folder.rmdir()
    return kept
