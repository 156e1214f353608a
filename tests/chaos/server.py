"""A real MLflow server with sqlite behind it, which also keeps the files; killed, stopped and started again."""

import signal
import socket
import sys
import time
import urllib.request
from contextlib import suppress

from place import Command, Place, until


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """A tracking server.

    Args:
        place: its own: a folder, and processes that are told from those of who uses it.
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, place: Place, *, port: int) -> None:
        self.place = place
        self.port = port
        self.uri = f"http://127.0.0.1:{port}"
        place.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
        self._command: Command | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{self.place.database}"]
        words += ["--serve-artifacts", "--artifacts-destination", str(self.place.work / "artifacts")]
        self._command = self.place.launch([sys.executable, "-m", "mlflow", *words])
        until(self._answers, "the tracking server's first answer")

    def _answers(self) -> bool:
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200)
        return False

    def kill(self) -> None:
        """End it without a word."""
        assert self._command is not None
        self._command.send_all(signal.SIGKILL)
        self._command.wait()

    def stop(self, seconds: float) -> None:
        """Let it answer nothing for a while, though it is there."""
        assert self._command is not None
        self._command.send_all(signal.SIGSTOP)
        time.sleep(seconds)
        self._command.send_all(signal.SIGCONT)
