"""Strands: functions that take turns in one process, each in a thread of its own, of which only one runs at a time.

A strand runs while `resume` waits for it, and stops where it calls `pause`, however deep in foreign code that is: a
coroutine for code that knows none. What is global in a process though each training has its own, random numbers above
all, is exchanged at every turn.
"""

import random
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from hourglass.system import process

T = TypeVar("T")


class Stopped(SystemExit):
    """Ends a strand where it is, as Ctrl-C ends a training."""

    def __init__(self) -> None:
        super().__init__(1)


class Strand(Generic[T]):
    """A function that takes turns with whoever calls `resume`.

    Args:
        function: gets the strand itself, to pause with.
        name: of the thread.
    """

    def __init__(self, function: Callable[["Strand[T]"], T], *, name: str) -> None:
        self.question: Any = None
        """What the strand paused with; None once it has ended."""
        self.value: T | None = None
        """What the function returned."""
        self.error: BaseException | None = None
        """What the function raised."""
        self._function = function
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._turn, self._over = threading.Semaphore(0), threading.Semaphore(0)
        self._answer: Any = None
        self._raised: BaseException | None = None
        self._state = _State()

    @property
    def ended(self) -> bool:
        """Whether the function has returned or raised."""
        return self._thread.ident is not None and self.question is None

    def resume(self, answer: Any = None, *, error: BaseException | None = None) -> None:
        """Let it run until it pauses again or ends; `pause` returns the answer there, or raises the error."""
        outside = _State()
        self._state.restore()
        self._answer, self._raised, self.question = answer, error, None
        try:
            with process.signals_wait():  # until it runs
                if self._thread.ident is None:
                    self._thread.start()
                else:
                    self._turn.release()
            self._over.acquire()
        except BaseException:
            # A signal reached this thread while the strand runs: the strand is told, and gets to its end first.
            with process.signals_wait():
                process.raise_in(self._thread, Stopped)
                self._over.acquire()
            raise
        finally:
            self._state = _State()
            outside.restore()

    def pause(self, question: Any) -> Any:
        """To be called by the function: stop here until `resume`, and return its answer."""
        self.question = question
        self._over.release()
        self._turn.acquire()
        if self._raised is not None:
            raise self._raised
        return self._answer

    def _run(self) -> None:
        try:
            self.value = self._function(self)
        except BaseException as error:  # for whoever resumed it
            self.error = error
        finally:
            self.question = None
            self._over.release()


class _State:
    """Random numbers and the default type, as they are now."""

    def __init__(self) -> None:
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        self.numpy = np.random.get_state()
        self.python = random.getstate()
        self.dtype = torch.get_default_dtype()

    def restore(self) -> None:
        torch.set_rng_state(self.torch)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)
        np.random.set_state(self.numpy)
        random.setstate(self.python)
        torch.set_default_dtype(self.dtype)
