"""How good new samples and reconstructions are, in the features of a classifier of the data."""

from typing import cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from hourglass.callbacks.encoding import told
from hourglass.callbacks.recording import RunCallback
from hourglass.data import Dataset
from hourglass.data.dataset import EVAL_BATCH
from hourglass.models.conditional import in_turn
from hourglass.system.errors import HourglassError
from hourglass.training import Learner
from hourglass.training.batches import blocks_of, some, some_of

KNOWN = 60_000
"""Training samples, at most, that new ones may be copies of."""
FEWEST = 100


class Generation(RunCallback):
    """After the test, on data with classes: do new samples look like data, all kinds of them, and are they new.

    Logs, as `test/...`, `frechet`, `kernel`, `precision` and `recall` against test samples (see
    `hourglass.measures.generation`) of as many

    - `samples_...`: new samples, decoded from the sampler's or the prior's draws, where there are any, and
      `samples_novelty`;
    - `reconstructions_...`: reconstructions of the same test samples, clean;
    - `train_...`: training samples, which nothing is better than but by chance;

    and `feature_accuracy`, of the classifier whose features they are (see `hourglass.measures.features`).

    Args:
        samples: of each, at most, at least 100.

    Raises:
        ValueError: fewer.
        HourglassError: a training on samples without classes, or with fewer than 100 in test or training.
    """

    evaluates = True

    def __init__(self, *, samples: int) -> None:
        if samples < FEWEST:
            raise ValueError(f"samples must be at least {FEWEST}, got {samples}")
        self.samples = samples

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Ask before a training whether there are classes."""
        data = cast(Learner, pl_module).data
        if stage != "fit":
            return
        if data.train.y is None or data.test.y is None:
            raise HourglassError(
                f"callback.generation needs classes, whose classifier gives it features, got data={data.name} without"
            )
        if data.targets is not None:
            raise HourglassError(f"callback.generation compares samples alone, got data={data.name} with targets")
        if not _enough(data):
            raise HourglassError(
                f"callback.generation needs {FEWEST} training and test samples, got {len(data.train)} and"
                f" {len(data.test)}"
            )

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure; the model is still in evaluation mode. Other data that are measured anew may have no classes."""
        data = pl_module.data
        if data.train.y is None or data.test.y is None or not _enough(data):
            return
        with torch.autocast(pl_module.device.type, enabled=False):
            values = self._measured(pl_module)
        found = {f"test/{name}": value for name, value in values.items()}
        self.run(trainer).log_end_values(found, steps=pl_module.steps_done)

    @torch.no_grad()
    def _measured(self, learner: Learner) -> dict[str, float]:
        from hourglass.measures.features import classifier
        from hourglass.measures.generation import compare, novelty

        data, known = learner.data, classifier(learner.data)
        x, y = some_of(data.test, self.samples)
        test = data.scaled(x)
        blocks = torch.split(data.train.x[:KNOWN], EVAL_BATCH)
        train, real = torch.cat([known.of(data.scaled(block)) for block in blocks]), known.of(test)
        made = {"reconstructions": self._reconstructed(learner, test, y), "samples": self._drawn(learner, len(test))}
        values = {"feature_accuracy": known.accuracy}
        values |= {f"train_{name}": value for name, value in compare(real, some(train, len(test))).items()}
        for key, found in made.items():
            if found is None:
                continue
            features = known.of(found)
            values |= {f"{key}_{name}": value for name, value in compare(real, features).items()}
            if key == "samples":
                values["samples_novelty"] = novelty(features, real, train)
        return values

    @staticmethod
    def _reconstructed(learner: Learner, x: Tensor, y: Tensor | None) -> Tensor:
        placed = ((block.to(learner.device).to(learner.dtype), told(learner, each)) for block, each in blocks_of(x, y))
        return torch.cat([learner.model(*block).reconstruction.cpu() for block in placed])

    @staticmethod
    def _drawn(learner: Learner, count: int) -> Tensor | None:
        """New samples, the same every time; the random numbers of the caller stay as they were."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            codes = learner.prior(count)
        if codes is None:
            return None
        codes = codes.to(learner.device).to(learner.dtype)
        asked = in_turn(learner.model, count)
        return torch.cat([learner.model.decode(*block).cpu() for block in blocks_of(codes, asked)])


def _enough(data: Dataset) -> bool:
    return min(len(data.train), len(data.test)) >= FEWEST
