"""What the code is good for."""

import pytorch_lightning as pl

from hourglass.callbacks.encoding import encode
from hourglass.data import Dataset
from hourglass.tracking import Run
from hourglass.training import Learner


class Usefulness(pl.Callback):
    """After the test: what the code is good for, and the distance to PCA of the same size.

    Logs `test/knn_accuracy`, `test/linear_accuracy` where there are labels, and `test/mse_over_pca`.
    """

    def __init__(self, *, run: Run, data: Dataset, train_samples: int) -> None:
        self.run = run
        self.data = data
        self.train_samples = train_samples

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
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
