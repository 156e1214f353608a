"""Slots: places on this machine where one job runs at a time, each job in a fresh process.

Processes are forked from a server that has imported torch, Lightning and MLflow once, so that a job starts in
milliseconds instead of ten seconds, and shares nothing with the jobs before it: an exception, a kill or a lack of
memory ends that job alone.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from hourglass.sweeps.settings import Slot, visible_gpus
from hourglass.system import leash
from hourglass.system.errors import HourglassError, reason
from hourglass.system.passwords import VARIABLE, without_passwords
from hourglass.system.temporary import temporary_folder
from hourglass.tracking.mlflow_internals import SLOW_IMPORTS

PRELOAD = (
    "hourglass.system.leash",
    *("hourglass.pipeline.train", "hourglass.sweeps.jobs", "hourglass.sweeps.study", "hourglass.sweeps.fusion"),
    *("hourglass.tracking.run", "hourglass.tracking.model", "mlflow"),
    # What MLflow, scikit-learn and others import only when first used: seconds, in every job.
    *SLOW_IMPORTS,
    *("requests", "safetensors.torch", "matplotlib.backends.backend_agg"),
    *("sklearn.linear_model", "sklearn.datasets", "sklearn.neighbors", "sklearn.neural_network", "sklearn.cluster"),
    *("sklearn.manifold", "hourglass.sweeps.preload"),
)
_LONGEST = 70  # bytes of a folder's name: those of a socket's are 107 at most, 33 of them multiprocessing's own
_PATIENCE = 20.0  # seconds that a process has to record its end before it is killed


class Outcome(NamedTuple):
    """How a job ended."""

    job: int
    """Its place among the arguments, from 0."""
    value: Any
    """What the function returned; None if it failed."""
    failure: str | None
    """Why it failed, in one line; None if it didn't."""
    trace: str
    """The traceback of an exception; empty otherwise."""


def check_gpus(accelerator: str) -> None:
    """Every GPU that is asked for must be there: a job that finds none would quietly train on a CPU.

    Args:
        accelerator: the jobs' `trainer.accelerator`.

    Raises:
        HourglassError: a GPU is asked for where there is none; CUDA_VISIBLE_DEVICES names one that isn't there.
    """
    if accelerator == "cpu":
        return
    named = visible_gpus()
    if not named and accelerator in ("gpu", "cuda"):
        raise HourglassError(
            f"trainer.accelerator={accelerator} needs a CUDA device, and there is none here;"
            " set trainer.accelerator=cpu or auto"
        )
    if named and "CUDA_VISIBLE_DEVICES" in os.environ:
        import torch

        found = torch.cuda.device_count()
        if found < len(named):
            raise HourglassError(
                f"CUDA_VISIBLE_DEVICES must name GPUs of this machine, got {','.join(named)}, of which CUDA finds"
                f" {found}; or set trainer.accelerator=cpu"
            )


def execute(function: Callable[..., Any], arguments: Sequence[Any], *, slots: Sequence[Slot]) -> Iterator[Outcome]:
    """Call `function(argument)` for each argument, one at a time in each slot, and yield the outcomes as they come.

    Whatever ends the iteration, Ctrl-C as well, ends the jobs that still run: they get SIGTERM, and time to say so in
    their runs.

    Args:
        function: importable from its module.
        arguments: anything that can be pickled.
        slots: where jobs run, at least one.
    """
    if not slots:
        raise ValueError("slots must hold at least one place, got none")
    free = list(slots)[::-1]
    context = multiprocessing.get_context("forkserver")
    start_server()
    waiting = list(enumerate(arguments))[::-1]
    running: dict[Connection, tuple[int, BaseProcess, Slot]] = {}
    # A child reads from this pipe until its writing end, which only this process holds, closes.
    alive, held = context.Pipe(duplex=False)
    store = os.environ.get(VARIABLE)  # the fork server may be older than what it says now
    try:
        while waiting or running:
            while waiting and free:
                (index, argument), slot = waiting.pop(), free.pop()
                receiver, sender = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(
                    target=_child, args=(sender, alive, slot, store, function, argument)
                )
                process.start()
                sender.close()
                running[receiver] = (index, process, slot)
            ended = wait(list(running))
            for receiver in [each for each in running if each in ended]:
                index, process, slot = running.pop(receiver)
                outcome = _outcome(index, process, receiver)
                free.append(slot)
                yield outcome
    finally:
        _end([process for _, process, _ in running.values()])
        for receiver in running:
            receiver.close()
        alive.close()
        held.close()


def start_server() -> None:
    """Start the fork server unless it runs, without waiting for what it imports.

    Ctrl-C means nothing to it, even while it imports: the parent passes it on.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOAD))
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may say what a signal means
    before, elsewhere = signal.signal(signal.SIGINT, signal.SIG_IGN), tempfile.tempdir
    os.environ[leash.PARENT] = str(os.getpid())
    if len(os.fsencode(temporary_folder())) <= _LONGEST:
        tempfile.tempdir = str(temporary_folder())  # for its socket: of a command that is killed, the next removes it
    try:
        forkserver.ensure_running()
    finally:
        tempfile.tempdir = elsewhere
        del os.environ[leash.PARENT]
        signal.signal(signal.SIGINT, before)


def _outcome(index: int, process: BaseProcess, receiver: Connection) -> Outcome:
    value, failure, trace = None, None, ""
    try:
        value, failure, trace = receiver.recv()
        process.join()
    except (EOFError, OSError):  # it ended without a word, or in the middle of it
        process.join()
        code = process.exitcode or 0
        failure = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    receiver.close()
    process.close()
    return Outcome(index, value, failure, trace)


def _end(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _child(
    sender: Connection, alive: Connection, slot: Slot, store: str | None, function: Callable[..., Any], argument: Any
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent passes it on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=_die_with_parent, args=(alive,), daemon=True).start()
    os.environ.pop(VARIABLE, None)
    if store is not None:
        os.environ[VARIABLE] = store
    if slot.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot.gpu  # before CUDA starts
    import torch

    torch.set_num_threads(slot.threads)
    try:
        sender.send((function(argument), None, ""))
    except BaseException as error:
        with suppress(OSError):  # a parent that was killed hears no more
            sender.send((None, reason(error), without_passwords(traceback.format_exc())))


def _die_with_parent(alive: Connection) -> None:
    try:
        alive.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
