"""Measure the published figures: train each recipe with three seeds, and write README.md beside this file.

Run: make figures
"""

import os
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.models.principal_components import pca_for
from hourglass.pipeline.train import Result, train

HERE = Path(__file__).resolve().parent
SEEDS = (0, 1, 2)


class Figure(NamedTuple):
    """A published number, and where Hourglass records its own."""

    recipe: str
    what: str
    source: str
    metric: str
    published: float
    tolerance: float


FIGURES = (
    Figure("published_784_32", "784-32-784, BCE, MNIST test, 20 epochs", "Dertat (2017)", "test/bce", 0.0920, 0.0008),
    Figure(
        "published_784_128_32",
        "784-128-32-128-784, BCE, MNIST, mean over the training steps of epoch 3",
        "Dertat (2017)",
        "train/loss",
        0.0935,
        0.0015,
    ),
    Figure(
        "published_fashion_64",
        "784-64-784, MSE, Fashion-MNIST validation (its test set), 10 epochs",
        "TensorFlow tutorial",
        "test/mse",
        0.0088,
        0.0004,
    ),
)

TEXT = """\
# Published figures

**Question.** Does Hourglass, given the architecture, loss, optimizer, batch size and epochs that an author states, find
the number that the author found?

**Command.** `make figures` (about {minutes:.0f} minutes on {cores} cores; seeds {seeds}; 32-bit, deterministic).

| setup | source | published | Hourglass: mean (lowest to highest over seeds) | allowed difference | met |
|---|---|---|---|---|---|
{rows}

The PCA row is closed-form and has no seed: principal components of all 60,000 training images, squared error per test
image. In the other rows the test set is the validation set, as in the documents; nothing is chosen by it (the weights
of the last epoch are kept). Hourglass starts from Glorot-uniform weights and zero biases, as Keras does.

**Verdict.** {verdict}
"""


def main() -> int:
    """Train, compare and write; the exit code is 1 if a figure is missed."""
    rows, missed, seconds = [], [], 0.0
    config, _ = compose_config(["experiment=published_784_32"])
    data = build(config.data)
    squared_error = pca_for(data).mse(data.test.x, 30) * data.test.x[0].numel()
    rows.append(
        _row(
            "PCA, 30 components, MNIST test, squared error per image",
            "Hinton & Salakhutdinov (2006)",
            13.87,
            [squared_error],
            0.005,
            missed,
        )
    )
    for figure in FIGURES:
        values = []
        for seed in SEEDS:
            config, choices = compose_config(
                [
                    f"experiment={figure.recipe}",
                    f"seed={seed}",
                    "study=published_figures",
                    "callback=[quick,pictures,baselines]",
                    "tracking.log_every_n_steps=25",  # divides the 1,875 steps of an epoch
                ]
            )
            folder = Path("runs") / "published_figures" / f"{figure.recipe}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            result = train(config, choices=choices, folder=folder)
            values.append(_measured(result, figure.metric))
            seconds += result.metrics["time/fit_seconds"]
            print(f"{figure.recipe} seed {seed}: {figure.metric} {values[-1]:.5f}", file=sys.stderr)
        rows.append(_row(figure.what, figure.source, figure.published, values, figure.tolerance, missed))
    verdict = "Every figure is met." if not missed else f"Missed: {'; '.join(missed)}."
    (HERE / "README.md").write_text(
        TEXT.format(
            minutes=seconds / 60,
            cores=os.cpu_count(),
            seeds=", ".join(map(str, SEEDS)),
            rows="\n".join(rows),
            verdict=verdict,
        ),
        encoding="utf-8",
    )
    return 1 if missed else 0


def _measured(result: Result, metric: str) -> float:
    """The recorded value; of a training metric the mean over the last epoch, as Keras prints it."""
    if not metric.startswith("train/"):
        return result.metrics[metric]
    points = result.run.history(metric)
    epochs = result.parts.learner.trainer.max_epochs or 1
    start = points[-1][0] * (epochs - 1) / epochs
    return statistics.mean(value for step, value in points if step > start)


def _row(what: str, source: str, published: float, values: list[float], tolerance: float, missed: list[str]) -> str:
    mean = statistics.mean(values)
    met = abs(mean - published) <= tolerance
    if not met:
        missed.append(what)
    digits = 2 if published > 1 else 5
    spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
    verdict = "yes" if met else "**no**"
    return f"| {what} | {source} | {published} | {mean:.{digits}f}{spread} | {tolerance:g} | {verdict} |"


if __name__ == "__main__":
    sys.exit(main())
