"""What every training procedure shares: the loss terms, their measurement, and the data on the device.

    output = model(noise(x))
    terms  = {reconstruction: loss(output.reconstruction, x), **output.losses, **penalties(model, x, output)}

The target is always the clean x; what is missing in it (`Dataset.target`) counts nowhere. How that is measured after
every epoch and in the test: `measurement`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hourglass.bottlenecks import Above, Activity, HasAuxiliary, HasPrior, Symbolic
from hourglass.data import Dataset, Split
from hourglass.data.dataset import EVAL_BATCH
from hourglass.losses import Loss, Term
from hourglass.models import Autoencoder, Output
from hourglass.noise import Corruption
from hourglass.regularizers import Penalties
from hourglass.samplers import Geometry, Sampler
from hourglass.system.checks import check_level
from hourglass.system.modes import evaluating
from hourglass.training.batches import Batches, blocks_of, is_exact, some_of
from hourglass.training.clock import Clock
from hourglass.training.measurement import Measurement
from hourglass.training.plain import as_chunk, check_plain
from hourglass.training.replicas import Replicas

__all__ = ["FITTED", "Learner", "LearnerArguments"]

FITTED = 10_000
"""Training samples, at most, whose codes a sampler is fitted to, a random subset."""


class LearnerArguments(TypedDict):
    """The arguments of `Learner`, which a procedure with more of its own takes as `**shared: Unpack[...]`."""

    model: Autoencoder
    noise: Corruption
    penalties: Penalties
    loss: Loss
    data: Dataset
    code_threshold: float | None
    sampler: Sampler


class Learner(pl.LightningModule):
    """Measures an autoencoder after every epoch and in the test; how it learns is up to the subclass.

    Args:
        model: the autoencoder.
        noise: the corruption of what the model sees.
        penalties: the regularizers.
        loss: the reconstruction loss.
        data: the data set.
        code_threshold: |h| above which a code unit counts as on, at least 0; null: what the code's own definition
            is (see `hourglass.bottlenecks.activity`).
        sampler: what codes are drawn from once it has been fitted, after the training.

    Raises:
        ValueError: a threshold out of its range.
        Diverged: a measured loss is NaN or infinite.
    """

    monitor = "loss"
    """What of the validation the best epoch has least of: what is trained."""
    alone: str | None = "it makes no steps by batches"
    """Why it can't be trained on several devices; None where it can."""
    scales_loss = False
    """Whether all of its steps go down the gradient of a loss, which a precision of 16 bits scales."""
    labelled = False
    """Whether batches bring their classes."""
    any_target = False
    """Whether it learns from targets that are not the samples themselves."""
    classes = 0
    """How many it knows, if `labelled`."""
    validated: Sequence[float] = ()
    """What the best epoch is chosen by, of each epoch that had settled."""
    scores_in_use = False
    """Whether `scores` are of the code in use; else of the code as it is trained."""
    decodes_disturbed = True
    """Whether what it decodes in training is the code that a regularizer has disturbed."""

    def __init__(
        self,
        *,
        model: Autoencoder,
        noise: Corruption,
        penalties: Penalties,
        loss: Loss,
        data: Dataset,
        code_threshold: float | None,
        sampler: Sampler,
    ) -> None:
        super().__init__()
        check_level("code_threshold", code_threshold, null=True)
        self.model = model
        if model.classes:
            self.labelled, self.classes = True, model.classes
        self.noise = noise
        self.penalties = penalties
        self.loss = loss
        self.data = data
        self.code_threshold = code_threshold
        # No module of this one: no part of the state that steps change, checkpoints hold and stacks share.
        self._samplers = (sampler,)
        self.steps = 0  # optimizer steps of the whole training; the subclass knows them
        self.steps_done = 0
        self.clock = Clock()  # of training, logging included, validation not
        self._measurement: Measurement
        self.replicas = Replicas()

    @property
    def geometry(self) -> Geometry | None:
        """The metric of the code space that is learned with the model; None where none is."""
        return None

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self.clock.seconds

    @property
    def batch_size(self) -> int | None:
        """Samples of a training batch; None where it isn't trained by batches."""
        return None

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the least validation loss so far, counted from 1; None where no epoch is better than another."""
        return None

    def terms(self, x: Tensor, corrupted: Tensor, y: Tensor | None = None) -> tuple[Output, dict[str, Term]]:
        """Target and corrupted (B, *shape), classes (B,) if `labelled`, to the output and every loss term by name."""
        output = self.model(corrupted, y, disturb=self.penalties.disturb)
        return output, self.penalties.reweigh(self.terms_of(output, x, y), output)

    def terms_of(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Term]:  # noqa: ARG002
        """The loss terms of an output by name; x is the target (B, *shape), y the classes (B,) if `labelled`."""
        return {
            "reconstruction": Term(self.loss(output.reconstruction, x)),
            **output.losses,
            **self._auxiliary(output, x),
            **self.penalties(self.model, self.clean(output, x), output, target=x),
        }

    def clean(self, output: Output, x: Tensor) -> Tensor:
        """The input (B, *shape) that penalties look at: the target x itself, what is missing filled in.

        Where the target is another the input as the model sees it.

        """
        if self.data.targets is None:
            return self.data.filled(x)
        assert output.given is not None
        return output.given

    def _auxiliary(self, output: Output, x: Tensor) -> dict[str, Term]:
        """The losses of the bottleneck's auxiliary codes, by a decoder that learns nothing of them."""
        neck = self.model.bottleneck
        codes = neck.auxiliary(output.encoded) if isinstance(neck, HasAuxiliary) else {}
        return {name: Term(self.loss(self.model.decode_held(code, output.y), x)) for name, code in codes.items()}

    def as_trained(self, output: Output, x: Tensor, corrupted: Tensor) -> Output:  # noqa: ARG002
        """The output of corrupted samples as a training step makes it (see `Autoencoder.as_trained`); x: the target."""
        return self.model.as_trained(output)

    def scores(self, output: Output, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002
        """What else to measure of a batch, means over its samples by name; no part of the loss. See `terms_of`."""
        return {}

    def uncontested(self, terms: Mapping[str, Term]) -> dict[str, Tensor]:  # noqa: ARG002
        """The loss without the terms that another network changes, by name; empty where there are none."""
        return {}

    @property
    def settled(self) -> bool:
        """Whether what is trained is what it is to be, all terms with their weights: losses of before don't compare."""
        return self.model.bottleneck.settled and self.penalties.settled

    @property
    def sampler(self) -> Sampler:
        """The density of the codes, which the end of the fit leaves."""
        return self._samplers[0]

    def prior(self, count: int) -> Tensor | None:
        """Codes (count, code_size) drawn to be decoded; None where there is nothing to draw from.

        From the sampler where one was chosen, which is fitted then; else from the prior that training brings the code
        to: the procedure's own, the bottleneck's, or the penalties'.
        """
        drawn = self.sampler.draw(self.model.bottleneck, count)
        return drawn if drawn is not None else self.trained_prior(count)

    def trained_prior(self, count: int) -> Tensor | None:
        """Codes (count, code_size) drawn from the prior that training brings the code to; None where there is none."""
        bottleneck = self.model.bottleneck
        return bottleneck.prior(count) if isinstance(bottleneck, HasPrior) else self.penalties.prior(self.model, count)

    def drawn_codes(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (N, code_size) of samples (N, *shape), and their classes, as training sees and draws them, on the CPU.

        See `Bottleneck.sampled`. Noise and draws are the same every time, and the same as those of validation and test.

        """
        return self._of_outputs(x, y, lambda encoded: self.model.bottleneck.sampled(encoded).float())

    def symbols_of(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The numbers (N, parts) of the symbols of their codes, on the CPU, see `Symbolic.choices`."""
        return self._of_outputs(x, y, cast(Symbolic, self.model.bottleneck).choices)

    @torch.no_grad()
    def _of_outputs(self, x: Tensor, y: Tensor | None, read: Callable[[Tensor], Tensor]) -> Tensor:
        found = []
        with torch.autocast(self.device.type, enabled=False):
            for index, (block, told) in enumerate(blocks_of(x, y)):
                clean = self.data.scaled(block.to(self.device)).to(self.dtype)
                with self.noise.seeded(index):
                    encoded = self.model.encoded(self.noise(clean), None if told is None else told.to(self.device))
                    found.append(read(encoded).cpu())
        return torch.cat(found)

    def on_fit_end(self) -> None:
        """Fit the sampler, with the weights that are kept: callbacks have put them back."""
        if self.sampler.state_dict():  # else there is nothing to learn
            with evaluating(self.model):
                codes = self.symbols_of if self.sampler.of_symbols else self.drawn_codes
                self.sampler.fit(codes(*some_of(self.data.train, FITTED)), geometry=self.geometry)

    def activity(self) -> Activity:
        """Counts when units of the code are on, by the code's own definition or the threshold that a person set."""
        return self.model.bottleneck.activity() if self.code_threshold is None else Above(threshold=self.code_threshold)

    def auxiliary_networks(self) -> dict[str, nn.Module]:
        """What learns or counts besides the model, by the name that its state is kept under."""
        held = {"sampler": self.sampler, "regularizers": self.penalties}
        return {name: module for name, module in held.items() if module.state_dict()}

    def size_as(self, name: str, weights: Mapping[str, Tensor]) -> None:
        """Give an auxiliary network the size of the weights that a run kept of it, where that goes by the data.

        Raises:
            ValueError: the data have more than weights of this size know.
        """

    def optimizers_used(self) -> list[torch.optim.Optimizer]:
        """All optimizers, in an order that stays; schedules and checkpoints serve each."""
        return []

    # -- measuring -----------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Stop the clock and start a measurement."""
        self.clock.stop()
        self._measurement = Measurement(self, self.data.validation, limit=self.trainer.limit_val_batches)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure one batch of the validation set."""
        if self.replicas.first:
            self._measurement.add(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Log `val/...`."""
        self._log_measured("val")

    def on_test_epoch_start(self) -> None:
        """Start a measurement."""
        self._measurement = Measurement(self, self.data.test, limit=self.trainer.limit_test_batches)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Measure one batch of the test set."""
        self._measurement.add(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Log `test/...`."""
        self._log_measured("test")

    def _log_measured(self, stage: str) -> None:
        values = self._measurement.values(stage)
        del self._measurement  # which holds on to the split
        exact = is_exact(self.trainer)
        self.log_dict(values, logger=False if exact else None)  # Lightning rounds them to 32 bits
        if exact:
            self._to_loggers(values)

    def _to_loggers(self, values: dict[str, float]) -> None:
        for logger in self.loggers:
            logger.log_metrics(values, step=self.steps_done)

    def predict_step(self, batch: Any, batch_idx: int) -> Output:  # noqa: ARG002
        """Code and reconstruction of the clean samples of one batch, among what else the model puts out."""
        chunk = as_chunk(batch, self)
        output: Output = self.model(self.data.scaled(chunk.x), chunk.y)
        return output

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Refuse a trainer of a person's own in which nothing can be learned."""
        check_plain(self.trainer)

    # -- the clock -----------------------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self.clock.start()

    def on_train_epoch_end(self) -> None:
        """Stop the clock where no validation did."""
        self.clock.stop()

    # -- data ----------------------------------------------------------------------------------------------------

    def val_dataloader(self) -> Batches:
        """The validation set in order."""
        return self._in_order(self.data.validation)

    def test_dataloader(self) -> Batches:
        """The test set in order."""
        return self._in_order(self.data.test)

    def predict_dataloader(self) -> Batches:
        """The test set in order."""
        return self._in_order(self.data.test)

    def _in_order(self, split: Split) -> Batches:
        y = split.y if self.labelled else None
        x, y = self._resident(split.x), None if y is None else y.to(self.device)
        target = None if self.data.targets is None else self._resident(self.data.targets_of(split).x)
        return Batches(x=x, corrupted=None, y=y, target=target, rows=EVAL_BATCH, order=None, split=split)

    def _resident(self, x: Tensor) -> Tensor:
        """Move x to the device once, unless that is forbidden or would take more than half of what is free."""
        if self.device.type != "cuda" or self.data.resident == "never":
            return x
        free, _ = torch.cuda.mem_get_info(self.device)
        if self.data.resident == "auto" and x.numel() * x.element_size() > free // 2:
            return x
        return x.to(self.device)
