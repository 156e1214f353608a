"""One training of the zoo, in a process of its own."""

from pathlib import Path
from typing import NamedTuple

from experiments import records
from experiments.zoo import page
from experiments.zoo.kinds import Type

SEEDS = (0, 1, 2)
LEAN = ("~callback.baselines", "callback.usefulness.probes=[linear]")
"""What the table doesn't show takes as long, of wide codes, as the training."""


class Job(NamedTuple):
    """One type with one seed."""

    kind: Type
    seed: int
    settings: tuple[str, ...]
    """What a search has chosen for the type, or what the command line said."""
    study: str


class Trained(NamedTuple):
    """What came of a job."""

    run_id: str
    metrics: dict[str, float]


def words_of(kind: Type) -> tuple[str, ...]:
    """What a type is trained with."""
    budget = (f"training.epochs={kind.epochs}", f"training.batch_size={page.BATCH}") if kind.epochs else ()
    return (*page.DATA, *budget, *kind.words.split())


def train(job: Job) -> Trained:
    """Train one type with one seed, or find the finished run that did."""
    from hourglass.pipeline.train import train_once

    kind, seed = job.kind, job.seed
    # Pictures of the first seed: they take longer than the training of a small net.
    quick = () if seed == SEEDS[0] and job.study == "zoo" else ("~callback.pictures",)
    words = [*words_of(kind), *job.settings, f"seed={seed}", f"study={job.study}", f"name={kind.name!r}", *LEAN, *quick]
    name = "".join(letter if letter.isalnum() else "_" for letter in f"{kind.name} {seed}")
    run = train_once(words, folder=Path("runs") / job.study / name)
    kept = records.kept(run.metrics, page.kept_of(kind))
    if job.study == "zoo_tuned" and kind.epochs:
        kept |= {"optimizer.lr": float(run.params["optimizer.lr"]), page.COSINE: run.tags["schedule"] == "cosine"}
    return Trained(run.id, kept)
