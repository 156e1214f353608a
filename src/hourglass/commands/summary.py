"""What a command prints at its end: a short table, and where to look."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hourglass.measures.health import told
from hourglass.measures.images import SSIM_WINDOW
from hourglass.system.passwords import redacted
from hourglass.tracking import resolve_uri
from hourglass.tracking.mlflow_internals import meant

if TYPE_CHECKING:
    from hourglass.pipeline.train import Result

SHOWN = {
    "reconstruction": ("reconstruction loss", "{:.5f}"),
    "mse": ("mean squared error", "{:.5f}"),
    "mse_over_linear": ("  over the best linear code of equal size", "{:.2f}"),
    "mse_as_trained": ("  of the code as in training", "{:.5f}"),
    "bce": ("binary cross-entropy", "{:.4f} nats per value"),
    "psnr": ("PSNR", "{:.2f} dB"),
    "psnr_gain": ("  gained over the noisy input", "{:+.2f} dB"),
    "ssim": (f"SSIM, {SSIM_WINDOW}", "{:.3f}"),
    "explained_variance": ("explained variance", "{:.1%}"),
    "code_active_fraction": ("active code units per sample", "{:.1%}"),
    "code_active_units": ("active code units over all samples", "{:.0f}"),
    "log_likelihood": ("log-likelihood", "{:.2f} nats per sample"),
    "code_perplexity": ("perplexity of the code's symbols", "{:.1f}"),
    "class_agreement": ("drawn samples of the class that was asked for", "{:.1%}"),
    "prior_mmd": ("distance of the codes from their prior, MMD²", "{:.4f}"),
    "prior_mmd_null": ("  that chance alone gives", "{:.4f}"),
    "code_bits": ("  bits that they carry per sample", "{:.1f}"),
    "accuracy": ("classifier accuracy", "{:.2%}"),
    "discriminator_accuracy": ("discriminator accuracy", "{:.1%}"),
    "knn_accuracy": ("5-NN accuracy on the code", "{:.1%}"),
    "linear_accuracy": ("linear probe accuracy", "{:.1%}"),
    "linear_samples": ("  learned from", "{:,.0f} training samples"),
    "linear_accuracy_pixels": ("  on the inputs themselves", "{:.1%}"),
    "linear_accuracy_pca": ("  on PCA of equal size", "{:.1%}"),
    "loss_recovered": ("loss of the network that is recovered", "{:.1%}"),
    "anomaly_auroc": ("AUROC of the error against the run's own data", "{:.3f}"),
}


def table(metrics: Mapping[str, float], *, stage: str) -> str:
    """The metrics of one stage that a reader wants first, a line each."""
    found = rows(metrics, stage=stage)
    width = max((len(label) for label, _ in found), default=0)
    return "\n".join(f"  {label:<{width}}  {value}" for label, value in found)


def rows(metrics: Mapping[str, float], *, stage: str) -> list[tuple[str, str]]:
    """The same, each as its label and its value with the unit."""
    return [
        (label, form.format(meant(metrics[f"{stage}/{name}"])))
        for name, (label, form) in SHOWN.items()
        if f"{stage}/{name}" in metrics
    ]


def summary(result: "Result", *, folder: Path) -> str:
    """What was trained, how good it is, how long it took, and three places to look."""
    run, metrics = result.run, result.metrics
    data = result.parts.data
    picture = folder / "reconstructions.png"
    lines = [
        "",
        f"{run.name}: {metrics['model/parameters']:,.0f} parameters, code of {metrics['model/code_size']:.0f}"
        f" for {data.train.x[0].numel()} inputs, {len(data.train):,} training samples",
        f"trained for {metrics['time/fit_seconds']:.1f} s at {metrics['time/steps_per_second']:.0f} steps/s;"
        f" on the {len(data.test):,} test samples:",
        "",
        table(metrics, stage="test"),
        "",
        f"health     {told(run.tags['health'])}",
    ]
    if picture.exists():
        lines.append(f"picture    {os.path.relpath(picture)}")
    lines += [f"run        {run.id} in {redacted(run.uri)}", f"dashboard  {_dashboard(run.uri)}"]
    return "\n".join(lines)


def _dashboard(uri: str) -> str:
    """The command that shows a run of `uri`, as it can be typed here: with its path where the shell doesn't know it."""
    program = Path(sys.executable).with_name("hourglass")
    command = "hourglass" if shutil.which("hourglass") or not program.exists() else os.path.relpath(program)
    return f"{command} ui" if uri == resolve_uri(None) else f"{command} ui uri={redacted(uri)}"
