"""When a study is drawn: now and then while its jobs run, and at the end."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, cast

from hourglass.sweeps.studies.record import REPORT, Recorded, Request, leave_report, record
from hourglass.system import fork_server
from hourglass.tracking import Run

log = logging.getLogger("hourglass")

PAUSE = 30.0
"""Seconds from one drawing to the next, at least; also ten times what the last one took, so that jobs lose little."""
LIMIT = 300.0
"""Seconds after which a drawing is given up: a tracking server may be away."""


class StudyRecorder:
    """Has the run of a study show its jobs (see `record`); each drawing is a process of its own, on a CPU.

    A drawing that fails costs a warning, never the sweep. Used as a context manager: leaving it without an error draws
    a last time if a job has ended meanwhile; with one, Ctrl-C for example, ends the drawing that still runs.

    Args:
        run: of the study.
        pictures: whether pictures are drawn too, or the table is written alone.
        preload: modules that the fork server imports, unless it runs already.
        folder: where the pictures are written too, as files; None: nowhere.
    """

    def __init__(self, *, run: Run, pictures: bool, preload: Sequence[str], folder: Path | None = None) -> None:
        self.run = run
        self.pictures = pictures
        self.preload = preload
        self.folder = folder
        self._drawing: _Drawing | None = None
        self._next = time.monotonic() + PAUSE
        self._any = False

    def refresh(self) -> None:
        """A job has ended: draw, unless the last drawing was a moment ago."""
        self._any = True
        if self._drawing is not None and self._drawing.ended:
            self._next = time.monotonic() + max(PAUSE, 10 * self._drawing.seconds)
            self._collect()
        if self._drawing is None and time.monotonic() >= self._next:
            self._drawing = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if error is None and self._any:
                self.run.flush()  # a store that is away is waited for here, not by the drawing and then once more
                self._collect()
                self._drawing = self._start()
                found = self._collect()
                for line in () if found is None else found.damaged:
                    log.warning("picture  %s", line)
                if found is not None and found.missing:
                    log.info("no mosaic: %s", found.missing)
                if found is not None and found.best:
                    log.info("best     %s", found.best)
                for file in () if found is None else found.files:
                    log.info("picture  %s", os.path.relpath(file))
                if found is not None:
                    self._report()
                log.info("page     %s", self.run.page)
        finally:
            if self._drawing is not None:
                self._drawing.end()

    def _report(self) -> None:
        """Have the study's report written: a process of its own again, so that nothing it meets costs the pictures."""
        try:
            self._drawing = _Drawing(leave_report, self._request(), preload=self.preload)
        except (OSError, EOFError) as error:
            log.warning("the study %s has no report: %s: %s", self.run.id, type(error).__name__, error)
            return
        failure = self._drawing.result()
        self._drawing = None
        if isinstance(failure, str):
            log.warning("the study %s has no report: %s", self.run.id, failure)
        else:
            log.info("report   %s of the study; again and elsewhere: hourglass report %s", REPORT, self.run.id[:8])

    def _request(self) -> Request:
        folder = None if self.folder is None else str(self.folder)
        return Request(self.run.id, self.run.uri, self.pictures, folder)

    def _start(self) -> "_Drawing | None":
        try:
            return _Drawing(record, self._request(), preload=self.preload)
        except (OSError, EOFError) as error:  # no memory for a process, or no server to fork it
            self._warn(f"{type(error).__name__}: {error}")
            return None

    def _warn(self, reason: str) -> None:
        log.warning("the study %s is not drawn: %s", self.run.id, reason)

    def _collect(self) -> Recorded | None:
        """What the drawing under way, if any, found; waits for it."""
        if self._drawing is None:
            return None
        found = self._drawing.result()
        self._drawing = None
        if isinstance(found, Recorded):
            return found
        self._warn(str(found))
        return None


class _Drawing:
    """A process that records a study as it stands, or reports on it."""

    def __init__(self, function: Callable[[Request], Any], request: Request, *, preload: Sequence[str]) -> None:
        fork_server.start(preload)
        self._began = time.monotonic()
        # The GPUs are for the jobs.
        self._child = fork_server.Child(function, request, threads=1, environment={"CUDA_VISIBLE_DEVICES": ""})

    @property
    def ended(self) -> bool:
        return self._child.receiver.poll()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def result(self) -> Recorded | str | None:
        """What it found, or why it failed, in one line; waits for it."""
        if not self._child.receiver.poll(LIMIT):
            self.end()
            return f"it took more than {LIMIT:.0f} s"
        answer = self._child.answer()
        return cast("Recorded | None", answer.value) if answer.failure is None else answer.failure

    def end(self) -> None:
        """Nothing is left of it."""
        fork_server.end([self._child], patience=0.0)
