"""May sweeps train in bfloat16? Trains the same nets exact and fast with three seeds, and writes README.md beside this.

Run: make exact-vs-fast
"""

import statistics
import sys
from pathlib import Path

from hourglass.config import compose_config
from hourglass.train import train

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2)
NETS = {
    "784-64-784": ["model=vanilla", "training.epochs=5"],
    "784-512-256-64-256-512-784": [
        "model=multilayer",
        "model.depth=2",
        "model.widths=[512,256]",
        "training.epochs=3",
    ],
    "convolutional 16-8-8, masking noise": ["model=conv", "noise=masking", "training.epochs=2"],
}
METRICS = {"test/mse": 5, "test/bce": 4, "test/explained_variance": 4, "test/code_active_fraction": 3}

TEXT = """\
# Exact and fast training

**Question.** `trainer=fast` trains in bfloat16. Do its results differ from those of `trainer=exact` by more than
the seed does?

**Command.** `make exact-vs-fast` (MNIST, batch 256, Adam 1e-3, seeds {seeds}; both are measured with 32 bits).

| net | metric | exact: mean (lowest to highest) | fast: mean (lowest to highest) | difference | spread over seeds |
|---|---|---|---|---|---|
{rows}

The difference is that of the means; the spread is the range over the seeds of the exact runs.

**Verdict.** {verdict}
"""


def main() -> int:
    """Train, compare and write; the exit code is 1 if a difference exceeds the spread."""
    rows, larger = [], []
    for net, words in NETS.items():
        found = {trainer: [_metrics(trainer, seed, words) for seed in SEEDS] for trainer in ("exact", "fast")}
        for metric, digits in METRICS.items():
            exact, fast = ([metrics[metric] for metrics in found[trainer]] for trainer in ("exact", "fast"))
            difference = statistics.mean(fast) - statistics.mean(exact)
            spread = max(exact) - min(exact)
            if abs(difference) > spread:
                larger.append(f"{metric} of {net}")
            cells = [net, f"`{metric}`", _cell(exact, digits), _cell(fast, digits)]
            rows.append(f"| {' | '.join(cells)} | {difference:+.{digits}f} | {spread:.{digits}f} |")
    verdict = (
        "No: every difference is smaller than the spread over seeds, so sweeps may use `trainer=fast`."
        if not larger
        else f"{len(METRICS) * len(NETS) - len(larger)} of {len(METRICS) * len(NETS)} differences are smaller than the"
        f" spread over seeds; larger: {'; '.join(larger)}."
    )
    text = TEXT.format(seeds=", ".join(map(str, SEEDS)), rows="\n".join(rows), verdict=verdict)
    (HERE / "README.md").write_text(text, encoding="utf-8")
    return 1 if larger else 0


def _metrics(trainer: str, seed: int, words: list[str]) -> dict[str, float]:
    config, choices = compose_config(
        [*words, f"trainer={trainer}", f"seed={seed}", "study=exact_vs_fast", "tracking.usefulness=false"]
    )
    folder = Path("runs") / "exact_vs_fast"
    folder.mkdir(parents=True, exist_ok=True)
    metrics = train(config, choices=choices, folder=folder).metrics
    print(f"{choices['model']} {trainer} seed {seed}: test/mse {metrics['test/mse']:.5f}", file=sys.stderr)
    return metrics


def _cell(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
