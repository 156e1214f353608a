"""Three sparse codes on the activations of a network: trains each with three seeds, and writes README.md beside this.

Run: make activations
"""

import statistics
import sys
from pathlib import Path

import host

from hourglass.pipeline.train import train_once

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2)
CODES = {
    "top-k, k = 8": ["bottleneck=top_k"],
    "batch top-k, k = 8": ["bottleneck=batch_top_k"],
    "JumpReLU, l0 weighted with 0.01": ["bottleneck=jump_relu", "model.bottleneck.weight=0.01"],
}
METRICS = {
    "test/explained_variance": (".1%", lambda value: 1 - value),
    "test/code_l0": (".1f", float),
    "fit/dead_units": (".0f", float),
    "test/loss_recovered": (".1%", float),
    "test/loss_recovered_mean": (".1%", float),
    "test/host_loss_reconstructed": (".4f", float),
}

TEXT = """\
# Sparse codes of a network's activations

**Question.** How much of what a classifier's hidden layer says is in few of 512 atoms, and does the classifier still
work on the reconstruction?

**Command.** `make activations` (a quarter of an hour on 2 cores, the network included; what has finished is not trained
again). The network, 784-256-10 on MNIST, is trained by `experiments/activations/host.py`, which stores its hidden layer
in seven shards of float16; then `experiment=activations`, one training for each code and seed.

| code | variance unexplained | atoms on (L0) | dead of 512 | loss recovered, of zeros | of the mean | loss, nats |
|---|---|---|---|---|---|---|
{rows}

The mean of seeds {seeds} (lowest to highest), on the 10,000 test digits. The network's own loss is {clean:.4f} nats,
{zero:.3f} with zeros in place of its activations, {mean:.3f} with their mean. Loss recovered: 1 as with its own
activations, 0 as with those (see [metrics](../../docs/metrics.md)).

**Verdict.** {verdict}
"""


def main() -> int:
    """Train, and write."""
    host.main()
    rows, verdicts, runs = [], [], []
    for code, words in CODES.items():
        found = [_metrics(words, seed) for seed in SEEDS]
        runs += found
        cells = [_cell([of(metrics[name]) for metrics in found], form) for name, (form, of) in METRICS.items()]
        rows.append(f"| {' | '.join([code, *cells])} |")
        least = min(metrics["test/loss_recovered"] for metrics in found)
        verdicts.append(f"{code.partition(',')[0]} recovers {least:.1%} of the loss or more with every seed")
    text = TEXT.format(
        rows="\n".join(rows),
        seeds=", ".join(map(str, SEEDS)),
        clean=runs[0]["test/host_loss"],
        zero=runs[0]["test/host_loss_zero"],
        mean=runs[0]["test/host_loss_mean"],
        verdict="; ".join(verdicts) + ".",
    )
    (HERE / "README.md").write_text(text, encoding="utf-8")
    return 0


def _metrics(words: list[str], seed: int) -> dict[str, float]:
    settings = [f"seed={seed}", "study=activations", "callback=[quick,loss_recovered]"]
    run = train_once(["experiment=activations", *words, *settings], folder=Path("runs/activations/runs"))
    metrics = run.metrics
    print(f"{words[0]} seed {seed}: {metrics['test/loss_recovered']:.3f} of the loss recovered", file=sys.stderr)
    return metrics


def _cell(values: list[float], form: str) -> str:
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
