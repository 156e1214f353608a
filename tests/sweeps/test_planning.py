"""Planning: the fastest way by hand, and by measuring real jobs in real processes."""

import logging
from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from hourglass.configuration.composition import compose_config
from hourglass.sweeps.engine import Local
from hourglass.sweeps.job import Job
from hourglass.sweeps.planning import Way, choose, plan
from hourglass.sweeps.settings import Settings, Slot

ALONE, SERIAL, STACKS = Way(2, 1), Way(1, 1), Way(2, 12)


@pytest.mark.parametrize(
    ("rates", "jobs", "expected"),
    [
        ({ALONE: 100.0, STACKS: 131.0}, 24, STACKS),  # 24 / 131 s against 24 / 100
        ({ALONE: 100.0, STACKS: 109.0}, 24, ALONE),  # not worth a shared process
        ({ALONE: 100.0, SERIAL: 60.0}, 24, ALONE),
        ({ALONE: 100.0, SERIAL: 60.0}, 1, SERIAL),  # 1 / 60 s against 2 / 100: one place would idle
        ({ALONE: 100.0, SERIAL: 80.0}, 3, SERIAL),  # 3 / 80 s against 4 / 100
        ({ALONE: 100.0, SERIAL: 120.0, STACKS: 125.0}, 24, SERIAL),
        ({ALONE: 100.0, Way(2, 8): 140.0, STACKS: 131.0}, 24, Way(2, 8)),
    ],
)
def test_the_way_that_takes_the_least_time_is_chosen(rates: dict[Way, float], jobs: int, expected: Way) -> None:
    assert choose(rates, jobs=jobs) == expected


def jobs(epochs: int) -> list[Job]:
    made = []
    for number, size in enumerate((4, 2, 8, 16, 3)):
        words = ["data=digits", "trainer.accelerator=cpu", f"training.epochs={epochs}", f"model.code_size={size}"]
        config, choices = compose_config(words)
        whole = OmegaConf.to_container(config, resolve=True)
        made.append(Job(number=number, overrides=(), config=whole, choices=choices, folder=str(number)))  # type: ignore[arg-type]
    return made


def settings(max_stack: int | str, workers: int | None = None) -> Settings:
    config, _ = compose_config([f"sweep.max_stack={max_stack}"])
    values = {key: value for key, value in config.sweep.items() if key != "_target_"}
    return Settings(**{**values, "workers": workers})


@pytest.mark.slow
def test_a_long_sweep_is_measured_and_a_short_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hourglass")
    engine = Local(slots=[Slot(gpu=None, threads=1)] * 2)
    short = plan(jobs(1), settings("auto"), engine)
    assert [len(group) for group in short.groups] == [3, 2]
    assert short.engine is engine
    assert "measured" not in caplog.text
    long = jobs(1_000_000)
    measured = plan(long, settings("auto", workers=2), engine)
    assert "times as fast as" in caplog.text
    assert sorted(job.number for group in measured.groups for job in group) == list(range(5))
    assert measured.engine is engine  # because `workers` is given
    fixed = plan(long, settings(2), engine)
    assert [[job.config["model"]["code_size"] for job in group] for group in fixed.groups] == [[8, 16], [4], [3], [2]]


@pytest.mark.long
def test_what_can_not_be_measured_trains_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    engine = Local(slots=[Slot(gpu=None, threads=1)] * 2)
    broken = [replace(job, config={**job.config, "data": {**job.config["data"], "train_size": -1}}) for job in jobs(1)]
    planned = plan(broken, settings("auto"), engine)
    assert planned.groups == [(job,) for job in broken]
    assert "one by one, because it could not be measured what is faster" in caplog.text
    assert "train_size" in caplog.text
