"""Stores that go away in mid-sweep for good, each really: told once, in one line, and made up for later."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hourglass.tracking import initialise_store

JOBS = 6
WORDS = [
    *("-m", "data=digits", "data.train_size=200", "training.epochs=1", "trainer.accelerator=cpu"),
    *("callback=quick", "sweep.workers=2", "sweep.max_stack=1"),
    *("+noise.trap._target_=traps.Trap", "+noise.trap.folder=traps", f"+noise.trap.job=range({JOBS})"),
]
LIMIT = 240.0


def delete(database: Path) -> None:
    database.unlink()


def empty(database: Path) -> None:
    database.unlink()
    database.touch()


def cut_off(database: Path) -> None:
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)


def replace(database: Path) -> None:
    with closing(sqlite3.connect(database.with_name("other"))) as other:
        other.execute("CREATE TABLE something (x)")
        other.commit()
    database.with_name("other").replace(database)


def begin_anew(database: Path) -> None:
    initialise_store(f"sqlite:///{database.with_name('other')}")
    for path in database.parent.glob(f"{database.name}-*"):
        path.unlink()  # its log, which belongs to no other
    database.with_name("other").replace(database)


def make_read_only(database: Path) -> None:
    folder = str(database.parent)  # mounted once more, so that those who have the file open keep it as it is
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


@pytest.mark.long
@pytest.mark.parametrize(
    "disturb",
    [
        make_read_only,
        delete,
        begin_anew,
        pytest.param(empty, marks=pytest.mark.slow),
        pytest.param(cut_off, marks=pytest.mark.slow),
        pytest.param(replace, marks=pytest.mark.slow),
    ],
)
def test_a_store_that_is_gone_ends_the_sweep_with_one_line(
    disturb: Callable[[Path], None], small_disk: Path, tmp_path: Path
) -> None:
    database, traps = small_disk / "mlflow.db", tmp_path / "traps"
    traps.mkdir()
    hung = [traps / "hang-2", traps / "hang-3"]  # at work while it happens, when two jobs are done
    for path in hung:
        path.touch()
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": here, "HOURGLASS_STORE_TIMEOUT": "3", "HYDRA_FULL_ERROR": "0"}
    command = [sys.executable, "-m", "hourglass", "train", *WORDS, f"tracking.uri=sqlite:///{database}"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + LIMIT
        while count(database, "FINISHED") < 2 or count(database, "RUNNING") < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        disturb(database)
        for path in hung:
            path.unlink()
        said = "".join(process.communicate(timeout=LIMIT))
    finally:
        process.kill()
        if disturb is make_read_only:
            subprocess.run(["umount", "--lazy", str(small_disk)])
    assert process.returncode == 2, said
    last = said.rstrip().splitlines()[-1]
    assert last.startswith(f"hourglass: tracking.uri=sqlite:///{database} cannot be used: "), said
    assert "Traceback" not in said
    # What ran at that moment waited for it, at most one more in its place, and no other.
    assert said.count("failed   ") <= 3, said
    if disturb is make_read_only:
        done = count(database, "FINISHED")
        again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert f"{JOBS} jobs, {done} finished before" in again.stderr
        assert count(database, "FINISHED") == JOBS
        assert count(database, "RUNNING") == 0
    if disturb is begin_anew:  # nothing is recorded where its study is not
        assert count(database, "FINISHED") == 0


def count(database: Path, status: str) -> int:
    query = "SELECT count(*) FROM runs JOIN tags USING (run_uuid) WHERE key = 'kind' AND value = 'training'"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
            return int(reader.execute(f"{query} AND status = ?", [status]).fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.long
def test_a_training_whose_database_is_gone_does_not_end_well(tmp_path: Path) -> None:
    database, traps = tmp_path / "mlflow.db", tmp_path / "traps"
    traps.mkdir()
    (traps / "hang-0").touch()
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": here, "HOURGLASS_STORE_TIMEOUT": "3", "HYDRA_FULL_ERROR": "0"}
    words = [word for word in WORDS if word.startswith(("data", "training", "trainer", "tracking", "+noise.trap._"))]
    words += ["+noise.trap.folder=traps", "+noise.trap.job=0", f"tracking.uri=sqlite:///{database}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hourglass", "train", *words],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + LIMIT
        while count(database, "RUNNING") < 1:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        database.unlink()
        (traps / "hang-0").unlink()
        said = "".join(process.communicate(timeout=LIMIT))
    finally:
        process.kill()
    assert process.returncode == 2, said
    last = f"hourglass: tracking.uri=sqlite:///{database} cannot be used: there is no such database"
    assert said.rstrip().splitlines()[-1] == last
    assert "Traceback" not in said
    assert not database.exists()
