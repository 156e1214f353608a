"""Probe: how fast jobs train in this process as stacks of several sizes, and one by one, in model-steps per second.

Members are the jobs' own, on their own data; nothing is recorded. It measures what the machine does at this moment, so
whatever will run beside it should run beside the probe too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from itertools import cycle, islice
from typing import Any, NamedTuple, cast

from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.build import build
from hourglass.data import Dataset
from hourglass.pipeline.compose import compose
from hourglass.pipeline.trainer import make_trainer
from hourglass.sweeps.fusion.lockstep import template_of
from hourglass.sweeps.fusion.memory import fitting, free_bytes, member_bytes
from hourglass.training.batches import Chunk
from hourglass.training.lightning_internals import device_of, placed, step_precision
from hourglass.training.minibatch import Minibatch
from hourglass.training.stacks import Played, Stack

DISTINCT = 8
"""Jobs that are composed for a probe; a larger stack has copies of them."""
STEPS = 5
"""Of a chunk."""


class Length(NamedTuple):
    """How much there is to do and to hold."""

    seconds: float
    """A job's steps, one by one, in a process with nothing beside it."""
    fits: int
    """The most members of a stack for which there is memory."""


def length(configs: Sequence[Mapping[str, Any]], *, sharing: int) -> Length:
    """Seconds of a job and the largest stack that fits, by a few steps of the largest of the jobs.

    Args:
        configs: resolved, of jobs of one structure, smaller ones first.
        sharing: processes that will train on the same device at a time.
    """
    bench = _Bench(configs[-1:])
    (learner,), chunk = bench.learners, bench.chunk
    with bench.precision():
        member = member_bytes(learner, chunk)
        rate = bench.rates({1: bench.alone}, 0.1)[1]
    return Length(learner.steps / rate, fitting(member, free=free_bytes(chunk.x.device), sharing=sharing))


def measure(configs: Sequence[Mapping[str, Any]], *, sizes: Sequence[int], seconds: float) -> dict[int, float]:
    """Model-steps per second by size of stack, measured in turns, so that a ratio is one of the same moment.

    Args:
        configs: resolved, of jobs of one structure, smaller ones first.
        sizes: of stacks; 1: one by one.
        seconds: to measure each of them for, at least.
    """
    bench = _Bench(configs)
    works = {size: bench.alone if size == 1 else bench.stacked(size) for size in sizes}
    with bench.precision():
        return bench.rates(works, seconds)


class _Bench:
    """Some of the jobs, ready to make steps."""

    def __init__(self, configs: Sequence[Mapping[str, Any]]) -> None:
        count = min(DISTINCT, len(configs))
        # The largest is always among them: all others are padded to it.
        spread = [configs[(at + 1) * len(configs) // count - 1] for at in range(count)]
        self.configs = [OmegaConf.create(dict(each)) for each in spread]
        self.trainer = make_trainer(OmegaConf.create({"trainer": self.configs[0].trainer, "callback": {}}))
        self.device = device_of(self.trainer)
        self.data: Dataset = build(self.configs[0].data)
        self.learners = [self._learner(config) for config in self.configs]
        self.steppers = [Played() for _ in self.learners]
        first = self.learners[0]
        x = self.data.train.x[: STEPS * first.settings.batch_size].to(self.device)
        y = self.data.train.y if first.labelled else None
        noisy = first.noise(self.data.scaled(x)) if first.noise.frozen else None
        self.chunk = Chunk(x, noisy, None if y is None else y[: len(x)].to(self.device))

    def _learner(self, config: DictConfig) -> Minibatch:
        learner = cast(Minibatch, compose(config, data=self.data).learner)
        learner = cast(Minibatch, placed(self.trainer, learner).train())
        learner.configure_optimizers()
        return learner

    def precision(self) -> AbstractContextManager[None]:
        """In which steps are made."""
        return step_precision(self.trainer)

    def alone(self) -> int:
        """The steps of a chunk by each, one after another, as a single training makes them; how many."""
        steppers = zip(self.steppers, self.learners, strict=True)
        return sum(len(stepper(learner, self.chunk)["loss"].tolist()) for stepper, learner in steppers)

    def stacked(self, size: int) -> Callable[[], int]:
        """What makes the steps of a chunk as a stack, and says how many model-steps these are."""
        # Their own optimizers are copied with them; the data set isn't.
        members = [deepcopy(each, {id(self.data): self.data}) for each in islice(cycle(self.learners[::-1]), size)]
        stack = Stack(members=members, template=template_of(members, self.configs[-1:], self.data))
        return lambda: sum(len(terms["loss"]) for terms in stack.advance([self.chunk] * size))

    def rates(self, works: Mapping[int, Callable[[], int]], seconds: float) -> dict[int, float]:
        """Steps per second of each, after one call that isn't measured."""
        for work in works.values():
            work()
        done, spent = dict.fromkeys(works, 0), dict.fromkeys(works, 0.0)
        while min(spent.values()) < seconds:
            for size, work in works.items():
                began = time.perf_counter()
                done[size] += work()
                spent[size] += time.perf_counter() - began
        return {size: done[size] / spent[size] for size in works}
