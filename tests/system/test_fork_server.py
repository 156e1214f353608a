"""The fork server: real processes, really killed; how jobs end is tested with the slots that run them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from hourglass.sweeps.slots import PRELOAD
from hourglass.system import fork_server
from hourglass.system.fork_server import Answer, Child

IMPORTING = """
import sys, time
from multiprocessing import forkserver
from hourglass.system.fork_server import start

start(["sleeper"])
print(forkserver._forkserver._forkserver_pid, flush=True)
time.sleep(600)
"""
SLEEPER = """
import os, sys, threading, time
from pathlib import Path
from hourglass.system import leash

if os.environ["LEASH"] == "thread":  # as where the system has no signal for it
    leash.loosen()
    leash._loose.clear()
    threading.Thread(target=leash.watch, args=(os.getppid(),), daemon=True).start()
Path(os.environ["ASLEEP"]).touch()
time.sleep(600)
"""


@pytest.mark.parametrize("leash", ["signal", "thread"])
def test_a_fork_server_that_still_imports_ends_with_its_parent(leash: str, tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    asleep = tmp_path / "asleep"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "LEASH": leash, "ASLEEP": str(asleep)}
    with subprocess.Popen([sys.executable, "-c", IMPORTING], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        deadline = time.monotonic() + 120
        while not asleep.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        parent.kill()
    _, left = psutil.wait_procs([server], timeout=60)
    assert not left


def test_what_a_killed_process_left_in_the_temporary_folder_is_removed_by_the_next() -> None:
    script = "from hourglass.system.fork_server import start; start([])"
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # shorter than `tmp_path`: a socket's name has a limit
        command, folder, environment = [sys.executable, "-c", script], Path(name), {**os.environ, "TMPDIR": name}
        killed = [*command[:2], f"{script}; import os; os.kill(os.getpid(), 9)"]
        assert subprocess.run(killed, env=environment, check=False).returncode == -signal.SIGKILL
        assert [path for path in folder.rglob("*") if path.is_socket()]
        done = subprocess.run(command, env=environment, check=True, capture_output=True)
        assert not done.stderr
        assert not list(folder.iterdir())


def environment(names: list[str]) -> list[str | None]:
    return [os.environ.get(name) for name in names]


def stuck(path: str) -> None:
    Path(path).touch()
    time.sleep(600)


@pytest.mark.long
def test_a_child_answers_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fork_server.start(PRELOAD)  # all that other tests of this process need: it has one server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://here")  # the server is older than that
    names = ["CUDA_VISIBLE_DEVICES", "MLFLOW_TRACKING_URI"]
    child = Child(environment, names, threads=1, environment={"CUDA_VISIBLE_DEVICES": "7"})
    assert child.answer() == Answer(["7", "http://here"], None, "")
    fork_server.end([child])  # has nothing to do
    asleep = Child(stuck, str(tmp_path / "asleep"), threads=1, environment={})
    process = psutil.Process(asleep._process.pid)
    while not (tmp_path / "asleep").exists():
        time.sleep(0.05)
    fork_server.end([asleep])
    assert not process.is_running()
