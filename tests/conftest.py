"""Settings for every test."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from hourglass.tracking import store

# Each of pytest's workers has one core: a second thread would only wait for it. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

# A job that a shell starts in the background ignores Ctrl-C, and so would every process that a test interrupts.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def messages_are_heard() -> None:
    """Hydra, where it runs in this process, sets up logging for all: a test begins as if it had not."""
    log = logging.getLogger("hourglass")
    log.setLevel(logging.NOTSET)
    log.propagate = True
    for each in (log, *logging.root.manager.loggerDict.values()):
        if isinstance(each, logging.Logger):
            each.disabled = False
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def no_store_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers the stores that it has reached, and a port serves one test after another."""
    monkeypatch.setattr(store, "_reached", set())
    monkeypatch.setattr(store, "_expected", set())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB, to be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if mount.returncode:
        pytest.skip(f"no file system can be mounted here: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def fork_server_of_its_own() -> Iterator[None]:
    """The fork server that a module starts ends with it: the next would import everything anew for each of its jobs."""
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
