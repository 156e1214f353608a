"""Where a training is."""

import logging
import sys
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from hourglass.system.bars import Bar
from hourglass.training import Learner

log = logging.getLogger("hourglass")


class Progress(pl.Callback):
    """One bar over all optimizer steps; where the output is no terminal, one line per tenth of the training."""

    evaluates = True

    def __init__(self) -> None:
        self.bar: Bar | None = None
        self.shown = 0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Open the bar."""
        self.shown = 0
        self.bar = Bar(
            total=pl_module.steps,
            initial=pl_module.steps_done,
            unit="step",
            desc="training",
            disable=not sys.stderr.isatty(),
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
