"""Whether the error tells other data from those that the model knows."""

import pytorch_lightning as pl

from hourglass.callbacks.encoding import squared_errors
from hourglass.callbacks.recording import RunCallback
from hourglass.data import Dataset
from hourglass.training import Learner


class Anomalies(RunCallback):
    """After the test on other data: logs `test/anomaly_auroc` (see `hourglass.measures.errors`).

    Args:
        normal: the data that the model was trained on.
    """

    evaluates = True

    def __init__(self, *, normal: Dataset) -> None:
        self.normal = normal

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure; the model is still in evaluation mode."""
        from hourglass.measures.errors import anomaly_auroc

        normal, anomalous = (
            squared_errors(
                pl_module, data.test.x, data.test.y, goal=None if data.targets is None else data.targets.test.x
            )
            for data in (self.normal, pl_module.data)
        )
        found = {"test/anomaly_auroc": anomaly_auroc(normal, anomalous)}
        self.run(trainer).log_end_values(found, steps=pl_module.steps_done)
