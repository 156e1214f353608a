"""The health of a run: what its numbers say is wrong, in a few words, with every threshold in this one place.

A verdict is a warning, not a failure: a control is worse than the mean image on purpose, and a beta of 4 gives up units
that nobody misses. A run without one is `ok`.
"""

import math
from collections.abc import Mapping, Sequence

OK = "ok"
"""The tag `health` of a run that nothing was found in."""
LEAST_EXPLAINED = 0.01
"""Explained variance below which a reconstruction is no better than the mean sample, the same for every input."""
LEAST_GAIN = 0.0
"""PSNR in dB that denoising has to win over its noisy input; below it, doing nothing is better."""
MOST_OVER_LINEAR = 1.05
"""Error over that of the linear floor from which a run loses to it: a linear net that is trained by gradients ends
within a few per cent above its own optimum, and so does one whose seed was unlucky."""
COLLAPSED_BELOW = 0.01
"""Nats per sample that a unit with a prior carries at least; one of less says nothing of its input. By it
`code_collapsed_units` counts (see `hourglass.measures.streaming`)."""
MOST_GAP = 1.25
"""Error on validation over the error on training samples from which a model is overfit."""
LEAST_LATE_GAIN = 0.01
"""Share of all that the validation loss moved that the last tenth of the epochs still gains in a training that ended
too early."""
ROUNDING = 1e-5
"""Share of the variance below which an error is no yardstick: grey levels are themselves rounded to 1/255, which is
2e-5 of the variance of MNIST's. Ratios to or of less compare rounding. `is_rounding` asks by it, of other measures too.
"""


def is_rounding(value: float, scale: float) -> bool:
    """Whether a value is too small to divide by: `ROUNDING` of its scale or less, or no number.

    Args:
        value: what would stand below the line of a ratio, as an error.
        scale: how large it is where a model knows nothing, in the same unit, as the variance of the data.
    """
    return not value > ROUNDING * scale


def leaves_rounding(metrics: Mapping[str, float], *, beside: float) -> bool:
    """Whether the test error of a run is rounding, so that no other can be told as a multiple of it.

    Args:
        metrics: of the run, with `test/mse`. `test/explained_variance` says how large the error is beside the variance.
        beside: another error on the same data, the scale for a run that lacks it.
    """
    explained = metrics.get("test/explained_variance")
    return is_rounding(metrics["test/mse"], beside) if explained is None else is_rounding(1 - explained, 1.0)


def verdicts(metrics: Mapping[str, float], *, floor: str, losses: Sequence[float]) -> list[str]:
    """What is wrong with a run, the worst first; empty where nothing is.

    Args:
        metrics: the last value of every metric of the run; what was not measured says nothing.
        floor: name of the linear floor that `test/mse_over_linear` refers to; empty where there is none.
        losses: the validation loss that chooses the best epoch, of each epoch that counts.
    """

    def value(name: str) -> float:
        return metrics.get(name, math.nan)  # no comparison with NaN is true

    found = []
    explained, units = value("test/explained_variance"), value("model/code_size")
    sample = "image" if "test/ssim" in metrics else "sample"
    if explained < 0:
        found.append(f"worse than the mean {sample}")
    elif explained < LEAST_EXPLAINED:
        found.append(f"no better than the mean {sample}")
    if value("test/psnr_gain") < LEAST_GAIN:
        found.append(f"worse than doing nothing: {value('test/psnr_gain'):.1f} dB against the noisy input")
    if value("test/mse_over_linear") > MOST_OVER_LINEAR:
        found.append(f"loses to the linear floor: {value('test/mse_over_linear'):.2f} times the error of {floor}")
    if value("fit/dead_units") > 0:
        found.append(f"{value('fit/dead_units'):.0f} of {units:.0f} units dead")
    if value("test/code_collapsed_units") > 0:
        silent, least = value("test/code_collapsed_units"), f"{COLLAPSED_BELOW:g}".removeprefix("0")
        found.append(f"posterior collapsed: {silent:.0f} unit{'' if silent == 1 else 's'} below {least} nats")
    if value("fit/val_mse") > MOST_GAP * value("fit/train_mse") and not is_rounding(1 - explained, 1.0):
        gap = value("fit/val_mse") / value("fit/train_mse") if value("fit/train_mse") else math.inf
        found.append(f"gap: {gap:.2f} times the training error on validation")
    if value("fit/best_epoch") == value("fit/epochs") and _still_falling(losses):
        found.append("best epoch is the last: train longer")
    return found


def diverged(*, name: str, value: float, step: int) -> str:
    """The verdict on a training that a loss ended."""
    return f"diverged: {name} became {value} at step {step}"


def tag(found: Sequence[str]) -> str:
    """Verdicts as the tag `health` of a run, for a column in a table of runs."""
    return "; ".join(found) or OK


def told(health: str) -> str:
    """The tag as a person reads it."""
    return "nothing found" if health == OK else health


def _still_falling(losses: Sequence[float]) -> bool:
    if len(losses) < 2:
        return False
    late = max(1, round(len(losses) / 10))
    moved = max(losses) - min(losses)
    return losses[-1 - late] - losses[-1] > LEAST_LATE_GAIN * moved
