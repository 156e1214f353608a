"""What a model makes of samples, in pictures."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from hourglass import figures
from hourglass.callbacks.encoding import encode
from hourglass.data import Dataset
from hourglass.tracking import Run
from hourglass.training import Learner


class Pictures(pl.Callback):
    """Logs images: reconstructions of the same test images in every run, filters, and the map of the code.

    Args:
        run: where they go.
        data: the data set.
        count: number of test samples in a picture.
        every: epochs between two pictures during training; null: about five in a training.
        folder: where the final picture is also written as a file.
    """

    def __init__(self, *, run: Run, data: Dataset, count: int, every: int | None, folder: Path) -> None:
        self.run = run
        self.data = data
        self.count = count
        self.every = every
        self.folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """A picture every so many epochs."""
        every = self.every or max(1, (trainer.max_epochs or 1) // 5)
        if (trainer.current_epoch + 1) % every == 0:
            pl_module.model.eval()
            self._log(self._reconstructions(pl_module), "reconstructions", pl_module.steps_done)
            pl_module.model.train()

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]  # noqa: ARG002
        """The final pictures; the reconstructions once more at step 0, so that a grid of runs shows them at once."""
        step = pl_module.steps_done
        figure = self._reconstructions(pl_module)
        figures.to_png(figure, self.folder / "reconstructions.png")
        self._log(figure, "final/reconstructions", 0)
        code = encode(pl_module, self.data.test.x[:2000])
        labels = None if self.data.test.y is None else self.data.test.y[:2000]
        self._log(figures.code_map(code, labels), "code_map", step)
        self._log(figures.code_histogram(code, threshold=pl_module.code_threshold), "code_histogram", step)
        first = next(w for w in pl_module.model.encoder.parameters() if w.ndim >= 2).detach().float().cpu()
        if self.data.is_image:
            self._log(figures.filters(first, self.data.shape), "filters", step)

    def _reconstructions(self, learner: Learner) -> Any:
        x = learner.data.scaled(self.data.test.x[: self.count].to(learner.device))
        with torch.no_grad(), learner.noise.fixed():
            corrupted = learner.noise(x)
            output = learner.model(corrupted)
        return figures.reconstructions(
            x.cpu(),
            None if corrupted is x else corrupted.cpu(),
            output.reconstruction.cpu(),
            value_range=self.data.range,
            caption="",
        )

    def _log(self, figure: Any, key: str, step: int) -> None:
        self.run.log_image(figures.to_array(figure), key, step)
