"""Moments: when a round's disturbance comes, told by how far the command is rather than by the clock.

A command passes the marks below. A moment is a stretch between two of them and a share of its length, as the
undisturbed command took it; so the same moment comes after the same events on a busy machine too.
"""

import itertools
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import store
from place import Command, Place, until

MARKS = ("started", "opened", "half", "trained", "ended")
"""The command begins; its first training is in the store; the first checkpoint, or half of a sweep's jobs, are there;
all are trained; the process is gone."""
STRETCHES = tuple(itertools.pairwise(MARKS))


class Moment(NamedTuple):
    """When something happens."""

    stretch: int
    """Which one, from 0."""
    share: float
    """Of its length, from 0 to 1."""

    def __str__(self) -> str:
        return f"{self.share:.0%} from {' to '.join(STRETCHES[self.stretch])}"


class Timeline(NamedTuple):
    """When an undisturbed command passed the marks, in seconds."""

    marks: tuple[float, ...]

    def length(self, stretch: int) -> float:
        """Of a stretch, in seconds."""
        return self.marks[stretch + 1] - self.marks[stretch]


def passed(mark: int, place: Place, command: Command, *, jobs: int) -> bool:
    """Whether a command has come so far.

    Args:
        mark: which, from 0.
        place: where it runs.
        command: under way, or over.
        jobs: how many it trains.
    """
    if mark == 0 or command.ended:
        return True
    found = store.peek(place.database)
    done = sum(row.status == "FINISHED" for row in found)
    if mark == 1:
        return done > 0 or any(row.alive for row in found)
    if mark == 2 and jobs == 1:
        return done > 0 or any(_written(row.files / "checkpoints/last.ckpt") > command.started for row in found)
    return done >= (jobs / 2 if mark == 2 else jobs)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def measure(place: Place, command: Command, *, jobs: int) -> Timeline:
    """Follow an undisturbed command to its end."""
    marks = [0.0]
    for mark in (1, 2, 3):
        until(partial(passed, mark, place, command, jobs=jobs), f"the mark {MARKS[mark]}")
        marks.append(command.seconds)
    command.wait()
    return Timeline((*marks, command.seconds))


def await_moment(moment: Moment, place: Place, command: Command, timeline: Timeline, *, jobs: int) -> bool:
    """Wait for the moment; whether the command still runs then."""
    until(partial(passed, moment.stretch, place, command, jobs=jobs), f"the mark {MARKS[moment.stretch]}")
    seconds = moment.share * timeline.length(moment.stretch)
    if moment.stretch == 0:
        seconds = max(seconds, 1.0)  # Python itself starts, and knows no signals yet
    deadline = time.monotonic() + seconds
    while not command.ended and time.monotonic() < deadline:
        time.sleep(0.01)
    return not command.ended
