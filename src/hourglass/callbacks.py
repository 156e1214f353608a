"""Callbacks: what happens around training but is no part of it.

`Progress` shows where one is, `Pictures` and `Usefulness` record what the model
does, `Checkpoints` makes a cut-off training resumable in the same run.
"""

import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from tqdm import tqdm

from hourglass import figures
from hourglass.data import Dataset
from hourglass.tracking import Run
from hourglass.training import Backprop

log = logging.getLogger("hourglass")

CHECKPOINT = "checkpoints/last.ckpt"
"""Where a run keeps the state of its training, below its artifacts."""


class Progress(pl.Callback):
    """One bar over all optimizer steps; where the output is no terminal, one line per tenth of the training."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.shown = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Backprop) -> None:  # type: ignore[override]  # noqa: ARG002
        """Open the bar."""
        self.shown = 0
        self.bar = tqdm(
            total=pl_module.steps,
            initial=pl_module.steps_done,
            unit="step",
            desc="training",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Backprop, *_: Any) -> None:  # type: ignore[override]  # noqa: ARG002
        """Move it."""
        if self.bar is not None and not self.bar.disable:
            self.bar.update(pl_module.steps_done - self.bar.n)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Backprop) -> None:  # type: ignore[override]
        """Say how good the model has become."""
        if self.bar is None:
            return
        values = trainer.callback_metrics
        text = f"loss {float(values['val/loss']):.5f}, mse {float(values['val/mse']):.5f}"
        if not self.bar.disable:
            self.bar.set_postfix_str(f"epoch {trainer.current_epoch + 1}, val {text}")
            return
        tenth = 10 * pl_module.steps_done // pl_module.steps
        if tenth > self.shown:
            self.shown = tenth
            log.info(
                "epoch %d, step %d of %d: val %s",
                trainer.current_epoch + 1,
                pl_module.steps_done,
                pl_module.steps,
                text,
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Close the bar."""
        self._close()

    def on_test_start(self, trainer: pl.Trainer, pl_module: Backprop) -> None:  # type: ignore[override]  # noqa: ARG002
        """Say that the test, with probes and pictures, takes its seconds too."""
        log.info("measuring on the %s test samples of %s", f"{len(pl_module.data.test):,}", pl_module.data.name)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Close the bar before the error is printed."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


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

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Backprop) -> None:  # type: ignore[override]
        """A picture every so many epochs."""
        every = self.every or max(1, (trainer.max_epochs or 1) // 5)
        if (trainer.current_epoch + 1) % every == 0:
            pl_module.model.eval()
            self._log(self._reconstructions(pl_module), "reconstructions", pl_module.steps_done)
            pl_module.model.train()

    def on_test_end(self, trainer: pl.Trainer, pl_module: Backprop) -> None:  # type: ignore[override]  # noqa: ARG002
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

    def _reconstructions(self, learner: Backprop) -> Any:
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


class Usefulness(pl.Callback):
    """After the test: what the code is good for, and the distance to PCA of the same size.

    Logs `test/knn_accuracy`, `test/linear_accuracy` where there are labels, and `test/mse_over_pca`.
    """

    def __init__(self, *, run: Run, data: Dataset, train_samples: int) -> None:
        self.run = run
        self.data = data
        self.train_samples = train_samples

    def on_test_end(self, trainer: pl.Trainer, pl_module: Backprop) -> None:  # type: ignore[override]
        """Measure on the clean data."""
        from hourglass import pca, usefulness

        train, test = self.data.train, self.data.test
        values: dict[str, float] = {}
        if train.y is not None and test.y is not None:
            x, y = train.x[: self.train_samples], train.y[: self.train_samples]
            values |= usefulness.probe(
                encode(pl_module, x), y, encode(pl_module, test.x), test.y, train_samples=self.train_samples
            )
        size = pl_module.model.code_size
        if size < test.x[0].numel():
            floor = pca.pca_for(self.data).mse(test.x, size)
            if floor > 0:
                values["mse_over_pca"] = float(trainer.callback_metrics["test/mse"]) / floor
        self.run.log_metrics({f"test/{name}": value for name, value in values.items()}, step=pl_module.steps_done)


class Checkpoints(pl.Callback):
    """Keeps the state of the training in the run, so that `hourglass train resume=RUN_ID` goes on with it.

    Args:
        run: where the checkpoint goes.
        every: epochs between two checkpoints; the end of the training always makes one.
    """

    def __init__(self, *, run: Run, every: int) -> None:
        self.run = run
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Save at the end of the epoch."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if last or (trainer.current_epoch + 1) % self.every == 0:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / Path(CHECKPOINT).name
                trainer.save_checkpoint(path)
                self.run.log_file(path, str(Path(CHECKPOINT).parent))


@torch.no_grad()
def encode(learner: Backprop, x: Tensor) -> Tensor:
    """Codes (N, code_size) of clean samples (N, *shape), on the CPU."""
    blocks = [
        learner.model.encode(learner.data.scaled(block.to(learner.device))).float().cpu()
        for block in torch.split(x, 1000)
    ]
    return torch.cat(blocks)
