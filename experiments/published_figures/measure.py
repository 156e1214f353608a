"""Measure the published figures, with three seeds each; writes results.csv beside this file, and README.md from it.

Run: make figures
What is finished is not trained again; what is not measured keeps what results.csv holds.
"""

import csv
import os
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import closed
from page import COLUMNS, RESULTS, Results, page, read
from published import FIGURES, Figure

from hourglass.sweeps import Slot, execute

HERE = Path(__file__).resolve().parent


class Job(NamedTuple):
    """One figure with one seed; those in closed form have none."""

    figure: Figure
    seed: int | None


def main() -> int:
    """Measure what is missing, and write; the exit code is 1 if a run failed or a figure is missed."""
    import torch

    gpu = torch.cuda.is_available()
    figures = [figure for figure in FIGURES if gpu or not figure.gpu]
    jobs = [Job(figure, seed) for figure in figures for seed in figure.seeds]
    cores = len(os.sched_getaffinity(0))
    slots = [Slot(gpu="0", threads=1)] if gpu else [Slot(gpu=None, threads=1)] * cores
    results, failed = read(), False
    for outcome in execute(measure, jobs, slots=slots):
        job = jobs[outcome.job]
        if outcome.failure:
            failed = True
            print(f"{job.figure.key}, seed {job.seed}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
            continue
        results[job.figure.key, job.seed] = outcome.value
        print(f"{job.figure.key}, seed {job.seed}: {outcome.value:.5f}", file=sys.stderr)
        write(results)
    return 1 if failed or "**no**" in page(read()) else 0


def measure(job: Job) -> float:
    """The number of a figure with one seed, of the finished run that measured it or of a new one."""
    figure = job.figure
    if job.seed is None:
        value: float = getattr(closed, figure.name)()
        return value
    start = [] if figure.before is None else [f"start={trained(figure.before, job.seed)}"]
    return measured(trained(figure.name, job.seed, *figure.words, *start), figure.metric)


def trained(recipe: str, seed: int, *words: str) -> str:
    """Train a recipe in the study `published_figures`, or find the finished run that did; the run's id."""
    from hourglass.pipeline.train import train_once

    few = ("study=published_figures", "callback=quick", "tracking.log_every_n_steps=25")
    folder = Path("runs") / "published_figures" / f"{recipe}-{seed}"
    return train_once([f"experiment={recipe}", f"seed={seed}", *few, *words], folder=folder).id


def measured(run_id: str, metric: str) -> float:
    """The last recorded value; of a training metric the mean over the last epoch, as Keras prints it."""
    from hourglass.tracking import Run

    run = Run.find(run_id, None)
    points = run.history(metric)
    if not metric.startswith("train/"):
        return points[-1][1]
    epochs = int(run.params["training.epochs"])
    start = points[-1][0] * (epochs - 1) / epochs
    return statistics.mean(value for step, value in points if step > start)


def write(results: Results) -> None:
    """The numbers as results.csv, and the page that is made of it."""
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for figure in FIGURES:
            for seed in figure.seeds:
                if (figure.key, seed) in results:
                    value = repr(round(results[figure.key, seed], 7))
                    name = "" if seed is None else seed
                    writer.writerow((figure.key, name, figure.metric, value, figure.published, figure.tolerance))
    (HERE / "README.md").write_text(page(read()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
