"""The verdicts on a run, and what they need beyond the test."""

import logging

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from hourglass.bottlenecks import Activity
from hourglass.callbacks.encoding import told
from hourglass.callbacks.recording import RunCallback
from hourglass.data import Dataset, Split
from hourglass.data.dataset import EVAL_BATCH
from hourglass.measures import health
from hourglass.system.errors import Diverged
from hourglass.tracking.retries import TrackingUnavailable
from hourglass.training import Learner
from hourglass.training.batches import blocks_of

log = logging.getLogger("hourglass")

ENCODED = 60_000
"""Training samples that are asked which units they put on, at most, a random subset."""
RECONSTRUCTED = 10_000
"""Of these, and of the validation set, samples whose error is measured, at most, the first ones."""


class Health(RunCallback):
    """After the test, and last: how the weights that were kept do on training and validation samples, and the verdicts.

    Logs, once, under the noise that validation has:

    - `fit/dead_units`: units that are on for no training sample;
    - `fit/train_mse`, `fit/val_mse`: the error on training and on validation samples;
    - `fit/best_epoch`, `fit/epochs`: which epoch was the best, from 1, and how many there were;

    and the tag `health` (see `hourglass.measures.health`), also of a training that diverged.
    """

    order = 1

    def on_test_end(self, trainer: pl.Trainer, pl_module: Learner) -> None:  # type: ignore[override]
        """Measure and judge."""
        run, data, activity = self.run(trainer), pl_module.data, pl_module.activity()
        (x, y, goal), (val_x, val_y, val_goal) = _some(data), _first(data)
        values = {
            "fit/train_mse": measured(pl_module, x, y, goal, activity=activity),
            "fit/val_mse": measured(pl_module, val_x, val_y, val_goal, activity=None),
            "fit/dead_units": float((activity.on() == 0).sum().item()),
            "fit/epochs": float(trainer.current_epoch),
        }
        if pl_module.best_epoch is not None:
            values["fit/best_epoch"] = float(pl_module.best_epoch)
        run.log_end_values(values, steps=pl_module.steps_done)
        run.flush()  # the other callbacks' points too
        metrics = {**run.metrics, "model/code_size": pl_module.model.code_size}
        floor = run.tags.get("linear_floor", "")
        found = health.verdicts(metrics, floor=floor, losses=pl_module.validated)
        run.set_tags({"health": health.tag(found)})

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Say where a training diverged."""
        if not isinstance(exception, Diverged):
            return
        verdict = health.diverged(name=exception.name, value=exception.value, step=exception.step)
        run = self.run(trainer)
        try:
            run.set_tags({"health": verdict})
        except TrackingUnavailable as error:  # the divergence is the error to see
            log.warning("the health of run %s (%s) was not recorded: %s", run.name, run.id, error)


@torch.no_grad()
def measured(learner: Learner, x: Tensor, y: Tensor | None, goal: Tensor, *, activity: Activity | None) -> float:
    """Mean squared error of the first `RECONSTRUCTED` samples (N, *shape), and the codes of all counted.

    y: their classes, where there are any. goal: (N, *target shape), what is to be made of them; x, as a rule.
    """
    data = learner.data
    bottleneck = learner.model.bottleneck
    error, count, values = 0.0, 0, 0
    with torch.autocast(learner.device.type, enabled=False):
        goals = torch.split(goal, EVAL_BATCH)
        for index, ((block, each), wanted) in enumerate(zip(blocks_of(x, y), goals, strict=True)):
            classes = told(learner, each)
            target = data.target(block.to(learner.device)).to(learner.dtype)  # 64 bits where it was trained so
            clean = data.filled(target)
            if data.targets is not None:
                target = data.wanted.target(wanted.to(learner.device)).to(learner.dtype)
            with learner.noise.seeded(index):
                corrupted = learner.noise(clean)
            if count < RECONSTRUCTED:
                output = learner.model(corrupted, classes)
                code = output.code
                error += (output.reconstruction - target).double().square().nansum().item()
                count += len(clean)
                values += int((~target.isnan()).sum())
            else:
                code = learner.model.encode(corrupted, classes)
            if activity is not None:
                activity.update(code[:, bottleneck.active != 0].float())
    return error / values


def _some(data: Dataset) -> tuple[Tensor, Tensor | None, Tensor]:
    """`ENCODED` training samples at most, their labels and targets, in random order: the set may be sorted."""
    chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[:ENCODED]
    return _rows(data, data.train, chosen)


def _first(data: Dataset) -> tuple[Tensor, Tensor | None, Tensor]:
    return _rows(data, data.validation, slice(RECONSTRUCTED))


def _rows(data: Dataset, split: Split, rows: Tensor | slice) -> tuple[Tensor, Tensor | None, Tensor]:
    x = split.x[rows]
    goal = x if data.targets is None else data.targets_of(split).x[rows]
    return x, None if split.y is None else split.y[rows], goal
