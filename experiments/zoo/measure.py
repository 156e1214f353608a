"""The zoo: every type of autoencoder on MNIST with an equal budget, three seeds; writes README.md beside this file.

Run: make zoo           as configured
     make zoo-tuned     each with learning rate and schedule of its own, chosen on validation in 12 trials
What is finished is not trained again.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from kinds import TYPES, Type
from page import write

from hourglass.sweeps import Slot, execute
from hourglass.tracking import resolve_uri, search_runs

SEEDS = (0, 1, 2)
DATA = ("data=mnist", "trainer=fast")
BUDGET = ("training.epochs=10", "training.batch_size=256")  # of all that are trained by gradients
PLAIN = ("~callback.pictures", "~callback.baselines")
TRIALS = 12
SPACE = ("optimizer.lr=tag(log,interval(3e-4,1e-2))", "schedule=constant,cosine")


class Job(NamedTuple):
    """One type with one seed."""

    kind: Type
    seed: int
    settings: tuple[str, ...]
    """What a search has chosen for the type."""


def main() -> int:
    """Train what is missing, and write the page; the exit code is 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuned", action="store_true", help="search learning rate and schedule of each type first")
    tuned = parser.parse_args().tuned
    cores = len(os.sched_getaffinity(0))
    settings = {kind.name: tune(kind) if tuned and kind.trained else () for kind in TYPES}
    jobs = [Job(kind, seed, settings[kind.name]) for kind in TYPES for seed in SEEDS]
    found: dict[str, dict[int, dict[str, float]]] = {kind.name: {} for kind in TYPES}
    for done, outcome in enumerate(execute(measure, jobs, slots=[Slot(gpu=None, threads=1)] * cores), start=1):
        job = jobs[outcome.job]
        head = f"{done} of {len(jobs)}: {job.kind.name}, seed {job.seed}"
        if outcome.failure:
            print(f"{head}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
            return 1
        found[job.kind.name][job.seed] = outcome.value
        print(f"{head}: test/mse {outcome.value['test/mse']:.5f}", file=sys.stderr)
    budget = ", ".join(f"`{word}`" for word in (*DATA, *BUDGET))
    ordered = {name: [runs[seed] for seed in SEEDS] for name, runs in found.items()}
    write(ordered, settings if tuned else None, cores=cores, budget=budget, seeds=SEEDS)
    return 0


def words_of(kind: Type) -> tuple[str, ...]:
    """What a type is trained with."""
    return (*DATA, *(BUDGET if kind.trained else ()), *kind.words)


def measure(job: Job) -> dict[str, float]:
    """Train one type with one seed in the study `zoo`, or find the finished run that did; its metrics."""
    from hourglass.pipeline.train import train_once

    kind, seed = job.kind, job.seed
    study = "zoo_tuned" if job.settings else "zoo"
    # Pictures of the first seed: they take longer than the training of a small net.
    quick = () if seed == SEEDS[0] and not job.settings else PLAIN
    words = [*words_of(kind), *job.settings, f"seed={seed}", f"study={study}", f"name={kind.name!r}", *quick]
    folder = Path("runs") / study / f"{kind.name} {seed}".replace(" ", "_").replace(",", "").replace(":", "")
    metrics = train_once(words, folder=folder).metrics
    return {**metrics, "code_size": metrics["model/code_size"]}


def tune(kind: Type) -> tuple[str, ...]:
    """The settings of the best of `TRIALS` trials with the first seed, by the validation loss of the weights kept."""
    study = f"zoo search: {kind.name}"
    quick = ("callback=quick", f"seed={SEEDS[0]}", f"study={study!r}")
    search = ("hydra/sweeper=hourglass_optuna", f"hydra.sweeper.n_trials={TRIALS}", "hydra.sweeper.objective=val/loss")
    few = ("hydra.sweeper.startup_trials=6", "hydra.sweeper.batch_size=4")
    command = [str(Path(sys.executable).parent / "hourglass"), "train", "-m", *search, *few, *words_of(kind), *quick]
    print(f"searching: {kind.name}", file=sys.stderr)
    # Trials that diverge are part of a search, and the command says so with its exit code.
    subprocess.run([*command, *SPACE], check=False, stdout=subprocess.DEVNULL)
    trials: list[Any] = search_runs(
        resolve_uri(None), None, f"tags.study = '{study}' AND attributes.status = 'FINISHED'"
    )
    trials = [trial for trial in trials if "val/loss" in trial.data.metrics and "optimizer.lr" in trial.data.params]
    best = min(trials, key=lambda trial: trial.data.metrics["val/loss"])
    return f"optimizer.lr={best.data.params['optimizer.lr']}", f"schedule={best.data.tags['schedule']}"


if __name__ == "__main__":
    sys.exit(main())
