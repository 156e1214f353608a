"""Processes that start in milliseconds: forked from a server that has imported what is slow to import, once.

A child calls one function and sends back how that ended: (value, failure, trace). It shares nothing with other
children, so an exception, a kill or a lack of memory ends it alone. What signals mean to it:

    Ctrl-C    nothing, though the terminal sends it to the whole group: its parent ends it, if it wants to
    SIGTERM   raises SystemExit, so that it can say in its run that it ended

SIGTERM is also what it sends itself when its parent ends, however that does: a pipe closes that the parent held.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, NamedTuple

from hourglass.system import leash
from hourglass.system.environment import FOLLOWED, change, restored
from hourglass.system.errors import reason
from hourglass.system.passwords import without_passwords
from hourglass.system.process import raise_at_sigterm
from hourglass.system.temporary import temporary_folder

PATIENCE = 20.0
"""Seconds that a child has to record its end before it is killed."""

_LONGEST = 70  # bytes of a folder's name: those of a socket's are 107 at most, 33 of them multiprocessing's own


def start(preload: Sequence[str]) -> None:
    """Start the server unless it runs, without waiting for what it imports.

    Ctrl-C means nothing to it, even while it imports: the parent passes it on.

    Args:
        preload: names of the modules that it imports; one that can't be imported is left out.
    """
    modules = ["hourglass.system.leash", *preload, "hourglass.system.loose"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may say what a signal means
    before, elsewhere = signal.signal(signal.SIGINT, signal.SIG_IGN), tempfile.tempdir
    if len(os.fsencode(temporary_folder())) <= _LONGEST:
        tempfile.tempdir = str(temporary_folder())  # for its socket: of a command that is killed, the next removes it
    try:
        with restored(leash.PARENT):
            os.environ[leash.PARENT] = str(os.getpid())
            forkserver.ensure_running()
    finally:
        tempfile.tempdir = elsewhere
        signal.signal(signal.SIGINT, before)


class Answer(NamedTuple):
    """How a child's function ended."""

    value: Any
    """What it returned; None if it failed."""
    failure: str | None
    """Why it failed, in one line; None if it didn't."""
    trace: str
    """The traceback of an exception; empty otherwise."""


class Child:
    """A process that calls `function(argument)`; `start` has been called before.

    Args:
        function: importable from its module.
        argument: anything that can be pickled.
        threads: that torch uses.
        environment: variables that are set before anything else, such as CUDA_VISIBLE_DEVICES.

    Raises:
        OSError, EOFError: there is no memory for a process, or no server to fork it.
    """

    def __init__(
        self, function: Callable[..., Any], argument: Any, *, threads: int, environment: Mapping[str, str]
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        self.receiver, sender = context.Pipe(duplex=False)
        # The child reads from this pipe until its writing end, which only this process holds, closes.
        alive, self._held = context.Pipe(duplex=False)
        # The server may be older than what these variables say now.
        variables: dict[str, str | None] = {**{name: os.environ.get(name) for name in FOLLOWED}, **environment}
        self._process = context.Process(target=_child, args=(sender, alive, threads, variables, function, argument))
        self._closed = False
        with _without_main():
            self._process.start()
        sender.close()
        alive.close()

    def answer(self) -> Answer:
        """How its function ended; waits for it."""
        try:
            found = Answer(*self.receiver.recv())
            self._process.join(PATIENCE)  # it removes what it has downloaded
        except (EOFError, OSError):  # it ended without a word, or in the middle of it
            self._process.join()
            code = self._process.exitcode or 0
            failure = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            found = Answer(None, failure, "")
        end([self], patience=0.0)
        return found


@contextmanager
def _without_main() -> Iterator[None]:
    """Within, a process that starts is told of no main module.

    It would run that anew, and with it a person's script, which would start such processes itself.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def end(children: Sequence[Child], *, patience: float = PATIENCE) -> None:
    """End what still runs of these, and close what they hold.

    Args:
        children: any; of one that has ended nothing is left.
        patience: seconds that they have to say that they ended, before they are killed.
    """
    left = [child for child in children if not child._closed]
    for child in left:
        child._process.terminate()
    deadline = time.monotonic() + patience
    for child in left:
        child._process.join(max(0.0, deadline - time.monotonic()))
        if child._process.is_alive():
            child._process.kill()
            child._process.join()
        child._closed = True
        child._process.close()
        child.receiver.close()
        child._held.close()


def _child(
    sender: Connection,
    alive: Connection,
    threads: int,
    variables: dict[str, str | None],
    function: Callable[..., Any],
    argument: Any,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_at_sigterm()
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    change(variables)  # before CUDA starts
    import torch

    torch.set_num_threads(threads)
    try:
        sender.send(Answer(function(argument), None, ""))
    except BaseException as error:
        with suppress(OSError):  # a parent that was killed hears no more
            sender.send(Answer(None, reason(error), without_passwords(traceback.format_exc())))


def _end_with_parent(alive: Connection) -> None:
    try:
        alive.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
