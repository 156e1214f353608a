"""A place: one round's own world, in which the real program runs as a person's commands would.

Working folder, TMPDIR and HOURGLASS_CACHE are below one folder, and every process that is started here carries a mark
in its environment, which those that it starts inherit: by it all of them are found again, and nothing else is touched.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

LIMIT = 150.0
"""Seconds after which a command that takes ten hangs."""
_MARK = "HOURGLASS_CHAOS"


class Hangs(Exception):  # noqa: N818 - says what happened
    """A command, or what was waited for, takes far longer than it should."""


class Command:
    """One command under way, in a process group of its own, as a terminal starts it.

    Args:
        process: the program's own.
        output: the file with all it prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output
        self.began = time.monotonic()
        self.started = time.time()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> int:
        """Its exit code; below 0: killed by that signal."""
        try:
            return self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Hangs(f"still running after {self.seconds:.0f} s: {self.output.name}") from None

    def send(self, number: signal.Signals) -> None:
        """A signal to the program alone."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def send_all(self, number: signal.Signals) -> None:
        """A signal to the program and all it started, as a terminal sends Ctrl-C."""
        with suppress(ProcessLookupError):
            if not self.ended:
                os.killpg(self.process.pid, number)

    @property
    def below(self) -> list[psutil.Process]:
        """What it started and still runs: the fork server, its jobs, multiprocessing's resource tracker."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    @property
    def fork_server(self) -> psutil.Process | None:
        """The process that jobs are forked from, if it runs."""
        return next((each for each in self.below if "forkserver" in _words(each) and _ppid(each) == self._pid), None)

    @property
    def tracker(self) -> psutil.Process | None:
        """Multiprocessing's resource tracker, if it runs."""
        return next((each for each in self.below if "resource_tracker" in _words(each)), None)

    @property
    def workers(self) -> list[psutil.Process]:
        """Processes that jobs run in."""
        server = self.fork_server
        return [] if server is None else [each for each in self.below if _ppid(each) == server.pid]

    @property
    def _pid(self) -> int:
        return self.process.pid


class Place:
    """A world of its own.

    Args:
        folder: is made; all that the round leaves is below.
        uri: of a tracking server; None: the database `mlflow.db` in the working folder.
    """

    def __init__(self, folder: Path, *, uri: str | None = None) -> None:
        self.folder = folder
        self.work, self.temporary, self.cache = folder / "work", folder / "tmp", folder / "cache"
        for each in (self.work, self.temporary, self.cache):
            each.mkdir(parents=True)
        self.database = self.work / "mlflow.db"
        self.mark = uuid.uuid4().hex
        self.commands: list[Command] = []
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "HOURGLASS_"))},
            **{"TMPDIR": str(self.temporary), "HOURGLASS_CACHE": str(self.cache), _MARK: self.mark},
            **{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "COLUMNS": "200"},
        }
        if uri is not None:
            self.environment["MLFLOW_TRACKING_URI"] = uri

    def start(self, words: Sequence[str], *, store_timeout: float | None = None) -> Command:
        """`hourglass WORDS`, in the background.

        Args:
            words: of the command.
            store_timeout: seconds that it waits for its store; None: as long as it does by itself.
        """
        return self.launch([sys.executable, "-m", "hourglass", *words], store_timeout=store_timeout)

    def launch(self, command: Sequence[str], *, store_timeout: float | None = None) -> Command:
        """Any program of this place, likewise."""
        more = {} if store_timeout is None else {"HOURGLASS_STORE_TIMEOUT": f"{store_timeout:g}"}
        output = self.folder / f"command-{len(self.commands)}.log"
        with output.open("wb") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command,
                cwd=self.work,
                env={**self.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.commands.append(Command(process, output))
        return self.commands[-1]

    @property
    def processes(self) -> list[psutil.Process]:
        """All that were started here and still run."""
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.status() != psutil.STATUS_ZOMBIE and each.environ().get(_MARK) == self.mark:
                    found.append(each)
        return found

    def end_all(self) -> None:
        """End whatever still runs here."""
        for each in self.processes:
            with suppress(psutil.Error):
                each.kill()
        for command in self.commands:
            command.process.wait()


class SmallDisk:
    """A file system of a few megabytes, which can be filled.

    Args:
        folder: where it is mounted; is emptied of its name, not of what lies below it.
        megabytes: its size.

    Raises:
        OSError: file systems can't be mounted here.
    """

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        self.folder = folder
        self.filler = folder / "filler"
        words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
            raise OSError("no file system can be mounted here")

    def fill(self) -> None:
        """Leave no byte."""
        with suppress(OSError), self.filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        """Take away what fills it."""
        self.filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, and keep what is on it."""
        self.empty()
        kept = self.folder.with_name(f"{self.folder.name}.kept")
        with suppress(shutil.Error):  # sockets can't be copied
            shutil.copytree(self.folder, kept, symlinks=True)
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self.folder.rmdir()
        kept.rename(self.folder)


def until(condition: Callable[[], object], what: str, *, limit: float = LIMIT) -> None:
    """Wait for something.

    Raises:
        Hangs: it does not come.
    """
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Hangs(f"{what}: not within {limit:.0f} s")
        time.sleep(0.1)


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _ppid(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return -1
