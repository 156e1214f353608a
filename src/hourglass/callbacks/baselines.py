"""Classical restorations beside the model's."""

import pytorch_lightning as pl
import torch

from hourglass import figures
from hourglass.callbacks.encoding import told
from hourglass.callbacks.recording import RunCallback
from hourglass.data.dataset import EVAL_BATCH
from hourglass.training import Learner

PICTURED = 5
"""Samples in the picture."""


class Baselines(RunCallback):
    """After the test: what the classical methods that belong to the noise make of the same corrupted samples.

    Logs `test/baseline_<name>_mse` and `test/baseline_<name>_psnr` for each of `Corruption.baselines` that suits the
    data, for `corrupted`, what it all starts from, and for `model`; and the picture `final/baselines`. A noise that
    names none logs nothing.

    Args:
        samples: the first so many test samples, 1 to 1000 (a test batch), under the noise that the test has for them.
        picture: whether the picture is drawn, where the data can be.

    Raises:
        ValueError: samples outside that range.
    """

    evaluates = True

    def __init__(self, *, samples: int, picture: bool) -> None:
        if not 1 <= samples <= EVAL_BATCH:
            raise ValueError(f"samples must be from 1 to {EVAL_BATCH}, one test batch, got {samples}")
        self.samples = samples
        self.picture = picture

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Restore, compare and draw."""
        from hourglass.measures import restorations

        run, data, noise = self.run(trainer), pl_module.data, pl_module.noise
        names = restorations.suited(noise.baselines, data.shape)
        if not names or data.targets is not None:  # which no restoration of the input is
            return
        # The whole first batch, because its draws depend on its size; then the samples that are wanted.
        batch = data.scaled(data.test.x[:EVAL_BATCH].to(pl_module.device))
        with torch.no_grad(), noise.seeded():
            corrupted = noise(batch)[: self.samples]
            y = None if data.test.y is None else data.test.y[: self.samples]
            model = pl_module.model(corrupted, told(pl_module, y)).reconstruction
        known = restorations.probe(noise, batch).first(self.samples)
        restored = {name: restorations.restore(name, corrupted, known=known, value_range=data.range) for name in names}
        x, rows = batch[: self.samples], {"corrupted": corrupted, **restored, "model": model}
        values = restorations.compare(x, rows, value_range=data.range)
        found = {f"test/baseline_{key}": value for key, value in values.items()}
        run.log_end_values(found, steps=pl_module.steps_done)
        if not self.picture or not data.drawable or data.is_signal:
            return
        picture = figures.restorations(
            {name: row[:PICTURED] for name, row in {"original": x, **rows}.items()},
            psnr={name: values[f"{name}_psnr"] for name in rows},
            value_range=data.range,
            caption=f"{min(PICTURED, len(x))} test samples as other methods restore them; PSNR in dB over {len(x):,}",
        )
        heading = f"{run.name}, step {pl_module.steps_done:,}"
        run.log_image(picture.to_image(heading=heading), "final/baselines", 0)
