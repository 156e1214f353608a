"""What a model makes of samples, and what is inside it, in pictures."""

from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch

from hourglass import figures
from hourglass.callbacks.inside import inside
from hourglass.data import Dataset
from hourglass.figures.picture import Picture
from hourglass.modes import evaluating
from hourglass.tracking import Run
from hourglass.training import Learner


class Pictures(pl.Callback):
    """Logs images: reconstructions of the same test images in every run, and after the test what `inside` finds.

    Args:
        run: where they go.
        data: the data set.
        count: number of test samples in a picture.
        every: epochs between two pictures during training; null: about five in a training.
        code_map: how a code of more than two units becomes a plane, `pca` or `tsne`.
        folder: where the final picture is also written as a file.
    """

    def __init__(
        self,
        *,
        run: Run,
        data: Dataset,
        count: int,
        every: int | None,
        code_map: Literal["pca", "tsne"],
        folder: Path,
    ) -> None:
        self.run = run
        self.data = data
        self.count = count
        self.every = every
        self.code_map = code_map
        self.folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """A picture every so many epochs."""
        every = self.every or max(1, (trainer.max_epochs or 1) // 5)
        if (trainer.current_epoch + 1) % every == 0:
            with evaluating(pl_module.model):
                picture = self._reconstructions(pl_module)
            self._log(picture, "reconstructions", pl_module.steps_done)

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]  # noqa: ARG002
        """The final pictures; the reconstructions once more at step 0, so that a grid of runs shows them at once."""
        picture = self._reconstructions(pl_module)
        figures.to_png(picture, self.folder / "reconstructions.png")
        self._log(picture, "final/reconstructions", 0)
        for key, found in inside(pl_module, code_map=self.code_map).items():
            self._log(found, key, pl_module.steps_done)

    def _reconstructions(self, learner: Learner) -> Picture:
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

    def _log(self, picture: Picture, key: str, step: int) -> None:
        self.run.log_image(picture.to_image(), key, step)
