"""One training of the types, in a process of its own."""

import statistics
from pathlib import Path
from typing import NamedTuple

from experiments import records

PUBLISHED_VAE = {"loss": 147.0, "reconstruction": 140.0, "kl": 7.0}
PROBED = ("test/linear_accuracy", "fit/dead_units", "test/linear_accuracy_pixels", records.LEARNED)
METRICS = {
    "vae": tuple(f"train/{name}" for name in PUBLISHED_VAE),
    "k=25": PROBED,
    "k=10": PROBED,
    "none": ("test/error",),
    "layerwise": ("test/error",),
}


class Job(NamedTuple):
    """One recipe with one seed; `before` is a recipe whose run it starts from."""

    name: str
    recipe: str
    seed: int
    words: tuple[str, ...] = ()
    before: str | None = None


def measure(job: Job) -> dict[str, float]:
    """The metrics of a job, and its training terms as means over the last epoch."""
    start = [] if job.before is None else [f"start={run(job.before, job.seed, ())}"]
    return records.kept(terms(run(job.recipe, job.seed, (*job.words, *start))), METRICS[job.name])


def run(recipe: str, seed: int, words: tuple[str, ...]) -> str:
    """Train a recipe, or find the finished run that did; returns the run's id."""
    from hourglass.pipeline.train import train_once

    callbacks = "[quick,floor,usefulness,properties]" if recipe == "k_sparse" else "quick"
    few = ("study=types", f"callback={callbacks}")
    return train_once([f"experiment={recipe}", f"seed={seed}", *few, *words], folder=Path("runs/types")).id


def terms(run_id: str) -> dict[str, float]:
    """The last value of every metric; of `train/...` the mean over the last epoch, as Keras prints it."""
    from hourglass.tracking import Run

    run = Run.find(run_id, None)
    metrics = run.metrics
    for name in [name for name in metrics if name.startswith("train/")]:
        points = run.history(name)
        epochs = int(run.params["training.epochs"])
        metrics[name] = statistics.mean(value for step, value in points if step > points[-1][0] * (epochs - 1) / epochs)
    return metrics
