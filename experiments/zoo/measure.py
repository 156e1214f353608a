"""The zoo: every type of autoencoder on MNIST with an equal budget, three seeds; writes results.csv, page and mosaics.

Run: make zoo           as configured
     make zoo-tuned     each with learning rate and schedule of its own, chosen on validation in 12 trials: tuned.csv
What is finished is not trained again, and of some types alone (--only) the others' numbers stay. Elsewhere, with
settings of one's own:
python -m experiments.zoo.measure data=digits training.epochs=1 --into FOLDER --seeds 0 1 --only VAE vanilla
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from experiments import records
from experiments.zoo import page
from experiments.zoo.collection import TYPES
from experiments.zoo.kinds import Type
from experiments.zoo.training import SEEDS, Job, Trained, train, words_of
from hourglass.configuration.composition import compose_config
from hourglass.sweeps import Slot, execute
from hourglass.tracking import Run, resolve_uri, search_runs

HERE = Path(__file__).resolve().parent
TRIALS = 12
SPACE = ("optimizer.lr=tag(log,interval(3e-4,1e-2))", "schedule=constant,cosine")


def main() -> int:
    """Train what is missing, and write; the exit code is 1 if a run failed."""
    parser = records.parser(__doc__)
    parser.add_argument("--tuned", action="store_true", help="search learning rate and schedule of each type first")
    parser.add_argument("--into", type=Path, default=HERE, help="where numbers, page and mosaics go")
    names = [kind.name for kind in TYPES]
    parser.add_argument("--only", nargs="+", metavar="TYPE", choices=names, help="the types with these names")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("words", nargs="*", help="settings of one's own, as hourglass train takes them")
    given = parser.parse_args()
    numbers = given.into / ("tuned.csv" if given.tuned else "results.csv")
    failed = 0
    if not given.page:
        given.into.mkdir(parents=True, exist_ok=True)
        failed = measure(
            [kind for kind in TYPES if given.only is None or kind.name in given.only],
            seeds=given.seeds,
            words=tuple(given.words),
            into=numbers,
            tuned=given.tuned,
        )
    page.write(records.read(numbers), into=given.into, tuned=given.tuned)
    return failed


def measure(kinds: Sequence[Type], *, seeds: Sequence[int], words: tuple[str, ...], into: Path, tuned: bool) -> int:
    """Train what is missing, and write numbers and mosaics; 1 if a search or a run failed: its type has no row then."""
    cores = len(os.sched_getaffinity(0))
    fixed = tuple(word for word in words if not word.startswith("training."))  # a formula takes no epochs
    with ThreadPool(2) as pool:  # one search reads and starts processes while the other trains
        searched = pool.map(lambda kind: tune(kind, words) if tuned and kind.epochs else words, kinds, chunksize=1)
    failures = [kind.name for kind, chosen in zip(kinds, searched, strict=True) if chosen is None]
    settings = {
        kind: (chosen if kind.epochs else fixed)
        for kind, chosen in zip(kinds, searched, strict=True)
        if chosen is not None
    }
    study = "zoo_tuned" if tuned else "zoo"
    jobs = [Job(kind, seed, chosen, study) for kind, chosen in settings.items() for seed in seeds]
    found: dict[str, dict[int, Trained]] = {kind.name: {} for kind in settings}
    for done, outcome in enumerate(execute(train, jobs, slots=[Slot(gpu=None, threads=1)] * cores), start=1):
        job = jobs[outcome.job]
        head = f"{done} of {len(jobs)}: {job.kind.name}, seed {job.seed}"
        if outcome.failure:
            print(f"{head}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
            failures.append(job.kind.name)
            continue
        found[job.kind.name][job.seed] = outcome.value
        print(f"{head}: test/mse {outcome.value.metrics['test/mse']:.5f}", file=sys.stderr)
    whole = {name: runs for name, runs in found.items() if name not in failures}
    numbers = {name: {str(seed): runs[seed].metrics for seed in seeds} for name, runs in whole.items()}
    others = records.read(into) if into.exists() and len(kinds) < len(TYPES) else {}
    both = {page.ALL: {records.NONE: {"cores": cores}}, **others, **numbers}
    order = (page.ALL, *(kind.name for kind in TYPES if kind.name not in failures))
    records.write(into, {name: both[name] for name in order if name in both})
    if not tuned and not others.keys() - whole.keys() - {page.ALL}:  # mosaics show all rows of the table, or stay
        from experiments.zoo.mosaic import draw

        draw({name: runs[seeds[0]].run_id for name, runs in whole.items()}, into=into.parent)
    return 1 if failures else 0


def tune(kind: Type, words: tuple[str, ...]) -> tuple[str, ...] | None:
    """Settings, and those of the best of `TRIALS` trials with them, by what chooses the weights on validation.

    None where no trial is finished, which is said.

    Of MNIST, which is trained on if the settings say nothing else, a trial sees the first digits only.
    """
    goal = goal_of(kind)
    few = [] if any(word.startswith("data=") for word in words) else [f"data.train_size={page.SEARCHED}"]
    study = " ".join(["zoo search:", kind.name, *few, *words])
    command = [
        *(str(Path(sys.executable).parent / "hourglass"), "train", "-m", "hydra/sweeper=hourglass_optuna"),
        *(f"hydra.sweeper.n_trials={TRIALS}", "hydra.sweeper.startup_trials=6", "hydra.sweeper.batch_size=4"),
        *(f"hydra.sweeper.objective={goal}", "hydra.sweeper.pruner=median", f"hydra.sweeper.prune_on={goal}"),
        *("hydra.sweeper.prune_after=4", "hydra.sweeper.grace_epochs=2"),
        *(*words_of(kind), *few, *words, "callback=quick", f"seed={SEEDS[0]}", f"study={study!r}"),
    ]
    print(f"searching: {kind.name}\n", end="", file=sys.stderr)  # in one piece, since two threads write
    # Trials that diverge are part of a search, and the command says so with its exit code.
    subprocess.run([*command, *SPACE], check=False, stdout=subprocess.DEVNULL)
    trials: list[Any] = search_runs(
        resolve_uri(None), None, f"tags.study = \"{study}\" AND attributes.status = 'FINISHED'"
    )
    trials = [
        trial
        for trial in trials
        if goal in trial.data.metrics and "optimizer.lr" in trial.data.params and "pruned" not in trial.data.tags
    ]
    if not trials:
        print(f"no trial of {kind.name} is finished\n", end="", file=sys.stderr)
        return None
    best = min(trials, key=lambda trial: loss_kept(Run.find(trial.info.run_id, None), goal))
    return *words, f"optimizer.lr={best.data.params['optimizer.lr']}", f"schedule={best.data.tags['schedule']}"


def goal_of(kind: Type) -> str:
    """What the best epoch of a type goes by: the validation loss, without the terms that a discriminator judges."""
    config, _ = compose_config(words_of(kind))
    return f"val/{get_class(config.training._target_).monitor}"


def loss_kept(run: Run, goal: str) -> float:
    """The validation loss of the weights that a run kept; the metric's last value is that of its last epoch."""
    losses = [value for _, value in run.history(goal)]  # one for each epoch
    best = run.metrics.get("fit/best_epoch")  # counted from 1; none where no epoch counted, and the last one is kept
    return losses[-1] if best is None or run.params["training.keep"] == "last" else losses[int(best) - 1]


if __name__ == "__main__":
    sys.exit(main())
