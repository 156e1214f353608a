"""May sweeps train in bfloat16? Trains the same nets exact and fast with three seeds, and writes README.md beside this.

Run: make exact-vs-fast
"""

import statistics
import sys
from pathlib import Path

from hourglass.configuration.composition import compose_config
from hourglass.measures.paired import Difference, paired_difference
from hourglass.pipeline.train import train

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2, 3, 4)
MARGIN = 0.02
"""Share of the exact value that counts as no difference; stated before the runs."""
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
METRICS = {"test/mse": 5, "test/bce": 4, "test/explained_variance": 4, "test/ssim": 4}

TEXT = """\
# Exact and fast training

**Question.** `trainer=fast` trains in bfloat16. Are its results those of `trainer=exact`?

**Command.** `make exact-vs-fast` (MNIST, batch 256, Adam 1e-3, seeds {seeds}; both are measured with 32 bits).

| net | metric | exact: mean (lowest to highest) | fast: mean (lowest to highest) | fast - exact | in percent |
|---|---|---|---|---|---|
{rows}

*Fast - exact*: the mean of the differences of runs with the same seed and batches, with its 95 % interval (Student's
t, {count} pairs); in percent of the exact mean. They count as equal where the whole interval lies within {margin:.0%},
a margin that was stated before the runs.

**Verdict.** {verdict}
"""


def main() -> int:
    """Train, compare and write; the exit code is 1 if an interval leaves the margin."""
    rows, open_questions = [], []
    for net, words in NETS.items():
        found = {trainer: [_metrics(trainer, seed, words) for seed in SEEDS] for trainer in ("exact", "fast")}
        for metric, digits in METRICS.items():
            exact, fast = ([metrics[metric] for metrics in found[trainer]] for trainer in ("exact", "fast"))
            difference = paired_difference(fast, exact)
            share = Difference(*(100 * value / abs(statistics.mean(exact)) for value in difference))
            if not share.within(100 * MARGIN):
                open_questions.append(f"{metric} of {net} ({share.said('+.1f')} %)")
            cells = [net, f"`{metric}`", _cell(exact, digits), _cell(fast, digits)]
            rows.append(f"| {' | '.join([*cells, difference.said(f'+.{digits}f'), share.said('+.1f')])} |")
    count = len(METRICS) * len(NETS)
    equal = f"{count - len(open_questions)} of {count} comparisons are equal within {MARGIN:.0%}"
    verdict = (
        f"{equal}, so sweeps may use `trainer=fast`."
        if not open_questions
        else (f"{equal}; not shown to be: {'; '.join(open_questions)}.")
    )
    text = TEXT.format(
        seeds=", ".join(map(str, SEEDS)), rows="\n".join(rows), count=len(SEEDS), margin=MARGIN, verdict=verdict
    )
    (HERE / "README.md").write_text(text, encoding="utf-8")
    return 1 if open_questions else 0


def _metrics(trainer: str, seed: int, words: list[str]) -> dict[str, float]:
    config, choices = compose_config(
        [*words, f"trainer={trainer}", f"seed={seed}", "study=exact_vs_fast", "callback=[quick,pictures,baselines]"]
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
