"""Sweeps against other ways to run them: the wall-clock of 24 jobs, as ratios measured in one sitting.

The jobs are 784-N-784 on MNIST for 8 code sizes N and 3 seeds, and everything is counted: start-up, Hydra, tracking,
validation, pictures, the test. A round runs every contender once, each from a fresh process in an empty folder, on the
same cores; a ratio is taken within a round, and what is reported is the median over the rounds with the smallest and
the largest.

    python benchmarks/sweep.py [--rounds 3] [--epochs 5] [--only serial,ours] [--output SWEEPS.md]
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import ENVIRONMENTS, Usage, data_root, install
from page import QUIET, processor

HERE = Path(__file__).parent
CODE_SIZES = (8, 16, 24, 32, 40, 48, 56, 64)
SEEDS = (0, 1, 2)
JOBS = len(CODE_SIZES) * len(SEEDS)
PEER = "Lightning + DataLoader"
PEER_JOBS = ("8:0", "24:1", "40:2", "64:0")
"""Of the peer's jobs, which are alike and slow, these are timed, and one alone, for what each further one takes."""


class Contender(NamedTuple):
    """One way to run the sweep with Hourglass."""

    words: tuple[str, ...]
    environment: str | None = None
    """Folder under .bench-peers; None: the project's own environment."""


BASIC = ("hydra/launcher=basic",)
CONTENDERS = {
    "serial exact": Contender((*BASIC, "trainer=exact")),
    "serial fast": Contender((*BASIC, "trainer=fast")),
    "joblib exact": Contender(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer=exact"), "joblib"),
    "joblib fast": Contender(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer=fast"), "joblib"),
    "alone exact": Contender(("trainer=exact", "sweep.max_stack=1")),
    "alone fast": Contender(("trainer=fast", "sweep.max_stack=1")),
    "fused exact": Contender(("trainer=exact", "sweep.max_stack=12")),
    "fused fast": Contender(("trainer=fast", "sweep.max_stack=12")),
    "auto exact": Contender(("trainer=exact",)),
    "auto fast": Contender(("trainer=fast",)),
}


class Target(NamedTuple):
    """How many times as fast `ours` must be as `other`."""

    ours: str
    other: str
    least: float


TARGETS = (
    Target("auto exact", "serial exact", 1.2),
    Target("fused exact", "serial exact", 1.2),
    Target("auto fast", "serial exact", 2.5),
    Target("fused fast", "serial exact", 2.5),
    Target("auto exact", "joblib exact", 1.5),
    Target("auto fast", "joblib exact", 1.5),
    Target("auto fast", PEER, 12.0),
)

Round = dict[str, float]


def hourglass(contender: Contender, *, epochs: int, root: Path) -> float:
    """Seconds of the whole sweep.

    Raises:
        RuntimeError: it failed, or a job is missing.
    """
    binaries = ENVIRONMENTS / contender.environment / "bin" if contender.environment else Path(sys.executable).parent
    command = [
        *(binaries / "python", "-m", "hourglass", "train", "-m"),
        f"model.code_size={','.join(map(str, CODE_SIZES))}",
        f"seed={','.join(map(str, SEEDS))}",
        *("loss=mse", "trainer.accelerator=cpu", f"training.epochs={epochs}", f"data.root={root}"),
        "callback=[quick,pictures,baselines]",  # no contender of other make measures what the codes are good for
        *contender.words,
    ]
    with tempfile.TemporaryDirectory() as folder:
        seconds = timed([str(word) for word in command], folder)
        from hourglass.tracking import search_runs

        done = search_runs(f"sqlite:///{folder}/mlflow.db", None, "tags.kind = 'training' AND status = 'FINISHED'")
        if len(done) != JOBS:
            raise RuntimeError(f"{' '.join(contender.words)}: {len(done)} of {JOBS} jobs finished")
    return seconds


def peer(*, epochs: int, root: Path) -> float:
    """Seconds of all jobs of plain Lightning: start-up and first job, and the others at the measured pace."""
    script = [sys.executable, str(HERE / "peers/lightning_jobs.py"), "--data", str(root), "--epochs", str(epochs)]
    with tempfile.TemporaryDirectory() as folder:
        first = timed([*script, "--jobs", PEER_JOBS[0]], folder)
        all_timed = timed([*script, "--jobs", *PEER_JOBS], folder)
    return first + (all_timed - first) / (len(PEER_JOBS) - 1) * (JOBS - 1)


def timed(command: list[str], folder: str) -> float:
    """Seconds that a command takes in an empty folder, tracking into it."""
    # No contender may use a GPU or another store: the cores are set in main and inherited.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-3000:]}")
    return seconds


def main() -> None:
    """Install, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="of each job, 215 optimizer steps each")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only", help="contenders, separated by commas; default: all")
    parser.add_argument("--output", type=Path, default=HERE / "SWEEPS.md")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [*CONTENDERS, PEER]
    if unknown := set(names) - {*CONTENDERS, PEER}:
        parser.error(f"--only must be among {', '.join([*CONTENDERS, PEER])}, got {', '.join(sorted(unknown))}")
    if any(name in CONTENDERS and CONTENDERS[name].environment for name in names):
        install("joblib")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[: options.cores])
    root, used = data_root(), Usage(cores[: options.cores])
    rounds: list[Round] = []
    for number in range(1, options.rounds + 1):
        rounds.append({})
        for name in names:
            if name == PEER and number > 1:
                continue  # minutes, and far from any target: once
            run = peer if name == PEER else lambda name=name, **given: hourglass(CONTENDERS[name], **given)
            rounds[-1][name] = run(epochs=options.epochs, root=root)
            print(f"round {number}/{options.rounds} {name}: {rounds[-1][name]:.1f} s", flush=True)
            print(json.dumps(rounds), file=sys.stderr)
    options.output.write_text(page(rounds, names, options=options, others=used.by_others()))
    print(f"wrote {options.output}")


def ratios(rounds: list[Round], ours: str, other: str) -> list[float]:
    """How many times as fast, in each round that has both."""
    return [each[other] / each[ours] for each in rounds if ours in each and other in each]


def spread(values: list[float], digits: int) -> str:
    """Median (smallest to largest)."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f} (once)"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def page(rounds: list[Round], names: list[str], *, options: argparse.Namespace, others: float) -> str:
    """The whole of SWEEPS.md."""
    lines = [
        "# Speed of sweeps",
        "",
        f"Wall-clock of {JOBS} jobs, 784-N-784 on MNIST for N in {', '.join(map(str, CODE_SIZES))} and",
        f"{len(SEEDS)} seeds, {options.epochs} epochs of batch 256 each, everything counted; median over the rounds,",
        "smallest and largest in parentheses; ratios are taken within a round. What the contenders are: README.md.",
        "",
        f"- command: `{' '.join(['python benchmarks/sweep.py', *sys.argv[1:]])}`",
        f"- date: {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
        f"- machine: {processor()}, {options.cores} cores, {platform.system()}, Python {platform.python_version()}",
        f"- other processes used {others:.0%} of these cores meanwhile",
        "",
        "| | seconds | times as fast as serial exact |",
        "|---|---|---|",
    ]
    for name in names:
        seconds = [each[name] for each in rounds if name in each]
        faster = ratios(rounds, name, "serial exact")
        lines.append(f"| {name} | {spread(seconds, 1)} | {spread(faster, 2) if faster else ''} |")
    lines += ["", "| ratio | target | measured | |", "|---|---|---|---|"]
    for ours, other, least in TARGETS:
        if values := ratios(rounds, ours, other):
            met = "met" if median(values) >= least else "**not met**"
            if others > QUIET:
                met = f"not judged: other processes took more than {QUIET:.0%} of the cores"
            lines.append(f"| {ours} / {other} | {least:g} | {spread(values, 2)} | {met} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
