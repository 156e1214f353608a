"""Three sparse codes on the activations of a network, three seeds each; writes results.csv and README.md.

Run: make activations
"""

import sys
from pathlib import Path

from experiments import records
from experiments.activations import host
from hourglass.pipeline.train import train_once

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2)
CODES = {
    "top-k, k = 8": ["bottleneck=top_k"],
    "batch top-k, k = 8": ["bottleneck=batch_top_k"],
    "JumpReLU, l0 weighted with 0.01": ["bottleneck=jump_relu", "model.bottleneck.weight=0.01"],
}
METRICS = {
    "test/explained_variance": ".1%",
    "test/code_l0": ".1f",
    "fit/dead_units": ".0f",
    "test/loss_recovered": ".1%",
    "test/loss_recovered_mean": ".1%",
    "test/host_loss_reconstructed": ".4f",
}
HOST = ("test/host_loss", "test/host_loss_zero", "test/host_loss_mean")

TEXT = """\
# Sparse codes of a network's activations

**Question.** How much of what a classifier's hidden layer says is in few of 512 atoms, and does the classifier still
work on the reconstruction?

**Command.** `make activations` (a quarter of an hour on 2 cores, the network included; what has finished is not trained
again). The network, 784-256-10 on MNIST, is trained by `experiments/activations/host.py`, which stores its hidden layer
in seven shards of float16; then `experiment=activations`, one training for each code and seed. Numbers:
[results.csv](results.csv).

{rows}

The mean of seeds {seeds} (lowest to highest), on the 10,000 test digits. The network's own loss is {clean:.4f} nats,
{zero:.3f} with zeros in place of its activations, {mean:.3f} with their mean. Loss recovered: 1 as with its own
activations, 0 as with those (see [metrics](../../docs/metrics.md)).

**Verdict.** {verdict}
"""


def main() -> int:
    """Train, and write."""
    if not records.only_the_page(__doc__):
        host.main()
        found = {code: {str(seed): _metrics(words, seed) for seed in SEEDS} for code, words in CODES.items()}
        records.write(HERE / "results.csv", found)
    (HERE / "README.md").write_text(page(records.read(HERE / "results.csv")), encoding="utf-8")
    return 0


def page(results: records.Results) -> str:
    """The page of what was measured."""
    heads = ["code", "variance unexplained", "atoms on (L0)", "dead of 512", "loss recovered, of zeros", "of the mean"]
    rows = [[*heads, "loss, nats"]]
    verdicts = []
    for code, runs in results.items():
        unexplained = {
            seed: {**run, "test/explained_variance": 1 - run["test/explained_variance"]} for seed, run in runs.items()
        }
        rows.append([code, *(records.spread(unexplained, metric, form) for metric, form in METRICS.items())])
        least, _ = records.ends(runs, "test/loss_recovered")
        verdicts.append(f"{code.partition(',')[0]} recovers {least:.1%} of the loss or more with every seed")
    clean, zero, mean = (records.middle(next(iter(results.values())), name) for name in HOST)
    return TEXT.format(
        rows=records.table(rows),
        seeds=", ".join(records.seeds(results)),
        clean=clean,
        zero=zero,
        mean=mean,
        verdict="; ".join(verdicts) + ".",
    )


def _metrics(words: list[str], seed: int) -> dict[str, float]:
    settings = [f"seed={seed}", "study=activations", "callback=[quick,loss_recovered]"]
    run = train_once(["experiment=activations", *words, *settings], folder=Path("runs/activations/runs"))
    metrics = run.metrics
    print(f"{words[0]} seed {seed}: {metrics['test/loss_recovered']:.3f} of the loss recovered", file=sys.stderr)
    return records.kept(metrics, [*METRICS, *HOST])


if __name__ == "__main__":
    sys.exit(main())
