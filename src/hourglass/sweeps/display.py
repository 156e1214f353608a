"""What a sweep shows while it runs: one line that moves on a terminal, otherwise a line per job."""

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hourglass.sweeps.job import End, Job
from hourglass.sweeps.studies.table import ERROR

log = logging.getLogger("hourglass")


class Display:
    """Counts the jobs of a sweep and shows how far it is.

    Args:
        name: of the study.
        total: jobs of the sweep.
        slots: jobs at a time.
        done: how the jobs ended that were finished before, by key.
    """

    def __init__(self, *, name: str, total: int, slots: int, done: Mapping[str, End]) -> None:
        self.total = total
        self.slots = slots
        self.done = len(done)
        self.failures: list[tuple[Job, str]] = []
        self.fresh = 0
        self.best = min((end.metrics.get(ERROR, float("inf")) for end in done.values()), default=float("inf"))
        self.best_label = "an earlier job" if done else ""
        self.began = time.monotonic()
        self.live = sys.stderr.isatty()
        earlier = f", {self.done} finished before" if done else ""
        log.info("%s: %d jobs%s, %d at a time", name, total, earlier, slots)

    def refused(self, job: Job, reason: str) -> None:
        """A job that makes no sense, known before any starts."""
        self.failures.append((job, reason))
        self._say(f"refused  {job.label}: {reason}")

    def start(self, count: int) -> None:
        """`count` jobs are about to run."""
        self.began = time.monotonic()
        self.waiting = count
        self._move()

    def planned(self, groups: Sequence[Sequence[Job]], alone: Mapping[str, int]) -> None:
        """The jobs are sorted into stacks.

        Args:
            groups: jobs that train together, or single ones.
            alone: why single ones train alone, and how many do for that reason.
        """
        sizes = [len(group) for group in groups if len(group) > 1]
        if sizes:
            stacks = "1 stack" if len(sizes) == 1 else f"{len(sizes)} stacks"
            extent = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
            self._say(f"{sum(sizes)} jobs in {stacks} of {extent}")
        for reason, count in alone.items():
            self._say(f"{count} alone: {reason}")

    def ended(self, job: Job, end: End) -> None:
        """A job ended, well or not."""
        self.fresh += 1
        if end.failure is not None:
            self.failures.append((job, end.failure))
            self._say(f"failed   {job.label}: {end.failure}")
        else:
            self.done += 1
            value = end.metrics.get(ERROR, float("inf"))
            if value < self.best:
                self.best, self.best_label = value, job.label
            if not self.live:
                self._say(f"done     {job.label}: {ERROR} {value:.5f}")
        self._move()

    def close(self, *, seconds: float) -> None:
        """The end: what failed and why."""
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201 - the moving line is our output
        log.info("%d of %d jobs done in %s; best %s", self.done, self.total, clock(seconds), self._best())
        for job, reason in self.failures:
            log.error("failed   %s: %s", job.label, reason)
            if Path(job.log).exists():  # a job that was refused never started
                log.error("         what it printed: %s", os.path.relpath(job.log))

    def _best(self) -> str:
        return f"{ERROR} {self.best:.5f} ({self.best_label})" if self.best_label else "none"

    def _say(self, text: str) -> None:
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)  # noqa: T201
        log.info("%s", text)

    def _move(self) -> None:
        if not self.live:
            return
        left = self.waiting - self.fresh
        running = min(self.slots, left)
        spent = time.monotonic() - self.began
        time_left = clock(spent / self.fresh * left) if self.fresh else "?"
        text = (
            f"{self.done} done, {running} running, {left - running} waiting, {len(self.failures)} failed;"
            f" best {self._best()}; {time_left} left"
        )
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r\033[K{text[: width - 1]}", end="", file=sys.stderr, flush=True)  # noqa: T201


def clock(seconds: float) -> str:
    """`1:05:09`, `5:09`, `0:09`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
