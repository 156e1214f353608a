"""Which epoch's weights a training keeps."""

import logging
import math
from typing import Any, Literal

import pytorch_lightning as pl
from torch import Tensor
from typing_extensions import override

from hourglass.data import Dataset
from hourglass.system.checks import check_choice, check_whole
from hourglass.training.lightning_internals import is_fitting

__all__ = ["KeepBest"]

log = logging.getLogger("hourglass")


class KeepBest(pl.Callback):
    """At the end of the fit, puts back the weights of the epoch with the lowest validation loss.

    Which loss is the learner's `monitor`, as a rule the one that is trained. Epochs don't count before it has
    `settled`, as while a term's weight still rises: their loss is of another problem. The test set has no part in the
    choice.

    Args:
        keep: `best`, or `last` to leave the weights as training left them.
        patience: epochs without an improvement after which training ends early, at least 1; null: never.

    Example:
        >>> chosen = KeepBest(keep="best", patience=3)
        >>> chosen.lowest, chosen.epoch
        (inf, -1)
    """

    def __init__(self, *, keep: Literal["best", "last"], patience: int | None) -> None:
        check_choice("keep", keep, ("best", "last"))
        check_whole("patience", patience, lowest=1, null=True)
        self.keep = keep
        self.patience = patience
        self.lowest = math.inf
        self.epoch = -1
        self.weights: dict[str, Tensor] = {}

    def check_data(self, data: Dataset) -> None:
        """ValueError for data whose test set is the validation set, if the validation has a choice."""
        if data.validation is data.test and (self.keep == "best" or self.patience is not None):
            raise ValueError(
                f"keep={self.keep} and patience={self.patience} would let the test set choose, because it is the"
                " validation set (data.validation=test): set training.keep=last and training.patience=null"
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Compare this epoch with the best one, in a fit."""
        if not is_fitting(trainer) or not pl_module.settled:
            return
        value = float(trainer.callback_metrics[f"val/{pl_module.monitor}"])
        if value < self.lowest:
            self.lowest, self.epoch = value, trainer.current_epoch
            if self.keep == "best":
                self.weights = {name: w.detach().clone() for name, w in pl_module.state_dict().items()}
        self._stop_if_exhausted(trainer, trainer.current_epoch)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """End a resumed training that has no patience left, by the patience that it has now."""
        if self.epoch >= 0:
            self._stop_if_exhausted(trainer, trainer.current_epoch - 1)

    def forget(self) -> None:
        """Begin anew, for another fit of the same weights."""
        self.lowest, self.epoch, self.weights = math.inf, -1, {}

    def _stop_if_exhausted(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.patience is not None and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    @override
    def on_fit_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Put the best weights back, also where a resumed training had no epoch left."""
        if self.weights:
            pl_module.load_state_dict(self.weights)
        elif self.keep == "best" and not pl_module.settled:
            log.warning(
                "training.keep=best had no epoch to choose from, because the weights of terms changed until the end:"
                " the last one's are kept"
            )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        return {"lowest": self.lowest, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up again."""
        self.lowest, self.epoch = state_dict["lowest"], state_dict["epoch"]
        self.weights = state_dict["weights"] if self.keep == "best" else {}
