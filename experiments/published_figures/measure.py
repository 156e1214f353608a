"""Measure the published figures, with three seeds each; writes results.csv beside this file, and README.md from it.

Run: make figures
What is finished is not trained again. What is not measured, without a GPU or cut off, keeps what results.csv holds.
"""

import os
import sys
from pathlib import Path

from experiments import records
from experiments.published_figures.page import missed, page
from experiments.published_figures.published import FIGURES, Figure
from experiments.published_figures.training import Job, measure
from hourglass.sweeps import Slot, execute

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.csv"


def main() -> int:
    """Measure what is missing, and write; the exit code is 1 if a run failed or a figure is missed."""
    failed = False if records.only_the_page(__doc__) else not measure_all()
    results = records.read(RESULTS)
    (HERE / "README.md").write_text(page(results), encoding="utf-8")
    return 1 if failed or missed(results) else 0


def measure_all() -> bool:
    """Measure every figure that this machine can, each written when all its seeds are there; whether none failed."""
    import torch

    gpu = torch.cuda.is_available()
    jobs = [Job(figure, seed) for figure in FIGURES if gpu or not figure.gpu for seed in figure.seeds]
    slots = [Slot(gpu="0", threads=1)] if gpu else [Slot(gpu=None, threads=1)] * len(os.sched_getaffinity(0))
    found: dict[str, dict[str, float]] = {}
    well = True
    for outcome in execute(measure, jobs, slots=slots):
        figure, seed = jobs[outcome.job]
        head = f"{figure.key}, seed {seed}" if seed else figure.key
        if outcome.failure:
            well = False
            print(f"{head}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
            continue
        print(f"{head}: {outcome.value:.5f}", file=sys.stderr)
        found.setdefault(figure.key, {})[seed] = outcome.value
        if len(found[figure.key]) == len(figure.seeds):
            keep(figure, found[figure.key])
    return well


def keep(figure: Figure, values: dict[str, float]) -> None:
    """Put the values of a figure into results.csv, in the order of the table, beside what others found there."""
    results = records.read(RESULTS) if RESULTS.exists() else {}
    runs = {records.NONE: {"published": float(figure.published), "tolerance": figure.tolerance}}
    for seed in figure.seeds:
        runs.setdefault(seed, {})[figure.metric] = values[seed]
    results[figure.key] = runs
    records.write(RESULTS, {each.key: results[each.key] for each in FIGURES if each.key in results})


if __name__ == "__main__":
    sys.exit(main())
