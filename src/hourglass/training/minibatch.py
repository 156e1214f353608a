"""What every training by mini-batches shares: chunks, schedules, clipping, points, and going on where it was cut off.

Each `training_step` receives a chunk of batches and makes one step for each; schedules, clipping and logged steps
count optimizer steps. What a step is, the subclass says.
"""

import math
import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from hourglass.data.dataset import EVAL_BATCH
from hourglass.losses import logged, total
from hourglass.system.errors import Diverged
from hourglass.training.arguments import Closable, MakeOptimizer, MinibatchArguments, Stepper
from hourglass.training.batches import Batches, Chunk, chunk_rows, counts_batches, is_exact
from hourglass.training.clock import Clock
from hourglass.training.descent import apply_gradients
from hourglass.training.keep_best import KeepBest
from hourglass.training.learner import Learner, LearnerArguments
from hourglass.training.lightning_internals import batches_done, count_steps, is_fitting, scaler_of
from hourglass.training.plain import as_chunk, check_train_loader, is_own, steps_left
from hourglass.training.points import Points
from hourglass.training.rates import Rates, Schedule
from hourglass.training.replicas import Replicas
from hourglass.training.schedule import StepSettings

__all__ = ["MakeOptimizer", "Minibatch", "MinibatchArguments", "Stepper"]


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
        schedule: how the learning rate goes after the warm-up; none: it stays.
        warmup_steps: steps over which the learning rate rises linearly from zero, at least 0.
        gradient_clip: largest norm of the gradient, above 0; null: no clipping.
        code_threshold: see `Learner`.
        log_every_n_steps: a training point is the mean over that many steps, at least 1.
        keep: see `KeepBest`.
        patience: see `KeepBest`.
        replicas: the devices that make the steps together; none: this one.
        stepper: makes the steps; none: the procedure itself, see `own_steps`.
        sampler: see `Learner`.

    Raises:
        ValueError: a number out of its range; a model without weights.
        Diverged: a loss became NaN or infinite.
    """

    _given_size: int | None = None  # of the batches of a person's own loader
    _watched = False  # by a callback that counts batches
    _rates: Rates | None = None  # made at the first step, when a resumed training knows how many there are
    _random: Tensor | None = None  # where a resumed training was in its draws
    _random_there: Tensor | None = None  # and in those of its GPU
    alone: str | None = None
    scales_loss = True
    any_target = True
    stackable = False
    """Whether every step is `backpropagate`, so that many models can make theirs as one (see `training.stacks`)."""

    def __init__(
        self,
        *,
        optimizer: MakeOptimizer,
        epochs: int,
        max_steps: int | None,
        batch_size: int,
        warmup_steps: int,
        gradient_clip: float | None,
        log_every_n_steps: int,
        keep: Literal["best", "last"],
        patience: int | None,
        schedule: Schedule | None = None,
        replicas: Replicas | None = None,
        stepper: Stepper | None = None,
        **measured: Unpack[LearnerArguments],
    ) -> None:
        super().__init__(**measured)
        self.settings = StepSettings(
            epochs=epochs,
            max_steps=max_steps,
            batch_size=batch_size,
            warmup_steps=warmup_steps,
            gradient_clip=gradient_clip,
            log_every_n_steps=log_every_n_steps,
        )
        if not any(weight.requires_grad for weight in self.model.parameters()):
            raise ValueError("model has no weights that gradients could train: set training=closed_form")
        self.automatic_optimization = False
        self.make_optimizer = optimizer
        self.optimizer = optimizer(params=list(self.model.parameters()))
        self.keep_best = KeepBest(keep=keep, patience=patience)
        self.keep_best.check_data(self.data)
        self.steps = self.settings.steps(len(self.data.train.x))
        self.replicas = replicas or Replicas()
        self._stepper: Stepper = stepper or type(self).own_steps
        self.schedule = schedule or Schedule(every="epoch")
        self.validated: list[float] = []
        self._points = Points()

    @property
    @override
    def batch_size(self) -> int:
        return self._given_size or self.settings.batch_size

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

    @property
    def watched(self) -> bool:
        """Whether a callback of somebody's counts batches, and may look at what each leaves, gradients say."""
        return self._watched

    def optimizers_used(self) -> list[torch.optim.Optimizer]:
        """The one of all weights."""
        return [self.optimizer]

    @override
    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """One step for each batch of the chunk, or of a person's own batch; the loss of the last, for callbacks."""
        history = self._stepper(self, as_chunk(batch, self))
        self._record(history)
        return {"loss": history["loss"][-1]}

    def own_steps(self, chunk: Chunk) -> dict[str, Tensor]:
        """A step for each batch of the chunk; the loss and its terms by name, (n,) over the steps."""
        history: list[dict[str, Tensor]] = []
        shares: list[float] = []
        for rows in self.batches(chunk):
            seen = self.data.target(chunk.x[rows])
            x = self.data.goal(seen, None if chunk.target is None else chunk.target[rows])
            corrupted = self.noise(self.data.filled(seen)) if chunk.corrupted is None else chunk.corrupted[rows]
            y = None if chunk.y is None else chunk.y[rows]
            step = self.steps_done + len(history)
            self.set_rate(step)
            mine = self.replicas.take(len(x))
            with self.replicas.drawing(step, x.device):
                history.append(self.step(x[mine], corrupted[mine], None if y is None else y[mine]))
            self.replicas.least(self.model.bottleneck.idle)  # a unit is off where it is for all samples
            shares.append(self.replicas.weight)
        terms = {name: torch.stack([each[name] for each in history]) for name in history[0]}
        for values in terms.values():
            self.replicas.add_up([values], weight=values.new_tensor(shares))
        return terms

    def batches(self, chunk: Chunk) -> list[slice]:
        """The rows of each batch of a chunk, as far as there are steps left."""
        size = len(chunk.x) if chunk.whole else self.settings.batch_size
        starts = range(0, len(chunk.x), size)[: self.steps - self.steps_done]
        return [slice(begin, begin + size) for begin in starts]

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
        scaler = None if self._trainer is None else scaler_of(self._trainer)
        torch.autograd.backward(loss if scaler is None else scaler.scale(loss))
        self.update(weights, optimizer, scaler)

    def update(
        self, weights: Sequence[Tensor], optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None = None
    ) -> None:
        """One step of an optimizer, whose `weights` have their gradients already, times what a scaler says."""
        apply_gradients(weights, optimizer, clip=self.settings.gradient_clip, scaler=scaler, replicas=self.replicas)

    def set_rate(self, step: int) -> None:
        """Give the optimizers the learning rate of a step, counted from 0: warm-up and schedule."""
        groups = [group for optimizer in self.optimizers_used() for group in optimizer.param_groups]
        if self._rates is None:
            self._rates = Rates(
                schedule=self.schedule,
                highest=[group["initial_lr"] for group in groups],
                length=self.steps if self.schedule.every == "step" else self.settings.epochs,
                warmup_steps=self.settings.warmup_steps,
            )
        found = self._rates.of_step(step, epoch=self.current_epoch, validated=self.validated)
        for group, rate in zip(groups, found, strict=True):
            group["lr"] = rate
        self._points.rates[step] = groups[0]["lr"]

    def _record(self, history: dict[str, Tensor]) -> None:
        """Count the steps, refuse values that are not finite, and log a point every so many steps."""
        # One transfer for the whole chunk: on a GPU the steps before it run without waiting.
        values = torch.stack(list(history.values()), dim=1).tolist()
        for row in values:
            for name, value in zip(history, row, strict=True):
                if not math.isfinite(value):
                    self._log_point()  # how it came to that
                    raise Diverged(name=f"train/{name}", value=value, step=self.steps_done + 1)
            for name, value in zip(history, row, strict=True):
                self._points.add(name, value)
            self._points.add_rate(self.steps_done)
            self.steps_done += 1
            if self.steps_done % self.settings.log_every_n_steps == 0 or self.steps_done == self.steps:
                self._log_point()
        count_steps(self.trainer, len(values))
        means = dict(zip(history, torch.tensor(values, dtype=torch.float64).mean(0).tolist(), strict=True))
        self.log_dict(
            {f"train/{name}": value for name, value in means.items()},
            on_step=False,
            on_epoch=True,
            logger=False,
            batch_size=len(values),
        )

    def _log_point(self) -> None:
        """Log the means since the last point, if there is anything."""
        means = self._points.taken()
        if means:
            self._to_loggers(means)

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop when the steps are used up, or where the first device stops."""
        self.trainer.should_stop = self.replicas.agreed(self.trainer.should_stop or self.steps_done >= self.steps)

    def on_train_epoch_start(self) -> None:
        """See `Learner`; all devices draw the same."""
        super().on_train_epoch_start()
        self.replicas.align_draws(self.device)

    def on_train_epoch_end(self) -> None:
        """See `Learner`; all devices hold the same, and all stop or none."""
        super().on_train_epoch_end()
        self.replicas.check(self.state_dict())
        self.trainer.should_stop = self.replicas.agreed(self.trainer.should_stop)

    def on_train_end(self) -> None:
        """What makes the steps may let go of what it holds for them."""
        if isinstance(self._stepper, Closable):
            self._stepper.close()

    def on_validation_end(self) -> None:
        """Note the loss for a schedule that goes by it, once it is always of the same terms."""
        if not is_fitting(self.trainer):
            return
        if not self.trainer.is_last_batch:  # a validation within an epoch, which goes on
            self.clock.start()
        if self.settled:
            self.validated.append(float(self.trainer.callback_metrics[f"val/{self.monitor}"]))

    @override
    def setup(self, stage: str) -> None:
        """Ask once whether somebody counts batches; a fit is as long as the trainer says, and begins anew."""
        super().setup(stage)
        self._watched = self.replicas.agreed(counts_batches(self.trainer))
        if stage != "fit":
            return
        if (epochs := self.trainer.max_epochs or -1) > 0:
            self.settings = replace(self.settings, epochs=epochs)
        if self.loggers and not is_exact(self.trainer):
            every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
            self.settings = replace(self.settings, log_every_n_steps=every or sys.maxsize)
        if self.steps_done and not self.trainer.global_step:  # another trainer's, of the weights that are there
            self.steps_done, self._rates, self.validated, self._points = 0, None, [], Points()
            self.keep_best.forget()

    def train_dataloader(self) -> Batches:
        """Chunks of the training set, in a permutation that depends on `data.order_seed` and the epoch only."""
        levels, train = self.data.levels, self.data.train
        x, y = self._resident(train.x if levels is None else levels), train.y if self.labelled else None
        return Batches(
            x=x,
            corrupted=self._freeze(x) if self.noise.frozen else None,
            y=None if y is None else y.to(x.device),
            target=None if self.data.targets is None else self._resident(self.data.targets.train.x),
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
        """The choice of the weights to keep, unless a fit before has added it."""
        return [] if self.keep_best in self.trainer.callbacks else [self.keep_best]  # type: ignore[attr-defined]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training needs to go on exactly as the undisturbed one would."""
        checkpoint["minibatch"] = {
            "steps_done": self.steps_done,
            "seconds": self.seconds,
            "since_point": self._points.values,
            "validated": self.validated,
            "random": torch.get_rng_state(),
            "random_there": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        # One that was cut off within an epoch goes on there, batch by batch; those of runs never are.
        alone = self._trainer is not None and not self.replicas.joined  # of several devices the others have no logger
        self._watched = self._watched or (alone and not is_exact(self.trainer))
        state = checkpoint["minibatch"]
        self.steps_done = state["steps_done"]
        self.clock = Clock(state["seconds"])
        self._points.values = state["since_point"]
        self.validated = state.get("validated", [])  # which earlier versions had no use for
        self._random = state["random"]
        self._random_there = state.get("random_there")  # earlier versions kept the CPU's only
        # An epoch that was cut off, or had other batches, made another number of steps than it would now.
        left = self.settings.epochs - checkpoint["epoch"] - 1
        steps = self.steps_done + left * self.settings.steps_per_epoch(len(self.data.train.x))
        self.steps = min(steps, self.settings.max_steps or steps)

    def _plan(self) -> None:
        """Count the steps by the trainer's limits and the loader that it has, where those aren't the learner's own."""
        if is_exact(self.trainer) or self.replicas.joined:
            return  # a run's, whose trainer goes by the learner
        loader, per_epoch = self.trainer.train_dataloader, self.trainer.num_training_batches
        if not is_own(loader):
            check_train_loader(self)
            self._given_size = getattr(loader, "batch_size", None)
            self.penalties.batches_of(self.batch_size)
        elif not self._watched:  # its batches are chunks
            per_epoch = self.settings.steps_per_epoch(len(self.data.train.x))
        if self.trainer.max_epochs == -1 and not math.isinf(per_epoch):
            self.settings = replace(self.settings, epochs=math.ceil(self.trainer.max_steps / per_epoch))
        done = 0 if math.isinf(per_epoch) else batches_done(self.trainer) % int(per_epoch)
        left = steps_left(self.trainer, epochs=self.settings.epochs, done=done, per_epoch=per_epoch)
        self.steps = min(self.steps_done + left, self.settings.max_steps or sys.maxsize)
        if is_own(loader):
            loader.skipped = done  # type: ignore[union-attr]

    def on_train_start(self) -> None:
        """Continue the random numbers of a resumed training, with the optimizer's settings as configured now."""
        self._plan()
        if self.steps_done >= self.steps:
            self.trainer.should_stop = True
        if self._random is not None:
            for optimizer in self.optimizers_used():
                for group in optimizer.param_groups:
                    group.update(optimizer.defaults, initial_lr=optimizer.defaults["lr"])
            self._rates = None
            torch.set_rng_state(self._random)
            self._random = None
        if self._random_there is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(self._random_there, self.device)
        self._random_there = None
        self.replicas.align(self.state_dict())
