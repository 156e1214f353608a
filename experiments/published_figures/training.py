"""One number of the published figures, in a process of its own."""

import statistics
from pathlib import Path
from typing import NamedTuple

from experiments.published_figures import closed
from experiments.published_figures.published import Figure


class Job(NamedTuple):
    """One figure with one seed; those in closed form have none."""

    figure: Figure
    seed: str


def measure(job: Job) -> float:
    """The number of a figure with one seed, of the finished run that measured it or of a new one."""
    figure = job.figure
    if figure.closed:
        value: float = getattr(closed, figure.name)()
        return value
    start = [] if figure.before is None else [f"start={trained(figure.before, job.seed)}"]
    return measured(trained(figure.name, job.seed, *figure.words, *start), figure.metric)


def trained(recipe: str, seed: str, *words: str) -> str:
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
