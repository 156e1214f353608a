"""May sweeps train in bfloat16? Trains the same nets exact and fast with five seeds; writes results.csv and README.md.

Run: make exact-vs-fast
"""

import sys
from pathlib import Path

from experiments import records
from hourglass.measures.paired import Difference, paired_difference

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
TRAINERS = ("exact", "fast")
BEFORE = ", rectified code, commit 97df471"
"""Ends the name of what exact training was measured as before codes were linear by default."""
DEAD = "fit/dead_units"
METRICS = {"test/mse": 5, "test/bce": 4, "test/explained_variance": 4, "test/ssim": 4}

TEXT = """\
# Exact and fast training

**Question.** `trainer=fast` trains in bfloat16. Are its results those of `trainer=exact`?

**Command.** `make exact-vs-fast` (MNIST, batch 256, Adam 1e-3, seeds {seeds}; both are measured with 32 bits).
Numbers: [results.csv](results.csv).

{rows}

*Fast - exact*: the mean of the differences of runs with the same seed and batches, with its 95 % interval (Student's
t, {count} pairs); in percent of the exact mean. They count as equal where the whole interval lies within {margin:.0%},
a margin that was stated before the runs. {dead}

**Verdict.** {verdict}
{changed}"""

CHANGED = """
**What changed** since the page of commit 97df471. Codes are linear by default (b87f9ef), where they were rectified and
some of their units off for a digit. In the order of the table, the mean test MSE of exact training was
{before} and is {now}.
Five seeds are compared instead of three. Differences of the means were held against the spread over the seeds, which
all of them were below; now the interval of the paired differences has to lie within {margin:.0%}, which asks more.
`test/ssim` stands in place of the share of units that are on, which says nothing of a linear code.
"""


def main() -> int:
    """Train, and write; the exit code is 1 if an interval leaves the margin."""
    if not records.only_the_page(__doc__):
        found = {
            arm(net, trainer): {str(seed): _metrics(trainer, seed, words) for seed in SEEDS}
            for net, words in NETS.items()
            for trainer in TRAINERS
        }
        records.write(HERE / "results.csv", found | records.earlier(HERE / "results.csv", BEFORE))
    results = records.read(HERE / "results.csv")
    (HERE / "README.md").write_text(page(results), encoding="utf-8")
    return 1 if _compared(results)[1] else 0


def arm(net: str, trainer: str) -> str:
    """What a net trained so is called."""
    return f"{net}, trainer={trainer}"


def page(results: records.Results) -> str:
    """The page of what was measured."""
    rows, open_questions = _compared(results)
    count = len(METRICS) * len(NETS)
    equal = f"{count - len(open_questions)} of {count} comparisons are equal within {MARGIN:.0%}"
    verdict = (
        f"{equal}, so sweeps may use `trainer=fast`."
        if not open_questions
        else (f"{equal}; not shown to be: {'; '.join(open_questions)}.")
    )
    seeds = records.seeds(results)
    return TEXT.format(
        seeds=", ".join(seeds),
        rows=records.table(rows),
        count=len(seeds),
        margin=MARGIN,
        dead=_dead(results),
        verdict=verdict,
        changed=_changed(results),
    )


def _dead(results: records.Results) -> str:
    """How many units are dead, where that was kept."""
    found = [
        run[DEAD] for net in NETS for trainer in TRAINERS for run in results[arm(net, trainer)].values() if DEAD in run
    ]
    if not found:
        return "How many units of the codes, which are linear, are dead was not kept."
    return f"At most {max(found):.0f} units of a code are dead." if max(found) else "No unit of any code is dead."


def _changed(results: records.Results) -> str:
    """What the page says of an earlier measurement, if its results are kept."""
    nets = [net for net in NETS if net + BEFORE in results]
    if not nets:
        return ""
    before, now = (
        ", ".join(f"{records.middle(results[name], 'test/mse'):.5f}" for name in names)
        for names in ([net + BEFORE for net in nets], [arm(net, "exact") for net in nets])
    )
    return CHANGED.format(before=before, now=now, margin=MARGIN)


def _compared(results: records.Results) -> tuple[list[list[str]], list[str]]:
    """The table, and the comparisons that are not shown to be equal."""
    trained = [f"{trainer}: mean (lowest to highest)" for trainer in TRAINERS]
    rows, open_questions = [["net", "metric", *trained, "fast - exact", "in percent"]], []
    for net in NETS:
        exact, fast = (results[arm(net, trainer)] for trainer in TRAINERS)
        for metric, digits in METRICS.items():
            difference = paired_difference(records.each(fast, metric), records.each(exact, metric))
            share = Difference(*(100 * value / abs(records.middle(exact, metric)) for value in difference))
            if not share.within(100 * MARGIN):
                open_questions.append(f"{metric} of {net} ({share.said('+.1f')} %)")
            cells = [records.spread(runs, metric, f".{digits}f") for runs in (exact, fast)]
            rows.append([net, f"`{metric}`", *cells, difference.said(f"+.{digits}f"), share.said("+.1f")])
    return rows, open_questions


def _metrics(trainer: str, seed: int, words: list[str]) -> dict[str, float]:
    from hourglass.pipeline.train import train_once

    settings = [f"trainer={trainer}", f"seed={seed}", "study=exact_vs_fast", "callback=[quick,pictures,baselines]"]
    metrics = train_once([*words, *settings], folder=Path("runs") / "exact_vs_fast").metrics
    print(f"{words[0]} {trainer} seed {seed}: test/mse {metrics['test/mse']:.5f}", file=sys.stderr)
    return records.kept(metrics, (*METRICS, DEAD))


if __name__ == "__main__":
    sys.exit(main())
