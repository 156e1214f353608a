"""Whether the units of a code are the factors of the data."""

import pytorch_lightning as pl
from torch import Tensor

from hourglass.callbacks.recording import RunCallback
from hourglass.data import Split
from hourglass.training import Learner
from hourglass.training.batches import some, some_of


class Disentanglement(RunCallback):
    """After the test, on data whose factors are known (`data=shapes`); nothing on others.

    Logs, as `test/...`, of codes as they are trained: `mutual_information_gap`, `dci_disentanglement`,
    `dci_completeness`, `dci_informativeness` (see `hourglass.measures.disentanglement`).

    Args:
        samples: training samples that the forests of DCI learn from, and test samples that all is measured on, at most,
            a random subset; at least 100.

    Raises:
        ValueError: fewer.
    """

    evaluates = True

    def __init__(self, *, samples: int) -> None:
        if samples < 100:
            raise ValueError(f"samples must be at least 100, got {samples}")
        self.samples = samples

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure; the model is still in evaluation mode."""
        from hourglass.measures.disentanglement import dci, mutual_information_gap

        known, test = (self._codes(pl_module, split) for split in (pl_module.data.train, pl_module.data.test))
        if test is None:
            return
        values = {"mutual_information_gap": mutual_information_gap(*test)}
        if known is not None:
            values |= {f"dci_{name}": value for name, value in dci(*known, *test)._asdict().items()}
        found = {f"test/{name}": value for name, value in values.items()}
        self.run(trainer).log_end_values(found, steps=pl_module.steps_done)

    def _codes(self, learner: Learner, split: Split) -> tuple[Tensor, Tensor] | None:
        """The codes of some samples, those units that are in use, and their factors."""
        if split.factors is None or len(split) < 2:
            return None
        code = learner.drawn_codes(*some_of(split, self.samples))
        return code[:, learner.model.bottleneck.active.cpu() != 0], some(split.factors, self.samples)
