"""Classical restorations beside the model's."""

import pytorch_lightning as pl
import torch

from hourglass import figures
from hourglass.data import Dataset
from hourglass.data.dataset import EVAL_BATCH
from hourglass.tracking import Run
from hourglass.training import Learner

PICTURED = 10
"""Samples in the picture."""


class Baselines(pl.Callback):
    """After the test: what the classical methods that belong to the noise make of the same corrupted samples.

    Logs `baseline/<name>_mse` and `baseline/<name>_psnr` for each of `Corruption.baselines` that suits the data, for
    `corrupted`, what it all starts from, and for `model`; and the picture `baselines`. A noise that names none logs
    nothing.

    Args:
        run: where they go.
        data: the data set.
        samples: the first so many test samples, at most a test batch, under the noise that the test has for them.
        pictured: whether the picture is drawn.
    """

    def __init__(self, *, run: Run, data: Dataset, samples: int, pictured: bool) -> None:
        self.run = run
        self.data = data
        self.samples = samples
        self.pictured = pictured

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]  # noqa: ARG002
        """Restore, compare and draw."""
        from hourglass.measures import restorations

        noise = pl_module.noise
        names = restorations.suited(noise.baselines, self.data.shape)
        if not names:
            return
        # The whole first batch, because its draws depend on its size; then the samples that are wanted.
        batch = self.data.scaled(self.data.test.x[:EVAL_BATCH].to(pl_module.device))
        with torch.no_grad(), noise.fixed():
            corrupted = noise(batch)[: self.samples]
            model = pl_module.model(corrupted).reconstruction
        known = restorations.probe(noise, batch).first(self.samples)
        restored = {
            name: restorations.restore(name, corrupted, known=known, value_range=self.data.range) for name in names
        }
        x, rows = batch[: self.samples], {"corrupted": corrupted, **restored, "model": model}
        values = restorations.compare(x, rows, value_range=self.data.range)
        self.run.log_metrics({f"baseline/{key}": value for key, value in values.items()}, step=pl_module.steps_done)
        if not self.pictured:
            return
        picture = figures.restorations(
            {name: row[:PICTURED] for name, row in {"original": x, **rows}.items()},
            psnr={name: values[f"{name}_psnr"] for name in rows},
            value_range=self.data.range,
            caption=f"The first test samples; PSNR in dB over {len(x)}",
        )
        self.run.log_image(picture.to_image(), "baselines", pl_module.steps_done)
