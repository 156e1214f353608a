"""The command `hourglass`, which says besides how long each callback measures after the test: see waiting.py.

    python benchmarks/timed_callbacks.py train model=vanilla training.epochs=5

A line for each, as it ends: `timed NAME SECONDS COMPUTED`, on the clock and by the process.
"""

import time
from collections.abc import Callable
from typing import Any

from hourglass import callbacks
from hourglass.commands.main import command


def timed(name: str, measure: Callable[..., None]) -> Callable[..., None]:
    """What says how long it took."""

    def measured(*given: Any) -> None:
        clock, computed = time.perf_counter(), time.process_time()
        measure(*given)
        took = time.perf_counter() - clock, time.process_time() - computed
        print(f"timed {name} {took[0]:.4f} {took[1]:.4f}", flush=True)

    return measured


if __name__ == "__main__":
    for kind in (getattr(callbacks, name) for name in callbacks.__all__):
        if isinstance(kind, type) and "on_test_end" in vars(kind):
            kind.on_test_end = timed(kind.__name__.lower(), kind.on_test_end)
    command()
