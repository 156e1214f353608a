"""The time that a training takes, less what isn't training: validation, pictures, the turns of others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Clock"]


class Clock:
    """Adds up seconds while it runs.

    Example:
        >>> clock = Clock(seconds=2.0)
        >>> clock.add(0.5)
        >>> clock.seconds
        2.5

    Args:
        seconds: that it has counted already.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._started: float | None = None

    def start(self) -> None:
        """Let it run."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Add what has passed since the start, if it runs."""
        if self._started is not None:
            self.seconds += time.perf_counter() - self._started
            self._started = None

    def add(self, seconds: float) -> None:
        """Add time that something else has measured."""
        self.seconds += seconds

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within, it stands still; afterwards it runs, unless there was an error."""
        self.stop()
        yield
        self.start()
