"""Disturbances: what happens to a command, and what must hold after it.

Each is a function that does it, at the moment that the round has waited for, with `@disturbance(...)` saying to whom it
is done and which exit codes are true then. What it must put right before the same command is given again (a lock let
go of, a file put back) it registers with `round.afterwards`. They are in `to_processes`, `to_stores` and `to_files`.
"""

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from place import Command, Place, SmallDisk
from server import Server
from subjects import Subject

SHORT = 4.0
"""Seconds that something lasts which a command waits for."""
STORE_TIMEOUT = 3.0
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
        store_timeout: seconds that the command waits for its store; None: as by itself.
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
    store_timeout: float | None
    disk: str | None
    silent: bool
    lost: bool
    possible: Callable[[], bool]


ANY = (0, 1, 2, 3)
OPEN = (1, 2, 3)


def everyone(_: Subject) -> bool:
    return True


def several(subject: Subject) -> bool:
    return subject.several


def local(subject: Subject) -> bool:
    return not subject.server


def disturbance(
    *exits: int,
    applies: Callable[[Subject], bool] = everyone,
    stretches: tuple[int, ...] = ANY,
    store_timeout: float | None = None,
    disk: str | None = None,
    silent: bool = False,
    lost: bool = False,
    possible: Callable[[], bool] = lambda: True,
) -> Callable[[Callable[[Round], None]], Disturbance]:
    """Make a function a disturbance of its name; the arguments are `Disturbance`'s."""

    def make(act: Callable[[Round], None]) -> Disturbance:
        name = act.__name__.replace("_", " ")
        return Disturbance(name, act, frozenset(exits), applies, stretches, store_timeout, disk, silent, lost, possible)

    return make
