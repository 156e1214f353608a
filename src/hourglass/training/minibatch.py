"""What every training by mini-batches shares: chunks, schedules, clipping, points, and going on where it was cut off.

Each `training_step` receives a chunk of batches and makes one step for each; schedules, clipping and logged steps
count optimizer steps. What a step is, the subclass says.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, NotRequired, Protocol, Unpack, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from hourglass.data.dataset import EVAL_BATCH
from hourglass.losses import logged, total
from hourglass.system.errors import Diverged
from hourglass.training.batches import Batches, Chunk, chunk_rows, counts_batches
from hourglass.training.clock import Clock
from hourglass.training.keep_best import KeepBest
from hourglass.training.learner import Learner, LearnerArguments
from hourglass.training.lightning_internals import count_steps
from hourglass.training.schedule import Schedule, StepSettings, learning_rate

__all__ = ["MakeOptimizer", "Minibatch", "MinibatchArguments", "Stepper"]

MakeOptimizer = Callable[..., torch.optim.Optimizer]
"""The configured optimizer, but for the parameters: `optimizer(params=model.parameters())`."""


@runtime_checkable
class Stepper(Protocol):
    """What makes the steps of a training in place of its own `own_steps`: a stack makes those of many at once."""

    def __call__(self, learner: "Minibatch", chunk: Chunk, /) -> dict[str, Tensor]:
        """A step for each batch of a chunk; the loss and its terms by name, (n,) over the steps."""


class MinibatchArguments(LearnerArguments):
    """The arguments of `Minibatch`, which a procedure with more of its own takes as `**shared: Unpack[...]`."""

    optimizer: MakeOptimizer
    epochs: int
    max_steps: int | None
    batch_size: int
    schedule: Schedule
    warmup_steps: int
    gradient_clip: float | None
    log_every_n_steps: int
    keep: Literal["best", "last"]
    patience: int | None
    stepper: NotRequired[Stepper]


class Minibatch(Learner):
    """Trains by one step per mini-batch; `step` is what distinguishes the procedures.

    Args:
        model: the autoencoder.
        noise: the corruption of what the model sees.
        penalties: the regularizers.
        loss: the reconstruction loss.
        optimizer: makes the optimizer of the parameters that it is called with.
        data: the data set.
        epochs: passes over the training set, at least 1.
        max_steps: optimizer steps after which training ends even within an epoch; null: no limit. Resumed, such a
            training goes on with the next epoch.
        batch_size: samples of a batch, at least 1.
        schedule: `constant`, or `cosine` down to zero over the whole training.
        warmup_steps: steps over which the learning rate rises linearly from zero, at least 0.
        gradient_clip: largest norm of the gradient, above 0; null: no clipping.
        code_threshold: see `Learner`.
        log_every_n_steps: a training point is the mean over that many steps, at least 1.
        keep: see `KeepBest`.
        patience: see `KeepBest`.
        stepper: makes the steps; none: the procedure itself, see `own_steps`.
        sampler: see `Learner`.

    Raises:
        ValueError: a number out of its range; a model without weights.
        Diverged: a loss became NaN or infinite.
    """

    stackable = False
    """Whether every step is `backpropagate`, so that many models can make theirs as one (see `sweeps.fusion`)."""

    def __init__(
        self,
        *,
        optimizer: MakeOptimizer,
        epochs: int,
        max_steps: int | None,
        batch_size: int,
        schedule: Schedule,
        warmup_steps: int,
        gradient_clip: float | None,
        log_every_n_steps: int,
        keep: Literal["best", "last"],
        patience: int | None,
        stepper: Stepper | None = None,
        **measured: Unpack[LearnerArguments],
    ) -> None:
        super().__init__(**measured)
        self.settings = StepSettings(
            epochs=epochs,
            max_steps=max_steps,
            batch_size=batch_size,
            schedule=schedule,
            warmup_steps=warmup_steps,
            gradient_clip=gradient_clip,
            log_every_n_steps=log_every_n_steps,
        )
        if not any(weight.requires_grad for weight in self.model.parameters()):
            raise ValueError("model has no weights that gradients could train: set training=closed_form")
        self.automatic_optimization = False
        self.make_optimizer = optimizer
        self.optimizer = optimizer(params=list(self.model.parameters()))
        self.keep_best = KeepBest(keep=keep, patience=patience, first=0)
        self.keep_best.check_data(self.data)
        self.steps = self.settings.steps(len(self.data.train.x))
        self._stepper: Stepper = stepper or type(self).own_steps
        self._watched = False  # by a callback that counts batches
        self._points: dict[str, list[float]] = {}
        self._random: Tensor | None = None

    @property
    @override
    def best_epoch(self) -> int | None:
        return self.keep_best.epoch + 1 if self.keep_best.epoch >= 0 else None

    @abstractmethod
    def step(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """One step of the training, from clean and corrupted (B, *shape) and, if `labelled`, classes (B,).

        Returns:
            what is logged of it, detached scalars by name: `loss`, the terms that it is made of, and other things.
        """

    def optimizers_used(self) -> list[torch.optim.Optimizer]:
        """The one of all weights."""
        return [self.optimizer]

    @override
    def training_step(self, chunk: Chunk, batch_idx: int) -> None:
        """One step for each batch of the chunk."""
        self._record(self._stepper(self, chunk))

    def own_steps(self, chunk: Chunk) -> dict[str, Tensor]:
        """A step for each batch of the chunk; the loss and its terms by name, (n,) over the steps."""
        history: list[dict[str, Tensor]] = []
        for rows in self.batches(chunk):
            x = self.data.target(chunk.x[rows])
            corrupted = self.noise(self.data.filled(x)) if chunk.corrupted is None else chunk.corrupted[rows]
            self.set_rate(self.steps_done + len(history))
            history.append(self.step(x, corrupted, None if chunk.y is None else chunk.y[rows]))
        return {name: torch.stack([terms[name] for terms in history]) for name in history[0]}

    def batches(self, chunk: Chunk) -> list[slice]:
        """The rows of each batch of a chunk, as far as there are steps left."""
        starts = range(0, len(chunk.x), self.settings.batch_size)[: self.steps - self.steps_done]
        return [slice(begin, begin + self.settings.batch_size) for begin in starts]

    def backpropagate(self, x: Tensor, corrupted: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """The step that goes down the gradient of all `terms`, for those whose step it is: see `step`."""
        _, terms = self.terms(x, corrupted, y)
        self.descend(total(terms), self.optimizer)
        return {name: value.detach() for name, value in logged(terms).items()}

    def descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step of an optimizer down the gradient of a scalar."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for weight in weights:  # `optimizer.zero_grad` does this, with a bookkeeping that costs more than it
            weight.grad = None
        torch.autograd.backward(loss)
        self.update(weights, optimizer)

    def update(self, weights: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> None:
        """One step of an optimizer, whose `weights` have their gradients already."""
        if self.settings.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(weights, self.settings.gradient_clip)
        optimizer.step()
        # An autocast region around several steps keeps its casts of the weights: without this, every step but
        # the chunk's first would see the weights of the first.
        torch.clear_autocast_cache()

    def set_rate(self, step: int) -> None:
        """Give the optimizers the learning rate of a step, counted from 0: warm-up and schedule."""
        settings = self.settings
        if settings.schedule == "constant" and step > settings.warmup_steps:
            return  # it stays what it is
        for optimizer in self.optimizers_used():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(
                    step,
                    highest=group["initial_lr"],
                    steps=self.steps,
                    schedule=settings.schedule,
                    warmup_steps=settings.warmup_steps,
                )

    def _record(self, history: dict[str, Tensor]) -> None:
        """Count the steps, refuse values that are not finite, and log a point every so many steps."""
        # One transfer for the whole chunk: on a GPU the steps before it run without waiting.
        values = torch.stack(list(history.values()), dim=1).tolist()
        for row in values:
            self.steps_done += 1
            for name, value in zip(history, row, strict=True):
                if not math.isfinite(value):
                    raise Diverged(name=f"train/{name}", value=value, step=self.steps_done)
                self._points.setdefault(f"train/{name}", []).append(value)
            if self.steps_done % self.settings.log_every_n_steps == 0 or self.steps_done == self.steps:
                self._log_point()
        count_steps(self.trainer, len(values))

    def _log_point(self) -> None:
        means = {name: sum(values) / len(values) for name, values in self._points.items()}
        self._points = {}
        if self.logger is not None:
            self.logger.log_metrics(means, step=self.steps_done)

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop when the steps are used up."""
        if self.steps_done >= self.steps:
            self.trainer.should_stop = True

    @override
    def setup(self, stage: str) -> None:
        """Ask once whether somebody counts batches."""
        self._watched = counts_batches(self.trainer)

    def train_dataloader(self) -> Batches:
        """Chunks of the training set, in a permutation that depends on `data.order_seed` and the epoch only."""
        levels, train = self.data.levels, self.data.train
        x, y = self._resident(train.x if levels is None else levels), train.y if self.labelled else None
        return Batches(
            x=x,
            corrupted=self._freeze(x) if self.noise.frozen else None,
            y=None if y is None else y.to(x.device),
            rows=self.settings.batch_size if self._watched else chunk_rows(x, self.settings.batch_size),
            order=lambda: self.data.order_seed * 1_000_003 + self.current_epoch,
            blocks=self.data.blocks,
            drawn=levels is not None,
        )

    def _freeze(self, x: Tensor) -> Tensor:
        with self.noise.seeded(), torch.no_grad():
            return torch.cat([self.noise(self.data.scaled(block)) for block in torch.split(x, EVAL_BATCH)])

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers, with the rates that schedules start from noted."""
        for optimizer in self.optimizers_used():
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
        return self.optimizers_used()

    def configure_callbacks(self) -> list[pl.Callback]:
        """The choice of the weights to keep."""
        return [self.keep_best]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training needs to go on exactly as the undisturbed one would."""
        checkpoint["minibatch"] = {
            "steps_done": self.steps_done,
            "seconds": self.seconds,
            "since_point": self._points,
            "random": torch.get_rng_state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        state = checkpoint["minibatch"]
        self.steps_done = state["steps_done"]
        self.clock = Clock(state["seconds"])
        self._points = state["since_point"]
        self._random = state["random"]
        # An epoch that was cut off, or had other batches, made another number of steps than it would now.
        left = self.settings.epochs - checkpoint["epoch"] - 1
        steps = self.steps_done + left * self.settings.steps_per_epoch(len(self.data.train.x))
        self.steps = min(steps, self.settings.max_steps or steps)

    def on_train_start(self) -> None:
        """Continue the random numbers of a resumed training, with the optimizer's settings as configured now."""
        if self.steps_done >= self.steps:
            self.trainer.should_stop = True
        if self._random is not None:
            for optimizer in self.optimizers_used():
                for group in optimizer.param_groups:
                    group.update(optimizer.defaults, initial_lr=optimizer.defaults["lr"])
            torch.set_rng_state(self._random)
            self._random = None
