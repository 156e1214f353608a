"""What a run says of itself on its page, in Markdown: the verdict first, since some 100 pixels are seen at once."""

import math
from collections.abc import Mapping

from hourglass.measures.health import told
from hourglass.pipeline.naming import wrapped
from hourglass.tracking.mlflow_internals import artifact_link

MAIN = {
    "test/mse": ("test MSE", "{:.5f}"),
    "test/mse_as_trained": ("test MSE of the code as in training", "{:.5f}"),
    "test/psnr": ("PSNR", "{:.2f} dB"),
    "test/psnr_gain": ("gained over the noisy input", "{:+.2f} dB"),
    "test/mse_over_linear": ("MSE over that of the best linear code", "{:.2f}"),
    "test/code_active_fraction": ("active units per sample", "{:.1%}"),
    "test/code_active_units": ("units active over all samples", "{:.0f}"),
    "fit/dead_units": ("dead units", "{:.0f}"),
    "test/linear_accuracy": ("linear probe", "{:.1%}"),
    "test/linear_samples": ("linear probe learned from", "{:,.0f} samples"),
    "time/fit_seconds": ("training", "{:.0f} s"),
}
"""The numbers that a reader wants first: metric, words, form."""


def numbers(metrics: Mapping[str, float], *, names: Mapping[str, tuple[str, str]] = MAIN) -> dict[str, str]:
    """Words and the number they stand for, of what was measured; infinity, as of a perfect PSNR, in a word."""
    return {
        words: form.format(metrics[name] if abs(metrics[name]) < 1e300 else math.copysign(math.inf, metrics[name]))
        for name, (words, form) in names.items()
        if name in metrics
    }


def describe(*, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str], picture: str | None) -> str:
    """The description of a finished run.

    Args:
        run_id: its id.
        metrics: the last value of each.
        tags: its own; `command` is how it was asked for.
        picture: path of its main picture in the run; None: it has none.
    """
    known = numbers(metrics)
    main = ", ".join(f"{words} **{value}**" for words, value in list(known.items())[:2])
    lines = [f"**{told(tags['health'])}**: {main}" if "health" in tags else main]
    if picture is not None:
        lines.append(f"![reconstructions]({artifact_link(picture, run_id=run_id)})")
    lines.append(
        "\n".join(["| measured | |", "|---|---|", *(f"| {words} | {value} |" for words, value in known.items())])
    )
    if "command" in tags:
        lines.append(f"```\n{wrapped(tags['command'])}\n```")
    return "\n\n".join(lines)
