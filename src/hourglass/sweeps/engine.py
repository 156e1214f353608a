"""Engines: what runs the jobs of a sweep, the slots of this machine or a Ray cluster.

An engine calls a function for each of many arguments, each in a process of its own, as many at a time as it has places.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from hourglass.sweeps.settings import Settings, Slot
from hourglass.sweeps.slots import Outcome, execute
from hourglass.system.devices import check_gpus
from hourglass.system.errors import HourglassError


class Engine(Protocol):
    """Runs jobs."""

    @property
    def places(self) -> int:
        """Jobs at a time."""

    @property
    def gpu(self) -> bool:
        """Whether a job has a GPU."""

    def execute(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Generator[Outcome, None, None]:
        """Call `function(argument)` for each argument, and yield the outcomes as they come.

        Whatever ends the iteration, Ctrl-C as well, ends the jobs that still run and gives them time to say so in their
        runs.
        """


class Local:
    """The slots of this machine."""

    def __init__(self, *, slots: Sequence[Slot]) -> None:
        self.slots = slots
        self.places = len(slots)
        self.gpu = any(slot.gpu is not None for slot in slots)

    def execute(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Generator[Outcome, None, None]:
        """See `Engine`."""
        return execute(function, arguments, slots=self.slots)


@contextmanager
def open_engine(settings: Settings, *, accelerator: str, jobs: int, uri: str, devices: int = 1) -> Iterator[Engine]:
    """The engine that the settings name, for the time of a sweep.

    Args:
        settings: the group `sweep`.
        accelerator: the jobs' `trainer.accelerator`.
        jobs: no more places than that.
        uri: where the jobs are recorded, resolved.
        devices: that one job takes, by `trainer.devices`.

    Raises:
        HourglassError: Ray is not installed, does not answer, has no room for a job, or can't reach `uri`.
    """
    if settings.engine == "local":
        check_gpus(accelerator)
        yield Local(slots=settings.slots(accelerator=accelerator, jobs=jobs, devices=devices))
        return
    if devices > 1:
        raise HourglassError(
            f"trainer.devices must be 1 with sweep.engine=ray, got {devices}: each of its tasks is one process"
        )
    from hourglass.sweeps.ray_engine import open_ray

    with open_ray(settings, accelerator=accelerator, jobs=jobs, uri=uri) as engine:
        yield engine


def ask(engine: Engine, function: Callable[..., Any], arguments: Sequence[Any], *, purpose: str) -> list[Any]:
    """What a function answers for each argument, in their order, where the jobs will run.

    What a job may use (a GPU, a data set) is what there is there, and this process imports no torch.

    Args:
        engine: where.
        function: importable from its module.
        arguments: anything that can be pickled.
        purpose: what the answers are for: `the jobs could not be {purpose}` is said where there is none.

    Raises:
        HourglassError: a process failed.
    """
    answers = {}
    for outcome in engine.execute(function, arguments):
        if outcome.failure:
            raise HourglassError(f"the jobs could not be {purpose}: {outcome.failure}", trace=outcome.trace)
        answers[outcome.job] = outcome.value
    return [answers[number] for number in range(len(arguments))]
