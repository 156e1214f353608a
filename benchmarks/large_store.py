"""Whether a store that holds much slows down commands that ask for little.

A small store holds a study of four jobs and a single training. The large one is the same with thousands of runs more,
of other studies in the same experiment, and a thousand that say RUNNING though their processes are dead. Every command
is timed in both, one right after the other, from its start to its end (the dashboard: until its page answers), on a
fresh copy of the store: so the dead are there each time.

    python benchmarks/large_store.py [--runs 5000] [--dead 1000] [--rounds 5] [--output LARGE_STORE.md]
"""

import argparse
import contextlib
import datetime
import os
import platform
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from bench import Usage
from page import QUIET, processor

HERE = Path(__file__).parent
HOURGLASS = [sys.executable, "-m", "hourglass"]
SMALL = ["data=digits", "data.train_size=200", "training.epochs=2", "trainer.accelerator=cpu"]
SWEEP = ["train", "-m", *SMALL, "seed=0,1,2,3", "sweep.max_stack=1"]
LIMIT = 1.2
"""What a command may take in the large store over what it takes in the small one."""
STUDY = 20
"""Runs of each study that is added."""


def run(words: list[str], folder: Path) -> None:
    """One command, which must end well."""
    done = subprocess.run([*HOURGLASS, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"hourglass {' '.join(words)}: {done.stdout}{done.stderr}")


def make_small(folder: Path) -> None:
    """A study of four jobs, and a training of its own."""
    run(SWEEP, folder)
    run(["train", *SMALL, "name=mine"], folder)
    np.save(folder / "samples.npy", np.zeros((10, 1, 8, 8), dtype=np.uint8))


def enlarge(database: Path, *, runs: int, dead: int) -> None:
    """Add copies of a finished job with everything of it that is in the database, by SQL: seconds, not hours.

    Args:
        database: of the small store.
        runs: to add, of which
        dead: say that they run.
    """
    with closing(sqlite3.connect(database)) as store, store:
        job, study = store.execute(
            "SELECT t.run_uuid, p.value FROM tags t JOIN tags p ON p.run_uuid = t.run_uuid"
            " AND p.key = 'mlflow.parentRunId' WHERE t.key = 'kind' AND t.value = 'training' LIMIT 1"
        ).fetchone()
        store.execute("CREATE TEMP TABLE added (run TEXT, of TEXT, study TEXT, number INTEGER)")
        studies = -(-runs // (STUDY + 1))
        for number in range(runs):
            own, parent = f"{number + 1:032x}", f"{number % studies + 1:032x}"
            store.execute(
                "INSERT INTO added VALUES (?, ?, ?, ?)", [own, study if number < studies else job, parent, number]
            )
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            columns = [name for _, name, *_ in store.execute(f"PRAGMA table_info({table})") if name != "run_uuid"]
            kept, theirs = (", ".join(f"{before}{name}" for name in columns) for before in ("", "t."))
            store.execute(
                f"INSERT INTO {table} (run_uuid, {kept}) SELECT added.run, {theirs}"
                f" FROM added JOIN {table} t ON t.run_uuid = added.of"
            )
        store.execute("UPDATE runs SET name = 'copy ' || name WHERE run_uuid IN (SELECT run FROM added)")
        change = "UPDATE tags SET value = {} WHERE key = ? AND run_uuid IN (SELECT run FROM added{})"
        store.execute(change.format("(SELECT study FROM added WHERE run = run_uuid)", ""), ["mlflow.parentRunId"])
        store.execute(change.format("substr(run_uuid, -16)", ""), ["machine.study_id"])
        # Dead, by a number that no process has.
        last = " ORDER BY number DESC LIMIT ?"
        for key, value in (("machine.pid", str(2**22 + 1)), ("machine.host", socket.gethostname())):
            store.execute(change.format("?", last), [value, key, dead])
        store.execute(
            f"UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid IN (SELECT run FROM added{last})",
            [dead],
        )
        store.execute("DROP TABLE added")


def ui(folder: Path) -> None:
    """The dashboard, until it shows the page of its runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*HOURGLASS, "ui", f"port={port}"], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        server.stdout.readline()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read()
    finally:
        server.terminate()
        server.wait()


COMMANDS: Mapping[str, Callable[[Path], None]] = {
    "train": lambda folder: run(["train", *SMALL], folder),
    "a sweep with nothing to do": lambda folder: run(SWEEP, folder),
    "a sweep with one job more": lambda folder: run([word.replace("0,1,2,3", "0,1,2,3,4") for word in SWEEP], folder),
    "evaluate": lambda folder: run(["evaluate", "mine", "noise=gaussian"], folder),
    "encode": lambda folder: run(["encode", "mine", "samples.npy", "codes.npy"], folder),
    "resume": lambda folder: run(["train", "resume=mine", "training.epochs=3"], folder),
    "ui, until its page answers": ui,
}


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    """From its start to its end."""
    cpu: float
    """That it and its processes computed, which others on the machine change less."""


def timed(command: Callable[[Path], None], store: Path, folder: Path) -> Cost:
    """What a command takes on a copy of a store."""
    shutil.copytree(store, folder)
    began, before = time.perf_counter(), computed()
    command(folder)
    seconds = time.perf_counter() - began
    cost = Cost(seconds, computed() - before)
    shutil.rmtree(folder)
    return cost


def computed() -> float:
    """CPU seconds of all processes that this one has started, of those that outlived their parents too."""
    until = time.monotonic() + 10
    with contextlib.suppress(ChildProcessError):  # there is none any more
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Make the stores, time, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5000, help="that the large store holds more")
    parser.add_argument("--dead", type=int, default=1000, help="of them that say RUNNING")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="commands whose name begins so")
    parser.add_argument("--output", type=Path, default=HERE / "LARGE_STORE.md")
    options = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    used = Usage(sorted(os.sched_getaffinity(0)))
    chosen = {name: each for name, each in COMMANDS.items() if name.startswith(options.only or "")}
    times: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory() as place:
        # Both are used under one name, for a database holds absolute places.
        small, large, folder = Path(place, "small"), Path(place, "large"), Path(place, "store")
        folder.mkdir()
        make_small(folder)
        folder.rename(small)
        shutil.copytree(small, large)
        enlarge(large / "mlflow.db", runs=options.runs, dead=options.dead)
        size = (large / "mlflow.db").stat().st_size / 2**20
        for number in range(options.rounds):
            for name, command in chosen.items():
                first, second = (small, large) if number % 2 else (large, small)
                found = {store: timed(command, store, folder) for store in (first, second)}
                times[name].append((found[small], found[large]))
                print(f"{name}: {found[small]}, {found[large]}", flush=True)
    others = used.by_others()
    rows = []
    for name, pairs in times.items():
        cells = []
        for place in range(2):
            ratios = [there[place] / here[place] for here, there in pairs]
            here, there = (median(cost[place] for cost in side) for side in zip(*pairs, strict=True))
            cells += [
                f"{here:.2f} s",
                f"{there:.2f} s",
                f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    busy = "" if others <= QUIET else ", which is too much for the seconds to count: go by those computed"
    text = f"""\
# A large store

Commands in a small store (a study of four jobs and a training) and in one with {options.runs} runs more in the same
experiment, {options.dead} of them RUNNING though dead ({size:.0f} MB of database). On fresh copies, so that each
command that marks the dead finds them. Medians of {options.rounds} rounds; a ratio is taken within a round.

- command: `python benchmarks/large_store.py --runs {options.runs} --dead {options.dead} --rounds {options.rounds}`
- date: {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}
- machine: {processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}
- other processes used {others:.0%} of these cores meanwhile{busy}

What is wanted is a ratio of at most {LIMIT}. In brackets the smallest and the largest.

| command | small | large | ratio | small, computed | large, computed | ratio |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
