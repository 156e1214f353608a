"""Planning: which jobs train as a stack, and how many train at a time, by what was measured just before.

`sweep.max_stack=auto` tries, in the places where the jobs will train and in all of them at once, one by one against
stacks; on a CPU also one job at a time with all threads, unless `sweep.workers` says otherwise. With p places at a time
that make r model-steps per second together, n jobs of equal length take a time in proportion to

    ceil(n / p) p / r

The most numerous jobs that could share a stack speak for all. It takes about ten seconds, so a sweep that would end
in a minute does without: its jobs go in small stacks, which share one process and its start, half a second of a core
for each (benchmarks/README.md).
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hourglass.sweeps.engine import Engine, Local, ask
from hourglass.sweeps.job import Job
from hourglass.sweeps.settings import Settings, Slot
from hourglass.system.errors import HourglassError, first_line

log = logging.getLogger("hourglass")

WORTH_MEASURING = 60.0
"""Seconds that a sweep takes, one by one, from which on it is measured how it could take less."""
SECONDS = 0.5
"""That each way is measured for."""
LARGEST_STACK = 64
"""The most members of a stack that is tried: more gain nothing on a CPU, and share every failure."""
SMALL_STACK = 8
"""Members of a stack whose activations stay in a core's cache longer than those of a large one: tried too, and taken
untried for a short sweep."""
WORTH = 1.2
"""How many times as fast stacks must be: their members share a process, and with it whatever kills that, and what half
a second measures may be a tenth off."""


class Way(NamedTuple):
    """How jobs may train."""

    places: int
    """Processes at a time."""
    stack: int
    """Members of each one's stack; 1: one by one."""


class Plan(NamedTuple):
    """What `sweep` goes by."""

    groups: Sequence[tuple[Job, ...]]
    """Those that train as one stack, or single ones."""
    alone: Mapping[str, int]
    """Why single jobs train alone, and how many do for each reason."""
    engine: Engine
    """Where they train."""


def plan(jobs: Sequence[Job], settings: Settings, engine: Engine) -> Plan:
    """Jobs in stacks, and where they train.

    Raises:
        HourglassError: the process that was asked to sort failed.
    """
    default = settings.largest_stack(gpu=engine.gpu)
    one_by_one = [(job,) for job in jobs]
    if len(jobs) < 2 or settings.max_stack == 1:
        return Plan(one_by_one, {}, engine)
    largest = default
    if settings.max_stack == "auto":
        common = max((group for group, _ in _sorted(jobs, None, 1, engine)), key=len)
        if len(common) > 1:
            try:
                engine, largest = _measured(common, len(jobs), settings, engine, default)
            except HourglassError as error:  # one bad job must not end the others: it fails again, but alone
                log.warning("one by one, because it could not be measured what is faster: %s", first_line(error))
                return Plan(one_by_one, {}, engine)
    if largest == 1:
        return Plan(one_by_one, {}, engine)
    found = _sorted(jobs, largest, engine.places, engine)
    return Plan([group for group, _ in found], Counter(reason for _, reason in found if reason is not None), engine)


def choose(rates: Mapping[Way, float], *, jobs: int) -> Way:
    """The way that takes the least time, but one by one unless a stack is `WORTH` times as fast.

    Args:
        rates: model-steps per second of all places together; one of the ways at least is one by one.
        jobs: how many there are, at least 1.
    """
    seconds = {way: -(-jobs // way.places) * way.places / rate for way, rate in rates.items()}
    alone = min((way for way in seconds if way.stack == 1), key=seconds.__getitem__)
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] * WORTH <= seconds[alone] else alone


def _measured(jobs: Sequence[Job], total: int, settings: Settings, engine: Engine, default: int) -> tuple[Engine, int]:
    """Where jobs that could share a stack train, and the most of one."""
    places = engine.places
    configs = [job.config for job in jobs]
    sharing = settings.slots_per_gpu if engine.gpu else places
    ((seconds, fits),) = ask(engine, _length, [(configs, sharing)], purpose="planned")
    if seconds * total / places < WORTH_MEASURING:
        return engine, min(max(default, SMALL_STACK), fits)
    largest = min(fits, LARGEST_STACK, -(-len(jobs) // places))
    sizes = sorted({1, min(SMALL_STACK, largest), largest})
    parts = [configs[len(jobs) * at // places : len(jobs) * (at + 1) // places] or configs for at in range(places)]
    rates = _rates(engine, parts, sizes)
    way = choose(rates, jobs=len(jobs))
    threaded = Local(slots=[Slot(gpu=None, threads=len(os.sched_getaffinity(0)))])
    if settings.engine == "local" and not engine.gpu and settings.workers is None and places > 1:
        rates |= _rates(threaded, [configs], [1])
        way = choose(rates, jobs=len(jobs))
        if way.places == 1:
            # The machine may have been busy while there were several, and not when there was one: they try again.
            rates |= {each: max(rate, rates[each]) for each, rate in _rates(engine, parts, sizes).items()}
            way = choose(rates, jobs=len(jobs))
    log.info("%s", _sentence(way, rates))
    return (engine if way.places == places else threaded), way.stack


def _rates(engine: Engine, parts: Sequence[Sequence[Mapping[str, Any]]], sizes: Sequence[int]) -> dict[Way, float]:
    """Model-steps per second of all places together by size of stack; each place has its part of the jobs."""
    rates: dict[Way, float] = {}
    for measured in ask(engine, _measure, [(part, sizes) for part in parts], purpose="planned"):
        for size, rate in measured.items():
            way = Way(len(parts), size)
            rates[way] = rates.get(way, 0.0) + rate
    return rates


def _sentence(way: Way, rates: Mapping[Way, float]) -> str:
    """`stacks of 12, 2 at a time: measured 1.31 times as fast as single jobs, 2 at a time; ...`."""
    others = [f"{rates[way] / rate:.2f} times as fast as {_words(each)}" for each, rate in rates.items() if each != way]
    return f"{_words(way)}: measured {'; '.join(others)}"


def _words(way: Way) -> str:
    return f"{f'stacks of {way.stack}' if way.stack > 1 else 'single jobs'}, {way.places} at a time"


def _sorted(
    jobs: Sequence[Job], largest: int | None, places: int, engine: Engine
) -> list[tuple[tuple[Job, ...], str | None]]:
    """Jobs in stacks of at most so many, to train so many at a time; of single ones why they are."""
    (found,) = ask(engine, _sort, [([job.config for job in jobs], largest, places)], purpose="planned")
    return [(tuple(jobs[number] for number in group), reason) for group, reason in found]


def _sort(
    request: tuple[Sequence[Mapping[str, Any]], int | None, int],
) -> list[tuple[tuple[int, ...], str | None]]:
    """`fusion.fusable` without the jobs that a stack would slow down, in a process that may import torch.

    The answer is of plain tuples, because the parent reads it without torch.
    """
    from hourglass.sweeps.fusion import fusable, not_worth

    configs, largest, places = request
    slow = {number: reason for number, config in enumerate(configs) if (reason := not_worth(config)) is not None}
    rest = [number for number in range(len(configs)) if number not in slow]
    groups = fusable([configs[number] for number in rest], largest=largest, places=places)
    return [
        *((tuple(rest[at] for at in group.jobs), group.reason) for group in groups),
        *(((number,), reason) for number, reason in slow.items()),
    ]


def _length(request: tuple[Sequence[Mapping[str, Any]], int]) -> tuple[float, int]:
    """`fusion.benchmark.length`, likewise."""
    from hourglass.sweeps.fusion import benchmark
    from hourglass.system import process

    process.before_training()
    process.silence_libraries()
    configs, sharing = request
    found = benchmark.length(configs, sharing=sharing)
    return found.seconds, found.fits


def _measure(request: tuple[Sequence[Mapping[str, Any]], Sequence[int]]) -> dict[int, float]:
    """`fusion.benchmark.measure`, likewise."""
    from hourglass.sweeps.fusion import benchmark
    from hourglass.system import process

    process.before_training()
    process.silence_libraries()
    configs, sizes = request
    return benchmark.measure(configs, sizes=sizes, seconds=SECONDS)
