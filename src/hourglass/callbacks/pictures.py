"""What a model makes of samples, and what is inside it, in pictures."""

from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from hourglass import figures
from hourglass.callbacks.encoding import told
from hourglass.callbacks.inspection import inside
from hourglass.callbacks.recording import RunCallback
from hourglass.figures.picture import Picture
from hourglass.system.modes import evaluating
from hourglass.tracking import Run
from hourglass.training import Learner


class Pictures(RunCallback):
    """Logs images: reconstructions of the same test images in every run, and after the test what `inside` finds.

    The final picture is also written as the file `reconstructions.png` into the trainer's `default_root_dir`. Samples
    that are no picture (see `Dataset.drawable`) get none.

    Args:
        count: number of test samples in a picture, at least 1.
        every: epochs between two pictures during training, at least 1; null: about five in a training.
        code_map: how a code of more than two units becomes a plane, `pca` or `tsne`.

    Raises:
        ValueError: a number out of its range, another map.
    """

    def __init__(self, *, count: int, every: int | None, code_map: Literal["pca", "tsne"]) -> None:
        for key, value in (("count", count), ("every", every)):
            if value is not None and value < 1:
                raise ValueError(f"{key} must be at least 1, got {value}")
        if code_map not in ("pca", "tsne"):
            raise ValueError(f"code_map must be one of pca, tsne, got {code_map!r}")
        self.count = count
        self.every = every
        self.code_map = code_map

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """A picture every so many epochs."""
        every = self.every or max(1, (trainer.max_epochs or 1) // 5)
        if (trainer.current_epoch + 1) % every == 0 and pl_module.data.wanted.drawable:
            with evaluating(pl_module.model):
                picture = self._reconstructions(pl_module)
            run = self.run(trainer)
            run.log_image(picture.to_image(heading=_heading(run, pl_module)), "reconstructions", pl_module.steps_done)

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """The final pictures, at step 0, where a grid of runs begins; those under `final/` come before all curves."""
        if not pl_module.data.wanted.drawable:
            return
        run, picture = self.run(trainer), self._reconstructions(pl_module)
        heading = _heading(run, pl_module)
        figures.to_png(picture, Path(trainer.default_root_dir) / "reconstructions.png")
        run.log_image(picture.to_image(heading=heading), "final/reconstructions", 0)
        run.log_picture(picture.to_image(heading=heading), "reconstructions")
        if not pl_module.data.drawable:
            return
        for key, found in inside(pl_module, code_map=self.code_map).items():
            run.log_image(found.to_image(heading=heading), f"final/{key}", 0)

    def _reconstructions(self, learner: Learner) -> Picture:
        x = learner.data.scaled(learner.data.test.x[: self.count].to(learner.device))
        with torch.no_grad(), learner.noise.seeded():
            corrupted = learner.noise(x)
            y = learner.data.test.y
            output = learner.model(corrupted, told(learner, None if y is None else y[: self.count]))
        wanted = learner.data.wanted
        draw = figures.signals if wanted.is_signal else figures.reconstructions
        seen = None if corrupted is x else corrupted.cpu()
        if learner.data.targets is not None:
            x = wanted.scaled(wanted.test.x[: self.count])
            seen = _beside(corrupted.cpu(), x)
        return draw(
            x.cpu(),
            seen,
            output.reconstruction.cpu(),
            value_range=wanted.range,
            caption=f"{len(x)} of {len(learner.data.test):,} test samples; MSE of each",
        )


def _beside(seen: Tensor, target: Tensor) -> Tensor | None:
    """What the model sees, to be drawn beside targets: grey as colour; None where it has another size."""
    if seen.ndim == target.ndim == 4 and seen.shape[1] == 1:
        seen = seen.expand(-1, target.shape[1], -1, -1)
    return seen if seen.shape == target.shape else None


def _heading(run: Run, learner: Learner) -> str:
    """Which run, and when."""
    return f"{run.name}, step {learner.steps_done:,}"
