"""Which sparse type loses least at an equal number of units on? Trains what is missing; writes results.csv and page.

Run: make equal-l0
"""

import os
import sys
from pathlib import Path

from experiments import records
from experiments.equal_l0.page import page, picture
from experiments.equal_l0.training import LEVELS, SEEDS, TYPES, Job, arm, train
from hourglass.figures.canvas import to_png
from hourglass.sweeps import Slot, execute

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Train, and write; the exit code is 1 if a run failed."""
    failed = 0 if records.only_the_page(__doc__) else measure()
    results = records.read(HERE / "results.csv")
    (HERE / "README.md").write_text(page(results), encoding="utf-8")
    to_png(picture(results), HERE / "error_and_probe.png")
    return failed


def measure() -> int:
    """Train what is missing, and write the numbers; 1 if a run failed."""
    cores = len(os.sched_getaffinity(0))
    jobs = [Job(kind, level, seed) for kind in TYPES for level in LEVELS for seed in SEEDS]
    found: dict[str, dict[str, dict[str, float]]] = {}
    failed = 0
    for done, outcome in enumerate(execute(train, jobs, slots=[Slot(gpu=None, threads=1)] * cores), start=1):
        job = jobs[outcome.job]
        head = f"{done} of {len(jobs)}: {arm(job.kind, job.level)}, seed {job.seed}"
        if outcome.failure:
            print(f"{head}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
            failed = 1
            continue
        found.setdefault(arm(job.kind, job.level), {})[str(job.seed)] = outcome.value
        print(f"{head}: test/mse {outcome.value['test/mse']:.5f}", file=sys.stderr)
    ordered = [arm(kind, level) for kind in TYPES for level in LEVELS]
    records.write(
        HERE / "results.csv",
        {name: dict(sorted(found[name].items())) for name in ordered if len(found.get(name, {})) == len(SEEDS)},
    )
    return failed


if __name__ == "__main__":
    sys.exit(main())
