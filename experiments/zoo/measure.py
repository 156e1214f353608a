"""The zoo: every type of autoencoder on MNIST with an equal budget, three seeds; writes README.md beside this file.

Run: make zoo
"""

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from hourglass.config import compose_config
from hourglass.sweeps import Slot, execute

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2)
DATA = ["data=mnist", "trainer=fast"]
BUDGET = ["training.epochs=10", "training.batch_size=256"]  # of all that are trained by gradients
CODE = ["model=multilayer", "model.code_size=32"]  # 784-128-32-128-784
WIDE = ["model=vanilla", "model.code_size=256"]  # 784-256-784: sparse codes have room
LINEAR = ["bottleneck=linear"]


class Type(NamedTuple):
    """A type of autoencoder and what makes it."""

    name: str
    reference: str
    words: list[str]
    trained: bool = True
    """Or a formula of the training set."""


TYPES = (
    Type("mean of the training set (control)", "", ["model=mean"], trained=False),
    Type("identity (control)", "", ["model=identity"], trained=False),
    Type("PCA", "Pearson, 1901", ["model=pca", "model.code_size=32"], trained=False),
    Type(
        "linear",
        "Baldi & Hornik, 1989",
        ["model=vanilla", "model.code_size=32", *LINEAR, "model.output_activation=linear", "loss=mse"],
    ),
    Type("vanilla", "Rumelhart et al., 1986", ["model=vanilla", "model.code_size=32"]),
    Type("vanilla, tied weights", "Vincent et al., 2010", ["model=vanilla", "model.code_size=32", "model.tied=true"]),
    Type("multilayer", "Hinton & Salakhutdinov, 2006", CODE),
    Type("convolutional", "Masci et al., 2011", ["model=conv", "model.code_size=32"]),
    Type("denoising, masking", "Vincent et al., 2008", [*CODE, "noise=masking", "noise.masking.share=0.25"]),
    Type("denoising, Gaussian", "Vincent et al., 2010", [*CODE, "noise=gaussian", "noise.gaussian.sigma=0.3"]),
    Type("contractive", "Rifai et al., 2011", [*WIDE, "regularizer=contractive"]),
    Type("sparse, L1", "Lee et al., 2008", [*WIDE, "regularizer=l1", "regularizer.l1.weight=1e-4"]),
    Type("sparse, KL", "Ng, 2011", [*WIDE, "regularizer=kl_sparsity", "model.bottleneck.activation=sigmoid"]),
    Type("k-sparse", "Makhzani & Frey, 2013", [*WIDE, "bottleneck=top_k"]),
    Type("k-sparse with revival", "Gao et al., 2024", [*WIDE, "bottleneck=top_k", "regularizer=revival"]),
    Type("batch top-k", "Bussmann et al., 2024", [*WIDE, "bottleneck=batch_top_k"]),
    Type("JumpReLU", "Rajamanoharan et al., 2024", [*WIDE, "bottleneck=jump_relu"]),
    Type("winner-take-all", "Makhzani & Frey, 2015", [*WIDE, "bottleneck=winner_take_all"]),
    Type("VAE", "Kingma & Welling, 2014", [*CODE, "bottleneck=gaussian"]),
    Type("beta-VAE, beta 4", "Higgins et al., 2017", [*CODE, "bottleneck=gaussian", "model.bottleneck.beta=4"]),
    Type("beta-TCVAE", "Chen et al., 2018", [*CODE, "bottleneck=gaussian", "regularizer=total_correlation"]),
    Type("IWAE, 5 draws", "Burda et al., 2016", [*CODE, "bottleneck=gaussian", "training=importance_weighted"]),
    Type("WAE-MMD", "Tolstikhin et al., 2018", [*CODE, *LINEAR, "regularizer=mmd"]),
    Type("adversarial", "Makhzani et al., 2015", [*CODE, *LINEAR, "training=adversarial"]),
    Type("regularized (RAE)", "Ghosh et al., 2020", [*CODE, *LINEAR, "regularizer=[l2,spectral]"]),
    Type("vector-quantized", "van den Oord et al., 2017", [*CODE, "bottleneck=vector_quantized"]),
    Type("binary", "Bengio et al., 2013", [*CODE, "bottleneck=binary"]),
    Type("categorical", "Jang et al., 2017", [*CODE, "bottleneck=categorical"]),
    Type(
        "stacked denoising",
        "Vincent et al., 2010",
        [*CODE, "noise=masking", "training=layerwise", "training.pretrain_epochs=2"],
    ),
    Type(
        "recirculation",
        "Hinton & McClelland, 1988",
        ["model=vanilla", "model.code_size=32", "model.bottleneck.activation=sigmoid", "training=recirculation"],
    ),
)

COLUMNS = {
    "test/mse": ("test MSE", "{:.4f}"),
    "test/mse_over_linear": ("MSE over linear", "{:.2f}"),
    "test/code_active_fraction": ("active units", "{:.0%}"),
    "test/linear_accuracy": ("linear probe", "{:.1%}"),
    "time/fit_seconds": ("seconds", "{:.0f}"),
}

TEXT = """\
# The zoo

**Question.** What does each type of autoencoder make of MNIST, given the same data, batches, optimizer and passes?

**Command.** `make zoo` (about {minutes:.0f} minutes on {cores} cores, one run on each; {budget}; seeds {seeds}).
Every weight, k, beta and share is the one in conf/, unless the last column says otherwise: nothing was tuned for
this table.

{table}

Means over the seeds, with the range of the test MSE. *MSE over linear*: over that of the best linear code of as many
units on the same input (PCA; under noise reduced-rank regression; none for sparse codes); below 1 is
better than any linear code. *Active units*: share of the code units that are on for a test sample, which depends on the
kind of code (docs/metrics.md). *Linear
probe*: accuracy of a linear classifier that sees only the code; on the pixels themselves it is {pixels}. *Seconds*:
training on one core, in bfloat16 where the hardware has it; of the fastest seed.

{verdict}
"""


def main() -> int:
    """Train what is missing, and write the table; the exit code is 1 if a run failed."""
    began = time.perf_counter()
    jobs = [(kind, seed) for kind in TYPES for seed in SEEDS]
    found: dict[str, list[dict[str, float]]] = {kind.name: [] for kind in TYPES}
    failed = 0
    cores = len(os.sched_getaffinity(0))
    for done, outcome in enumerate(execute(measure, jobs, slots=[Slot(gpu=None, threads=1)] * cores), start=1):
        kind, seed = jobs[outcome.job]
        head = f"{done} of {len(jobs)}: {kind.name}, seed {seed}"
        if outcome.failure:
            failed += 1
            print(f"{head}: {outcome.failure}\n{outcome.trace}", file=sys.stderr)
        else:
            found[kind.name].append(outcome.value)
            print(f"{head}: test/mse {outcome.value['test/mse']:.5f}", file=sys.stderr)
    if failed:
        return 1
    write(found, minutes=(time.perf_counter() - began) / 60, cores=cores)
    return 0


def measure(job: tuple[Type, int]) -> dict[str, float]:
    """Train one type with one seed, recorded in the study `zoo`."""
    from hourglass.train import train

    kind, seed = job
    # Pictures of the first seed: they take longer than the training of a small net.
    words = [*DATA, *(BUDGET if kind.trained else []), *kind.words, f"seed={seed}", "study=zoo", f"name={kind.name!r}"]
    words += [] if seed == SEEDS[0] else ["tracking.images=false", "tracking.baseline_samples=null"]
    config, choices = compose_config(words)
    folder = Path("runs/zoo") / f"{kind.name} {seed}".replace(" ", "_").replace(",", "")
    folder.mkdir(parents=True, exist_ok=True)
    result = train(config, choices=choices, folder=folder)
    size = float(result.parts.model.code_size)
    return {**result.metrics, "code_size": size}


def write(found: dict[str, list[dict[str, float]]], *, minutes: float, cores: int) -> None:
    """The table, as README.md."""
    heads = ["type", "reference", "code", *(head for head, _ in COLUMNS.values()), "command"]
    rows = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for kind in TYPES:
        runs = found[kind.name]
        cells: list[Any] = [kind.name, kind.reference, f"{runs[0]['code_size']:.0f}"]
        for metric, (_, form) in COLUMNS.items():
            values = [run[metric] for run in runs if metric in run]
            # What else ran on the machine can only have made it slower.
            middle = min if metric.startswith("time/") else statistics.mean
            cell = form.format(middle(values)) if values else ""
            if metric == "test/mse":
                cell += f" ({form.format(min(values))} to {form.format(max(values))})"
            cells.append(cell)
        cells.append(f"`{' '.join(kind.words)}`")
        rows.append(f"| {' | '.join(cells)} |")
    pca = found["PCA"][0]
    page = HERE / "README.md"
    _, _, verdict = page.read_text(encoding="utf-8").partition("**Verdict.**") if page.exists() else ("", "", "")
    text = TEXT.format(
        minutes=minutes,
        cores=cores,
        budget=", ".join(f"`{word}`" for word in [*DATA, *BUDGET]),
        seeds=", ".join(map(str, SEEDS)),
        table="\n".join(rows),
        pixels=f"{pca['test/linear_accuracy_pixels']:.1%}",
        verdict=f"**Verdict.** {verdict.strip()}",  # a person's words, which a new table does not write
    )
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
