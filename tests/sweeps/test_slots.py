"""Slots: real processes, really killed."""

import gc
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest
import torch

from hourglass.sweeps import Outcome, Slot, execute
from hourglass.system.bars import Bar


def slots(count: int, threads: int = 1) -> list[Slot]:
    return [Slot(gpu=None, threads=threads)] * count


def square(number: int) -> int:
    if number == 1:
        raise ValueError("1 is not wanted")
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        sys.exit(3)
    return number * number


def facts(_: int) -> tuple[int, int]:
    return os.getpid(), torch.get_num_threads()


def test_a_job_fails_alone_and_says_why() -> None:
    outcomes = {outcome.job: outcome for outcome in execute(square, range(6), slots=slots(2))}
    assert {job: outcome.value for job, outcome in outcomes.items()} == {0: 0, 1: None, 2: None, 3: None, 4: 16, 5: 25}
    assert outcomes[0] == Outcome(0, 0, None, "")
    assert outcomes[1].failure == "ValueError: 1 is not wanted"
    assert "raise ValueError" in outcomes[1].trace
    assert outcomes[2] == Outcome(2, None, "killed by SIGKILL", "")
    assert outcomes[3].failure == "SystemExit: 3"


def test_every_job_has_a_process_and_the_threads_it_was_given() -> None:
    values = [outcome.value for outcome in execute(facts, range(3), slots=slots(3, threads=2))]
    assert len({pid for pid, _ in values} | {os.getpid()}) == 4
    assert {threads for _, threads in values} == {2}


def test_no_slot_is_refused() -> None:
    with pytest.raises(ValueError, match="slots must hold at least one place, got none"):
        next(execute(square, [1], slots=[]))


@pytest.mark.slow
def test_many_jobs_leave_nothing_behind() -> None:
    list(execute(facts, [0, 1], slots=slots(2)))  # starts the fork server
    gc.collect()  # of what other tests left
    descriptors, server = psutil.Process().num_fds(), psutil.Process(forkserver._forkserver._forkserver_pid)
    open_there = server.num_fds()
    for _ in execute(facts, range(100), slots=slots(4)):
        # At any time: four jobs, each with its own pipes, and no more.
        assert psutil.Process().num_fds() <= descriptors + 20
        assert len(server.children()) <= 4
    assert psutil.Process().num_fds() <= descriptors
    assert server.children() == []
    deadline = time.monotonic() + 120
    while server.num_fds() > open_there:  # it closes the last job's pipe after it has said how that ended
        assert time.monotonic() < deadline
        time.sleep(0.1)


JOBS = """
import os, time
from pathlib import Path

import psutil

def note(folder):
    path = Path(folder, str(os.getpid()))
    path.with_suffix(".new").write_text(str(psutil.Process().create_time()))
    path.with_suffix(".new").rename(path)
    try:
        time.sleep(120)
    finally:
        path.with_suffix(".end").touch()
"""
PARENT = """
import sys
from jobs import note
from hourglass.sweeps import Slot, execute

if __name__ == "__main__":
    list(execute(note, [sys.argv[1]] * 2, slots=[Slot(gpu=None, threads=1)] * 2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=str)
def test_no_job_outlives_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    (tmp_path / "jobs.py").write_text(JOBS)  # a function of a script itself is found by no other process
    notes = tmp_path / "notes"
    notes.mkdir()
    parent = subprocess.Popen([sys.executable, script, notes])
    deadline = time.monotonic() + 120
    while len(list(notes.iterdir())) < 2:
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.1)
    jobs = [psutil.Process(int(note.name)) for note in notes.iterdir()]
    parent.send_signal(how)
    parent.wait(60)
    _, left = psutil.wait_procs(jobs, timeout=60)
    assert not left
    # SIGTERM, not SIGKILL, is what reached the jobs: each could still say that it ended.
    assert len(list(notes.glob("*.end"))) == 2


def killed_with_a_bar(_: int) -> None:
    Bar(total=1, disable=True)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
def test_a_job_that_is_killed_leaves_no_semaphore() -> None:
    script = "import test_slots as t; print([*t.execute(t.killed_with_a_bar, [0], slots=t.slots(1))][0].failure)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("killed by SIGKILL", "")
