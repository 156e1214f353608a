"""Who lets a study be drawn: now and then while its jobs run, and at the end."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self, cast

from hourglass.sweeps.engine import Engine
from hourglass.sweeps.jobs import run as run_jobs
from hourglass.sweeps.slots import PRELOAD, Outcome
from hourglass.sweeps.studies.record import Recorded, Request, record
from hourglass.system.errors import reason
from hourglass.tracking import Run

log = logging.getLogger("hourglass")

PAUSE = 30.0
"""Seconds from one drawing to the next, at least; also ten times what the last one took, so that jobs lose little."""
LIMIT = 300.0
"""Seconds after which a drawing is given up: a tracking server may be away."""


class Artist:
    """Lets the run of a study show its jobs (see `record`); each drawing is a process of its own, on a CPU.

    A drawing that fails costs a warning, never the sweep. Used as a context manager: leaving it without an error draws
    a last time if a job has ended meanwhile; with one, Ctrl-C for example, ends the drawing that still runs.

    Args:
        run: of the study.
        pictures: whether pictures are drawn too, or the table is written alone.
    """

    def __init__(self, *, run: Run, pictures: bool) -> None:
        self.run = run
        self.pictures = pictures
        self._drawing: _Drawing | None = None
        self._next = time.monotonic() + PAUSE
        self._any = False

    def look(self) -> None:
        """A job has ended: draw, unless the last drawing was a moment ago."""
        self._any = True
        if self._drawing is not None and self._drawing.ended:
            self._next = time.monotonic() + max(PAUSE, 10 * self._drawing.seconds)
            self._collect()
        if self._drawing is None and time.monotonic() >= self._next:
            self._drawing = self._start(last=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if error is None and self._any:
                self.run.flush()  # a store that is away is waited for here, not by the drawing and then once more
                self._collect()
                self._drawing = self._start(last=True)
                found = self._collect()
                for line in () if found is None else found.damaged:
                    log.warning("picture  %s", line)
                if found is not None and found.missing:
                    log.info("no mosaic: %s", found.missing)
                if found is not None and found.best:
                    log.info("best     %s", found.best)
        finally:
            if self._drawing is not None:
                self._drawing.end()

    def watch(self, engine: Engine) -> Engine:
        """The engine, whose jobs are looked at as they end."""
        return _Watched(engine, self.look)

    def _start(self, *, last: bool) -> "_Drawing | None":
        try:
            return _Drawing(Request(self.run.id, self.run.uri, self.pictures, last))
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
        self._warn(found)
        return None


class _Watched:
    """An engine that tells when a job has ended."""

    def __init__(self, engine: Engine, look: Callable[[], None]) -> None:
        self._engine = engine
        self._look = look

    @property
    def places(self) -> int:
        return self._engine.places

    @property
    def gpu(self) -> bool:
        return self._engine.gpu

    def execute(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[Outcome]:
        # Closed at once when this ends, Ctrl-C included: its jobs must not wait for a garbage collection.
        with closing(cast("Generator[Outcome]", self._engine.execute(function, arguments))) as outcomes:
            for outcome in outcomes:
                yield outcome
                if function is run_jobs:
                    self._look()


class _Drawing:
    """A process that records a study as it stands."""

    def __init__(self, request: Request) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOAD))
        self._receiver, sender = context.Pipe(duplex=False)
        alive, self._held = context.Pipe(duplex=False)
        self._process: BaseProcess = context.Process(target=_draw, args=(sender, alive, request))
        self._began = time.monotonic()
        self._process.start()
        sender.close()
        alive.close()

    @property
    def ended(self) -> bool:
        return self._receiver.poll()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def result(self) -> Recorded | str:
        """What it found, or why it failed, in one line; waits for it."""
        try:
            found: Recorded | str = (
                self._receiver.recv() if self._receiver.poll(LIMIT) else f"it took more than {LIMIT:.0f} s"
            )
        except EOFError:
            found = "its process ended without a word"
        else:
            self._process.join(10)  # it removes what it has downloaded
        self.end()
        return found

    def end(self) -> None:
        """Nothing is left of it."""
        self._process.kill()
        self._process.join()
        self._held.close()


def _draw(sender: Connection, alive: Connection, request: Request) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the GPUs are for the jobs
    import torch

    torch.set_num_threads(1)
    try:
        sender.send(record(request))
    except Exception as error:
        sender.send(reason(error))


def _end_with_parent(alive: Connection) -> None:
    """Reads from a pipe until its writing end, which only the parent holds, closes."""
    try:
        alive.recv()
    except (EOFError, OSError):
        os._exit(1)
