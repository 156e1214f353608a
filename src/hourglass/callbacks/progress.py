"""Where a training is."""

import logging
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from typing_extensions import override

from hourglass.system.bars import progress_bar
from hourglass.training import Learner

if TYPE_CHECKING:
    from tqdm import tqdm

log = logging.getLogger("hourglass")


class Progress(pl.Callback):
    """One bar over all optimizer steps; where none can be shown, as in a file, one line per tenth of the training."""

    evaluates = True

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None
        self.shown = 0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Open the bar."""
        self.shown = 0
        self.bar = progress_bar(
            total=pl_module.steps,
            initial=pl_module.steps_done,
            unit="step",
            desc="training",
            dynamic_ncols=True,
        )

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Learner, *_: Any) -> None:  # type: ignore[override]
        """Move it."""
        if self.bar is not None and not self.bar.disable:
            self.bar.update(pl_module.steps_done - self.bar.n)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
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

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        if self.bar is not None and not self.bar.disable:
            self.bar.total = self.bar.n  # an early end is an end, too, and no failure
        self._close()

    @override
    def on_test_start(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Say that the test, with probes and pictures, takes its seconds too."""
        log.info("measuring on the %s test samples of %s", f"{len(pl_module.data.test):,}", pl_module.data.name)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar before the error is printed."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
