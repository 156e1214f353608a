"""What a fork server imports first: while it imports the rest, for seconds, it ends at once if its parent does.

A fork server can be told nothing but which modules to import. So what it does for itself stands in the body of a
module: here, at the start, and in `loose`, at the end.
"""

import ctypes
import gc
import os
import signal
import sys
import threading

PARENT = "HOURGLASS_SWEEP"
"""The variable of the environment that says the parent's number."""

_PR_SET_PDEATHSIG = 1  # from Linux's prctl.h
_loose = threading.Event()


def fasten(parent: int) -> None:
    """End this process if that parent does, or has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def watch(parent: int) -> None:
    """The same, where the system has no signal for it."""
    while not _loose.wait(0.2):
        if os.getppid() != parent:
            os._exit(1)


def loosen() -> None:
    """From now on `multiprocessing` has the server watch a pipe that only the parent holds.

    The signal would also come when only the thread ends that started this process.
    """
    _loose.set()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


if PARENT in os.environ:
    fasten(int(os.environ[PARENT]))
    gc.disable()  # a fifth of the time of all imports; `loose` enables it
