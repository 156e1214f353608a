"""What every training procedure shares: the loss terms, their measurement, and the data on the device.

    output = model(noise(x))
    terms  = {reconstruction: loss(output.reconstruction, x), **output.losses, **penalties(model, x, output)}

The target is always the clean x. Validation and test draw their noise from fixed seeds and measure with full precision,
so that numbers of different runs can be compared.
"""

import math
import time
from weakref import WeakKeyDictionary

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hourglass.data import Dataset, Split
from hourglass.errors import Diverged
from hourglass.losses import Loss
from hourglass.metrics import Clean, Metrics
from hourglass.models import Autoencoder, Output
from hourglass.noise import Corruption
from hourglass.regularizers import Penalties
from hourglass.training.batches import Batches, Chunk

EVAL_BATCH = 1000
"""Samples of a batch in validation and test; part of what makes their noise the same in every run."""

_CLEAN: WeakKeyDictionary[Split, dict[tuple[float, float], Clean]] = WeakKeyDictionary()
"""Sums over the clean samples of a split by the range of its data: all epochs and all members of a stack share them."""


class Learner(pl.LightningModule):
    """Measures an autoencoder after every epoch and in the test; how it learns is up to the subclass.

    Args:
        model: the autoencoder.
        noise: the corruption of what the model sees.
        penalties: the regularizers.
        loss: the reconstruction loss.
        data: the data set.
        code_threshold: |h| above which a code unit counts as active, at least 0.

    Raises:
        ValueError: a threshold out of its range.
        Diverged: a measured loss is NaN or infinite.
    """

    chosen_by = "reconstruction"
    """The validation loss by which the best epoch is chosen."""
    labelled = False
    """Whether batches bring their classes."""

    def __init__(
        self,
        *,
        model: Autoencoder,
        noise: Corruption,
        penalties: Penalties,
        loss: Loss,
        data: Dataset,
        code_threshold: float,
    ) -> None:
        super().__init__()
        if not 0 <= code_threshold < math.inf:
            raise ValueError(f"code_threshold must be at least 0, got {code_threshold}")
        self.model = model
        self.noise = noise
        self.penalties = penalties
        self.loss = loss
        self.data = data
        self.code_threshold = code_threshold
        self.steps = 0  # optimizer steps of the whole training; the subclass knows them
        self.steps_done = 0
        self.seconds = 0.0  # of training, logging included, validation not
        self._started: float | None = None
        self._sums: dict[str, float] = {}
        self._measure: Metrics

    def terms(self, x: Tensor, corrupted: Tensor, y: Tensor | None = None) -> tuple[Output, dict[str, Tensor]]:  # noqa: ARG002
        """Clean and corrupted (B, *shape), classes (B,) if `labelled`, to the output and every loss term, weighted
        scalars by name."""
        output = self.model(corrupted)
        return output, {
            "reconstruction": self.loss(output.reconstruction, x),
            **output.losses,
            **self.penalties(self.model, x, output),
        }

    def scores(self, output: Output, y: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002
        """What else to measure of a batch, means over its samples by name; no part of the loss."""
        return {}

    def prior(self, count: int) -> Tensor | None:
        """Codes (count, code_size) drawn from the prior that training brings the code to; None where there is none."""
        own = self.model.bottleneck.prior(count)
        return own if own is not None else self.penalties.prior(self.model, count)

    def companions(self) -> dict[str, nn.Module]:
        """Networks that are trained besides the model, by the name that their weights are kept under."""
        return {}

    def optimizers_used(self) -> list[torch.optim.Optimizer]:
        """All optimizers, in an order that stays; schedules and checkpoints serve each."""
        return []

    # -- measuring -----------------------------------------------------------------------------------------------

    def _start_measuring(self, split: Split) -> None:
        self._sums = {}
        self._measure = Metrics(
            shape=self.data.shape,
            data_range=self.data.range,
            threshold=self.code_threshold,
            active=self.model.bottleneck.active,
            clean=_CLEAN.get(split, {}).get(self.data.range),
        )

    def _measure_batch(self, batch: Chunk, index: int) -> None:
        x = self.data.scaled(batch.x)
        # Measured with full precision, whatever the training's: a model that is loaded again gives these numbers.
        with torch.autocast(x.device.type, enabled=False), self.noise.fixed(index):
            corrupted = self.noise(x)
            output, terms = self.terms(x, corrupted, batch.y)
            scores = self.scores(output, batch.y)
        symbols = self.model.bottleneck.symbols(output.code)
        self._measure.update(x, corrupted, output.reconstruction, output.code, symbols=symbols)
        total = torch.stack(list(terms.values())).sum()
        for name, term in {"loss": total, **terms, **scores}.items():
            self._sums[name] = self._sums.get(name, 0.0) + term.item() * len(x)

    def _log_measured(self, stage: str, split: Split) -> None:
        means = {name: value / len(split) for name, value in self._sums.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise Diverged(name=f"{stage}/{name}", value=value, step=self.steps_done)
        values = {f"{stage}/{name}": value for name, value in {**means, **self._measure.compute()}.items()}
        if self._measure.clean.samples == len(split):  # Lightning can be told to stop before
            _CLEAN.setdefault(split, {})[self.data.range] = self._measure.clean
        self.log_dict(values, logger=False)
        if self.logger is not None:
            self.logger.log_metrics(values, step=self.steps_done)

    def on_validation_epoch_start(self) -> None:
        """Stop the clock and start a measurement."""
        self._stop_clock()
        self._start_measuring(self.data.validation)

    def validation_step(self, batch: Chunk, batch_idx: int) -> None:
        """Measure one batch of the validation set."""
        self._measure_batch(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log `val/...`."""
        self._log_measured("val", self.data.validation)

    def on_test_epoch_start(self) -> None:
        """Start a measurement."""
        self._start_measuring(self.data.test)

    def test_step(self, batch: Chunk, batch_idx: int) -> None:
        """Measure one batch of the test set."""
        self._measure_batch(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log `test/...`."""
        self._log_measured("test", self.data.test)

    # -- the clock -----------------------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Stop the clock where no validation did."""
        self._stop_clock()

    def _stop_clock(self) -> None:
        if self._started is not None:
            self.seconds += time.perf_counter() - self._started
            self._started = None

    # -- data ----------------------------------------------------------------------------------------------------

    def val_dataloader(self) -> Batches:
        """The validation set in order."""
        return self._in_order(self.data.validation)

    def test_dataloader(self) -> Batches:
        """The test set in order."""
        return self._in_order(self.data.test)

    def _in_order(self, split: Split) -> Batches:
        y = split.y if self.labelled else None
        x, y = self._resident(split.x), None if y is None else y.to(self.device)
        return Batches(x=x, corrupted=None, y=y, rows=EVAL_BATCH, order=None)

    def _resident(self, x: Tensor) -> Tensor:
        """Move x to the device once, unless that is forbidden or would take more than half of what is free."""
        if self.device.type != "cuda" or self.data.resident == "never":
            return x
        free, _ = torch.cuda.mem_get_info(self.device)
        if self.data.resident == "auto" and x.numel() * x.element_size() > free // 2:
            return x
        return x.to(self.device)
