"""Faults of processes, each really done: what fails, fails alone; statuses are true; the rest is made up for."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
import pytest
from omegaconf import OmegaConf

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.identity import config_hash
from hourglass.sweeps import Slot, execute
from hourglass.sweeps.job import End, Job
from hourglass.sweeps.sweep import sweep
from hourglass.tracking import Run, initialise_store, search_runs

SMALL = (
    *("data=digits", "data.train_size=200", "training.epochs=1", "trainer.accelerator=cpu"),
    *("callback=quick", "sweep.workers=2", "sweep.max_stack=1"),
)
PATIENCE = 240.0  # seconds


class Place:
    """A folder with a database, and a folder of traps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.traps = folder / "traps"
        self.traps.mkdir(exist_ok=True)
        self.uri = f"sqlite:///{folder}/mlflow.db"

    def words(self, *more: str) -> list[str]:
        trap = ["+noise.trap._target_=traps.Trap", f"+noise.trap.folder={self.traps}", "+noise.trap.job=0"]
        return [*SMALL, *trap, f"tracking.uri={self.uri}", *more]

    def sweep(self, count: int, *words: str, axis: str = "noise.trap.job") -> dict[str, End]:
        """A sweep over an axis from 0, without Hydra; how the jobs ended, by their overrides."""
        config, choices = compose_config(self.words(*words))
        jobs = []
        for number in range(count):
            OmegaConf.update(config, axis, number)
            whole: Any = OmegaConf.to_container(config, resolve=True)
            folder = self.folder / "jobs" / str(number)
            jobs.append(
                Job(number=number, overrides=(f"job={number}",), config=whole, choices=choices, folder=str(folder))
            )
        ends = sweep(
            jobs,
            build(config.sweep),
            varied={axis: [str(number) for number in range(count)]},
            identity=config_hash({"words": words}),
            name="faults",
        ).ends
        return {job.overrides[0]: ends[job.key] for job in jobs}

    def runs(self, kind: str = "training") -> list[Any]:
        if not (self.folder / "mlflow.db").exists():
            return []
        return search_runs(self.uri, None, f"tags.kind = '{kind}'")

    def statuses(self) -> dict[str, int]:
        return dict(Counter(run.info.status for run in self.runs()))

    def trap(self, *names: str) -> None:
        for name in names:
            (self.traps / name).touch()

    def clear(self) -> None:
        for path in self.traps.iterdir():
            path.unlink()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """test/mse of each job of a sweep to which nothing happens."""
    return errors(Place(tmp_path_factory.mktemp("undisturbed")).sweep(6))


def errors(ends: dict[str, End]) -> dict[str, float]:
    assert {end.failure for end in ends.values()} == {None}
    return {label: end.metrics["test/mse"] for label, end in ends.items()}


@pytest.mark.long
def test_whatever_happens_to_a_job_happens_to_it_alone(
    place: Place, undisturbed: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hourglass")
    place.trap("raise-1", "kill-2", "memory-3", "nan-4")
    ends = place.sweep(6)
    failures = {label: end.failure for label, end in ends.items() if end.failure is not None}
    assert set(failures) == {"job=1", "job=2", "job=3", "job=4"}
    assert failures["job=1"] == "RuntimeError: the sky fell"
    assert failures["job=2"] == "killed by SIGKILL"
    assert "can't allocate memory" in failures["job=3"]
    assert "training diverged" in failures["job=4"]
    assert place.statuses() == {"FINISHED": 2, "FAILED": 3, "KILLED": 1}
    assert all(run.data.tags["failure"] for run in place.runs() if run.info.status != "FINISHED")
    (study,) = place.runs("study")
    assert study.info.status == "FAILED"
    assert "4 of 6 jobs failed" in study.data.tags["failure"]
    # The end prints them all, after everything else.
    end = caplog.text[caplog.text.index("2 of 6 jobs done") :]
    assert all(f"failed   {label}: {failure}" in end for label, failure in failures.items())
    assert "Traceback" in (place.folder / "jobs/1/train.log").read_text()

    place.clear()
    assert errors(place.sweep(6)) == undisturbed
    assert "6 jobs, 2 finished before" in caplog.text
    assert place.statuses() == {"FINISHED": 6, "FAILED": 3, "KILLED": 1}
    (study,) = place.runs("study")
    assert study.info.status == "FINISHED"
    assert "failure" not in study.data.tags


@pytest.mark.long
def test_members_of_a_killed_stack_are_tried_again_alone(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hourglass")
    words = ("sweep.max_stack=4", "sweep.workers=1")
    place.trap("kill_once-0")
    again = errors(place.sweep(4, *words, axis="seed"))
    assert "4 jobs in 1 stack of 4" in caplog.text
    assert place.statuses() == {"KILLED": 4, "FINISHED": 4}
    assert {run.data.tags.get("fused") for run in place.runs() if run.info.status == "FINISHED"} == {None}
    for run in place.runs("study"):
        assert run.info.status == "FINISHED"
    # Nothing is left to do, and what the stack would have made is what its members made.
    assert errors(place.sweep(4, *words, axis="seed")) == again
    fused = errors(place.sweep(4, *words, "sweep.rerun=true", axis="seed"))
    assert fused == pytest.approx(again, rel=1e-4)
    assert place.statuses() == {"KILLED": 4, "FINISHED": 8}


@pytest.mark.long
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_to_the_sweep_ends_its_jobs_truly(
    number: signal.Signals, raised: type[BaseException], place: Place, undisturbed: dict[str, float]
) -> None:
    place.trap("hang-2", "hang-3")
    at_work = wait_in_a_thread(
        lambda: place.statuses() == {"FINISHED": 2, "RUNNING": 2}, then=lambda: os.kill(os.getpid(), number)
    )
    with pytest.raises(raised) as end:
        place.sweep(6)
    assert at_work.is_set()
    if raised is SystemExit:
        assert end.value.code == 143
    assert psutil.Process(forkserver._forkserver._forkserver_pid).children() == []
    assert place.statuses() == {"FINISHED": 2, "KILLED": 2}
    (study,) = place.runs("study")
    assert study.info.status == "KILLED"

    place.clear()
    assert errors(place.sweep(6)) == undisturbed
    assert place.statuses() == {"FINISHED": 6, "KILLED": 2}
    assert [run.info.status for run in place.runs("study")] == ["FINISHED"]


@pytest.mark.long
def test_a_killed_sweep_leaves_nothing_behind_and_goes_on(place: Place, undisturbed: dict[str, float]) -> None:
    place.trap("hang-2", "hang-3")
    script = f"from pathlib import Path; import test_faults; test_faults.Place(Path({str(place.folder)!r})).sweep(6)"
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": here}) as parent:
        try:
            until(lambda: parent.poll() is not None or place.statuses() == {"FINISHED": 2, "RUNNING": 2})
            below = psutil.Process(parent.pid).children(recursive=True)
        finally:
            parent.kill()
    assert len(below) == 4  # two jobs, the fork server and multiprocessing's resource tracker
    _, left = psutil.wait_procs(below, timeout=PATIENCE)
    assert not left
    assert place.statuses() == {"FINISHED": 2, "KILLED": 2}

    place.clear()
    assert errors(place.sweep(6)) == undisturbed
    assert place.statuses() == {"FINISHED": 6, "KILLED": 2}
    assert [run.info.status for run in place.runs("study")] == ["FINISHED"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("at_work", [False, True], ids=["starting", "at work"])
def test_a_signal_to_the_command_says_so_in_one_line(
    number: signal.Signals, code: int, at_work: bool, place: Place
) -> None:
    place.trap("hang-0")
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "hourglass", "train", "-m", *place.words("seed=0,1,2")]
    with subprocess.Popen(
        command,
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": here},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            until(lambda: bool(place.statuses() == {"RUNNING": 2} if at_work else place.runs("study")))
            below = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, number)  # as a terminal does: to the jobs and the fork server as well
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == code, said
    assert "Traceback" not in said
    _, left = psutil.wait_procs(below, timeout=PATIENCE)
    assert not left
    assert place.statuses() == ({"KILLED": 2} if at_work else {})
    assert [run.info.status for run in place.runs("study")] == ["KILLED"]


def record(uri: str) -> None:
    """Twenty data sets, most of them new to the store."""
    with Run.start(uri=uri, experiment="e", name="n", tags={}, params={}) as run:
        for number in range(20):
            run.log_dataset("digits", f"digest-{number}", {"train": 1})


def test_jobs_that_record_the_same_data_at_once_all_do(place: Place) -> None:
    initialise_store(place.uri)
    outcomes = list(execute(record, [place.uri] * 4, slots=[Slot(gpu=None, threads=1)] * 4))
    assert [outcome.failure for outcome in outcomes] == [None] * 4


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def wait_in_a_thread(condition: Callable[[], bool], *, then: Callable[[], None]) -> threading.Event:
    """Do something in this process once a condition holds, or can't be waited for any longer; whether it held."""
    held = threading.Event()

    def wait() -> None:
        try:
            until(condition)
            held.set()
        finally:
            then()

    threading.Thread(target=wait, daemon=True).start()
    return held
