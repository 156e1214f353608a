"""Settings of the process: what makes training on a CPU faster, and what is said. None of them changes a number.

Measured with benchmarks/: a step of an autoencoder allocates and frees activations of several megabytes, and
glibc gives such blocks back to the system at once, so that every step pays for thousands of page faults anew.
"""

import atexit
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from hourglass.system.messages import Console, Formatter

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8  # from glibc's malloc.h


def before_torch() -> None:
    """What OpenMP reads when torch is imported: how often a waiting thread looks before it sleeps.

    By default it looks so long that two busy processes on two cores bring each other down to a hundredth of their
    speed; not looking at all costs a fifth of the speed of small nets. This is neither.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def before_training() -> None:
    """Compute 32 bits in 32 bits, keep freed memory for the next step, leave it unwritten in deterministic mode."""
    import torch

    # By default a GPU rounds the factors of convolutions to 19 bits (TF32), as it doesn't those of other products.
    torch.backends.cudnn.allow_tf32 = False

    # Torch fills every new tensor in deterministic mode, to make the use of uninitialized memory repeatable; there
    # is none here, as the equality of repeated runs shows.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Lightning sets this so that a process may still fork. With it, every optimizer step asks the NVIDIA library anew
    # whether there is a GPU, which costs a small net on a machine without one a sixth of its speed.
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # glibc; other C libraries have other allocators
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
            libc.mallopt(_M_TOP_PAD, 1 << 26)


def before_strands() -> None:
    """Let threads that take turns use the same freed memory: by default each keeps what it freed to itself."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_ARENA_MAX, 1)


_exit_code: int | None = None


def end_at_once() -> None:
    """Let this process end when all that was to be done at its end is done; to be called before anything is imported.

    Taking apart what a training has imported takes Python over a second, in which a person waits for the prompt. What
    is registered first with `atexit` is called last: after all threads have ended and all other such calls.
    """

    def end() -> None:
        if _exit_code is None:  # something was raised, which Python has still to say
            return
        logging.shutdown()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            os._exit(120)  # as Python says that what was printed could not be written
        os._exit(_exit_code)

    atexit.register(end)


def ends_with(code: int) -> int:
    """The exit code with which this process is going to end; returns it."""
    global _exit_code
    _exit_code = code
    return code


@contextmanager
def importing() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM end the process there and then, and nothing is searched for garbage.

    An import that an exception cuts off breaks in ways of its own, or goes on as if nothing had been. Nothing may have
    been begun that would have to be ended.

    What is imported lives as long as the process. Python searches it for garbage again and again while it grows, which
    is a fifth of the time of all imports, and would go on doing so: afterwards it is frozen.
    """

    def end(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            os.write(2, b"hourglass: interrupted\n")
        os._exit(128 + number)

    mine = threading.current_thread() is threading.main_thread()
    heard = [each for each in (signal.SIGINT, signal.SIGTERM) if mine and signal.getsignal(each) != signal.SIG_IGN]
    before = {each: signal.signal(each, end) for each in heard}
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if searched:
            gc.enable()
        for each, handler in before.items():
            signal.signal(each, handler)


_whole = threading.RLock()


@contextmanager
def whole() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM wait: what is done here, in seconds at most, is done wholly.

    An exception in the middle of a database's transaction may leave it open, and the database locked for everybody;
    or another error takes its place, or it is lost.
    """
    with _whole, signals_wait():
        yield


@contextmanager
def signals_wait() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM wait, where they would raise something."""
    came: list[tuple[int, FrameType | None]] = []

    def pass_on(number: int, handler: Callable[[int, FrameType | None], Any]) -> None:
        for each, frame in came:
            if each == number:
                handler(number, frame)

    with ExitStack() as afterwards:  # which does each of these, also after one that raises
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if threading.current_thread() is threading.main_thread() and callable(handler):
                afterwards.callback(pass_on, number, handler)
                afterwards.callback(signal.signal, number, handler)
                signal.signal(number, lambda number, frame: came.append((number, frame)))
        yield


def raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise an exception in another thread, but not in the middle of what that does wholly."""
    with _whole:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error))


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C stays a KeyboardInterrupt, of which Lightning makes another end."""
    try:
        yield
    except SystemExit as end:
        raise (KeyboardInterrupt() if end.code == 1 else end) from end


def raise_at_sigterm() -> None:
    """From now on SIGTERM raises SystemExit, so that a run can say that it ended; the exit code says what ended it."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Within, SIGTERM raises SystemExit, unless the process has a handler already."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    raise_at_sigterm()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def show_messages() -> None:
    """Let the package's own messages be seen, where Hydra doesn't see to it."""
    console = Console()
    console.setFormatter(Formatter("%(message)s"))
    logging.basicConfig(handlers=[console])
    logging.getLogger("hourglass").setLevel(logging.INFO)


def silence_libraries() -> None:
    """Silence what Lightning and its like say that is no news; to be called once they are imported."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torch\.optim|torch\.utils\._pytree")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    # Torch's own first derivative forwards makes scripts of its rules.
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
