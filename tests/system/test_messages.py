"""Messages on a disk that is really full, and with passwords in them."""

import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from hourglass.system.messages import Console, File, Formatter


def fill(folder: Path) -> None:
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.fixture
def log() -> logging.Logger:
    return logging.Logger("messages")


def test_a_full_disk_is_told_once_and_what_comes_later_is_written(
    small_disk: Path, log: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = File(small_disk / "train.log")
    log.addHandler(handler)
    log.warning("before")
    fill(small_disk)
    for number in range(2000):
        log.warning("meanwhile %d", number)
    (small_disk / "filler").unlink()
    log.warning("after ü")
    handler.close()
    lines = (small_disk / "train.log").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-1].endswith("after ü")  # after what the last message could still write
    (said,) = capfd.readouterr().err.splitlines()
    assert said == f"{small_disk}/train.log can't be written (No space left on device): messages are missing there"


def test_a_mistake_in_a_message_is_still_shown(log: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    log.addHandler(Console())
    log.warning("%d", "no number")
    assert "TypeError" in capfd.readouterr().err


def test_a_message_is_written_without_the_passwords_in_it(tmp_path: Path, log: logging.Logger) -> None:
    handler = File(tmp_path / "train.log")
    handler.setFormatter(Formatter("%(message)s"))
    log.addHandler(handler)
    try:
        raise ConnectionError("http://me:secret@host is away")
    except ConnectionError:
        log.exception("can't reach %s", "http://me:secret@host")
    text = (tmp_path / "train.log").read_text()
    assert text.startswith("can't reach http://me:***@host\nTraceback")
    assert "secret" not in text


@pytest.mark.long
def test_a_training_survives_a_full_working_folder_quietly(small_disk: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import hourglass.pipeline.train, test_messages\n"
        "from hourglass.commands import main\n"
        "whole = hourglass.pipeline.train.train\n"
        "def train(*words, **more):\n"
        "    test_messages.fill(Path())\n"
        "    return whole(*words, **more)\n"
        "hourglass.pipeline.train.train = train\n"
        "sys.exit(main.main(['train', 'data=digits', 'data.train_size=64', 'training.epochs=2',\n"
        "  'callback=quick', f'tracking.uri=sqlite:///{sys.argv[2]}']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "mlflow.db")],
        cwd=small_disk,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Logging error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("train.log can't be written (No space left on device)") == 1
