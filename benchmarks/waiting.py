"""What a person waits for: each second between a command and the prompt, by what the command says meanwhile.

A training's lines come when something has been done, so the time between two of them is what that took. Beside the
seconds of the clock stand those that the command's process computed, which hold on a busy machine too.

    python benchmarks/waiting.py [--rounds 3] [--output WAITING.md]
"""

import argparse
import datetime
import os
import platform
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
from bench import Usage
from page import QUIET, processor, spread

HERE = Path(__file__).parent
HOURGLASS = [sys.executable, "-m", "hourglass"]
TIMED = [sys.executable, str(HERE / "timed_callbacks.py")]
TRAINING = ["train", "model=vanilla", "training.epochs=5"]
ONE_STEP = ["train", "model=vanilla", "training.epochs=1", "training.max_steps=1", "callback=quick"]
SWEEP = ["train", "-m", "data=digits", "training.epochs=1", "callback=quick", "seed=0,1"]
MEASURED = {
    "pictures": "reconstructions, and what is inside the code",
    "floor": "the best linear code of as many units",
    "usefulness": "probes of the code beside pixels and PCA, copying",
    "properties": "the prior's distance, the Jacobian, dead units",
    "disentanglement": "known factors, where the data have some",
    "baselines": "classical restorations, under noise",
    "health": "the error on training and validation samples, the verdict",
}
"""What each callback measures after the test; one that isn't here stands under its name alone."""
IMPORTS = ("torch", "pytorch_lightning", "mlflow", "hourglass.pipeline.train")


class Moment(NamedTuple):
    """When a command said something."""

    line: str
    clock: float
    """Seconds since the command began."""
    computed: float
    """Seconds that its process had computed by then."""


class Phase(NamedTuple):
    """A part of the wait."""

    name: str
    begins: Callable[[str], bool] | None
    """The first line that is like this begins it; None: the command itself does."""
    ends: Callable[[str], bool] | None
    """The first one after that which is like this ends it; None: the prompt does."""
    target: float | None = None
    """What it may take, in seconds."""


def says(start: str) -> Callable[[str], bool]:
    """Lines that begin so."""
    return lambda line: line.startswith(start)


def has(words: str) -> Callable[[str], bool]:
    """Lines with these words."""
    return lambda line: words in line


MEASURING = Phase("measuring 10,000 digits, pictures", says("measuring"), has(" parameters, code of "), 1.5)
PHASES = (
    Phase("imports, data, and the first epoch", None, says("epoch 1,")),
    Phase("epochs 2 to 5", says("epoch 1,"), says("epoch 5,")),
    MEASURING,
    Phase("from the last line to the prompt", says("dashboard"), None, 0.3),
    Phase("all", None, None, 11.0),
)


def watch(words: list[str], folder: Path) -> list[Moment]:
    """Run a command; its lines, and at last the prompt."""
    began = time.perf_counter()
    started = subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    process = psutil.Process(started.pid)
    found: list[Moment] = []
    computed = 0.0
    assert started.stdout is not None
    for line in started.stdout:
        times = process.cpu_times()
        computed = times.user + times.system
        found.append(Moment(line.rstrip("\n"), time.perf_counter() - began, computed))
    if started.wait():
        sys.exit("\n".join([" ".join(words), *(moment.line for moment in found)]))
    return [*found, Moment("", time.perf_counter() - began, computed)]


def first_words(words: list[str], folder: Path) -> float:
    """Seconds until a command says anything to a terminal; it is ended then."""
    ours, theirs = pty.openpty()
    began = time.perf_counter()
    started = subprocess.Popen(words, cwd=folder, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    os.read(ours, 1)
    found = time.perf_counter() - began
    started.kill()
    started.wait()
    os.close(ours)
    return found


def took(phase: Phase, moments: list[Moment]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    first = 0
    begin = Moment("", 0.0, 0.0)
    if phase.begins is not None:
        first = next(i for i, moment in enumerate(moments) if phase.begins(moment.line))
        begin = moments[first]
    ends = phase.ends
    end = moments[-1] if ends is None else next(each for each in moments[first:] if ends(each.line))
    return end.clock - begin.clock, end.computed - begin.computed


def parts(moments: list[Moment]) -> dict[str, tuple[float, float]]:
    """Of a run of `TIMED`: seconds of the clock and of the processor of each part of the measuring, in their order."""
    lines = [moment.line.split() for moment in moments if moment.line.startswith("timed ")]
    found = {name: (float(clock), float(computed)) for _, name, clock, computed in lines}
    first = took(Phase("", MEASURING.begins, says("timed ")), moments)
    whole = took(MEASURING, moments)
    test = tuple(until - own for until, own in zip(first, next(iter(found.values())), strict=True))
    rest = tuple(whole[at] - test[at] - sum(each[at] for each in found.values()) for at in (0, 1))
    return {"test": (test[0], test[1]), **found, "rest": (rest[0], rest[1])}


def importing() -> list[tuple[str, float]]:
    """Seconds that each of the imports takes after those before it, in one process."""
    lines = ["import time, hourglass", "began = time.perf_counter()"]
    for name in IMPORTS:
        lines += [f"import {name}", "now = time.perf_counter(); print(now - began); began = now"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return list(zip(IMPORTS, map(float, done.stdout.split()), strict=True))


def page(rounds: int) -> str:
    """Measure, and say it."""
    usage = Usage(sorted(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        watch([*HOURGLASS, *TRAINING], folder)  # fetches the data, and makes the store
        trained = [watch([*HOURGLASS, *TRAINING], folder) for _ in range(rounds)]
        stepped = [watch([*HOURGLASS, *ONE_STEP, f"seed={each}"], folder) for each in range(rounds)]
        said = [first_words([*HOURGLASS, *TRAINING], folder) for _ in range(rounds)]
        helped = [watch([*HOURGLASS, "train", "--help"], folder)[-1] for _ in range(rounds)]
        swept = [watch([*HOURGLASS, *SWEEP, f"data.train_size={300 + each}"], folder) for each in range(rounds)]
        imported = [importing() for _ in range(rounds)]
        told = [parts(watch([*TIMED, *TRAINING], folder)) for _ in range(rounds)]
    busy = usage.by_others()
    lines = [
        "# What a person waits for",
        "",
        f"`hourglass {' '.join(TRAINING)}`, MNIST, in a store that is there. Medians of {rounds} rounds, the smallest",
        "and the largest in brackets.",
        "",
        "- command: `python benchmarks/waiting.py`",
        f"- date: {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
        f"- machine: {processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()},"
        f" Python {platform.python_version()}",
        f"- other processes used {busy:.0%} of these cores meanwhile"
        + (", which is too much for the clock to count: go by what was computed" if busy > QUIET else ""),
        "",
        "| | seconds | computed | wanted |",
        "|---|---|---|---|",
    ]

    def row(name: str, clock: list[float], computed: list[float] | None, target: float | None) -> str:
        cells = (spread(clock, 2), "" if computed is None else f"{median(computed):.2f}")
        return f"| {name} | {cells[0]} | {cells[1]} | {'' if target is None else f'at most {target:g}'} |"

    lines.append(row("until something is said, in a terminal", said, None, 1.0))
    one = Phase("", None, says("epoch 1,"))
    begun = [took(one, moments) for moments in stepped]
    clock, computed = ([each[at] for each in begun] for at in (0, 1))
    lines.append(row("until one optimizer step is made, and validated", clock, computed, 5.0))
    for phase in PHASES:
        each = [took(phase, moments) for moments in trained]
        lines.append(row(phase.name, [clock for clock, _ in each], [cpu for _, cpu in each], phase.target))
    lines.append(row("`hourglass train --help`", [end.clock for end in helped], None, 0.5))
    first = Phase("", None, says("done"))
    until_first = [took(first, each)[0] for each in swept]
    lines.append(row("a sweep of tiny jobs, until the first is done", until_first, None, 7.0))
    lines += ["", f"Of *{MEASURING.name}*, in runs of their own, by callback:", ""]
    lines += ["| part | what it is | seconds | computed |", "|---|---|---|---|"]
    words = {"test": "the test set", **MEASURED, "rest": "the record, and what is between"}
    for name in told[0]:
        clock, computed = ([each[name][at] for each in told] for at in (0, 1))
        cells = (name if name in ("test", "rest") else f"`{name}`", words.get(name, ""))
        lines.append(f"| {' | '.join(cells)} | {spread(clock, 2)} | {median(computed):.2f} |")
    lines += ["", "Of the imports, each after those above it:", "", "| module | seconds |", "|---|---|"]
    for at, name in enumerate(IMPORTS):
        lines.append(f"| `{name}` | {spread([each[at][1] for each in imported], 2)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "WAITING.md")
    options = parser.parse_args()
    options.output.write_text(page(options.rounds), encoding="utf-8")
    print(options.output)


if __name__ == "__main__":
    main()
