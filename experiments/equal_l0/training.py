"""One sparse code at a wished number of units on, in a process of its own."""

from pathlib import Path
from typing import NamedTuple

from experiments import records

SEEDS = (0, 1, 2)
LEVELS = (4, 8, 16, 32)
"""Units on for a sample, of 256."""
BUDGET = ("data=mnist", "trainer=fast", "training.epochs=10", "training.batch_size=256")
FEW = ("callback=[quick,usefulness]",)
ATOMS = "model=dictionary model.code_size=256"  # 784-256-784, centred and scaled
FOLLOWED = "regularizer.target_l0.l0={l0}"
TYPES = {
    "L1": f"{ATOMS} bottleneck=relu regularizer=[l1,target_l0] regularizer.l1.weight=1e-3 {FOLLOWED}",
    "p-annealing": f"{ATOMS} bottleneck=relu regularizer=[lp,target_l0] regularizer.lp.weight=1e-3 {FOLLOWED}",
    "gated": f"{ATOMS} bottleneck=gated regularizer=target_l0 {FOLLOWED}",
    "JumpReLU": f"{ATOMS} bottleneck=jump_relu regularizer=target_l0 regularizer.target_l0.term=thresholds"
    f" regularizer.target_l0.rate=0.1 {FOLLOWED}",
    "k-sparse": f"{ATOMS} bottleneck=top_k model.bottleneck.k={{l0}} regularizer=revival",
    "batch top-k": f"{ATOMS} bottleneck=batch_top_k model.bottleneck.k={{l0}} regularizer=revival",
    "winner-take-all": f"{ATOMS} bottleneck=winner_take_all model.bottleneck.share={{share}}",
    "KL, sigmoid units": (
        "model=vanilla model.code_size=256 model.bottleneck.activation=sigmoid loss=mse"
        f" regularizer=[kl_sparsity,target_l0] regularizer.kl_sparsity.target={{share}} {FOLLOWED}"
    ),
}
"""What makes each: of three, and KL, a weight follows the wished L0, of JumpReLU thresholds; others choose so many."""
METRICS = (
    *("test/mse", "test/mse_as_trained", "test/code_l0", "test/linear_accuracy", records.LEARNED),
    "fit/dead_units",
)


class Job(NamedTuple):
    """A type at a level with a seed."""

    kind: str
    level: int
    seed: int


def arm(kind: str, level: int) -> str:
    """What is trained, in words."""
    return f"{kind}, L0 {level}"


def words_of(kind: str, level: int) -> list[str]:
    """What it is trained with."""
    return [*BUDGET, *TYPES[kind].format(l0=level, share=level / 256).split()]


def train(job: Job) -> dict[str, float]:
    """Train, or find the finished run that did; what the record keeps."""
    from hourglass.pipeline.train import train_once

    name = arm(job.kind, job.level)
    words = [*words_of(job.kind, job.level), *FEW, f"seed={job.seed}", "study=equal_l0", f"name={name!r}"]
    folder = "".join(letter if letter.isalnum() else "_" for letter in f"{name} {job.seed}")
    return records.kept(train_once(words, folder=Path("runs") / "equal_l0" / folder).metrics, METRICS)
