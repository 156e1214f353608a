"""Slots: places on this machine where one job runs at a time, each job in a fresh process (`system.fork_server`)."""

from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from hourglass.sweeps.settings import Slot
from hourglass.system import fork_server
from hourglass.system.fork_server import Child
from hourglass.tracking.mlflow_internals import SLOW_IMPORTS

PRELOAD = (
    *("hourglass.pipeline.train", "hourglass.sweeps.worker", "hourglass.sweeps.study", "hourglass.sweeps.fusion"),
    *("hourglass.tracking.run", "hourglass.tracking.model", "mlflow"),
    # What MLflow, scikit-learn and others import only when first used: seconds, in every job.
    *SLOW_IMPORTS,
    *("requests", "safetensors.torch", "matplotlib.backends.backend_agg"),
    *("sklearn.linear_model", "sklearn.datasets", "sklearn.neighbors", "sklearn.neural_network", "sklearn.cluster"),
    *("sklearn.manifold", "hourglass.sweeps.preload"),
)
"""What jobs import, and the drawings of a study."""


class Outcome(NamedTuple):
    """How a call of an engine ended."""

    job: int
    """The place of its argument among the arguments, from 0."""
    value: Any
    """What the function returned; None if it failed."""
    failure: str | None
    """Why it failed, in one line; None if it didn't."""
    trace: str
    """The traceback of an exception; empty otherwise."""


def execute(
    function: Callable[..., Any], arguments: Sequence[Any], *, slots: Sequence[Slot]
) -> Generator[Outcome, None, None]:
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
    start_server()
    free = list(slots)[::-1]
    waiting = list(enumerate(arguments))[::-1]
    running: dict[Connection, tuple[int, Child, Slot]] = {}
    try:
        while waiting or running:
            while waiting and free:
                (index, argument), slot = waiting.pop(), free.pop()
                gpu = {} if slot.gpu is None else {"CUDA_VISIBLE_DEVICES": slot.gpu}
                child = Child(function, argument, threads=slot.threads, environment=gpu)
                running[child.receiver] = (index, child, slot)
            ended = wait(list(running))
            for receiver in [each for each in running if each in ended]:
                index, child, slot = running[receiver]
                outcome = Outcome(index, *child.answer())
                del running[receiver]
                free.append(slot)
                yield outcome
    finally:
        fork_server.end([child for _, child, _ in running.values()])


def start_server() -> None:
    """Start the fork server, which then imports what jobs need while something else is done here."""
    fork_server.start(PRELOAD)
