"""The composition root: a resolved configuration in, a tracked and tested model out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from omegaconf import DictConfig

from hourglass import process
from hourglass.callbacks import CHECKPOINT, Progress
from hourglass.compose import Parts, compose
from hourglass.config import build, check_seed
from hourglass.recording import Recorder
from hourglass.tracking import Run, RunLogger


class Result(NamedTuple):
    """What a training leaves."""

    run: Run
    parts: Parts
    metrics: dict[str, float]
    """The last value of every metric, as recorded."""


def train(
    config: DictConfig,
    *,
    choices: Mapping[str, str],
    folder: Path,
    parent: str | None = None,
    point: str = "",
    composed: Callable[[DictConfig], Parts] = compose,
    callbacks: Sequence[pl.Callback] = (),
) -> Result:
    """Compose, train, test and record one autoencoder.

    Args:
        config: the whole configuration, as `conf/config.yaml` composes it.
        choices: the choice made in every group, for the run's tags.
        folder: where files of this run go.
        parent: id of the run that this one is a part of; None: it stands alone.
        point: what tells it from its siblings, for its name: `depth=2 seed=1`.
        composed: makes the parts of a configuration; one that trains in a stack needs its own (`hourglass.fusion`).
        callbacks: what else watches the training.

    Raises:
        HourglassError: a mistake in the configuration, before a run is opened; or a loss that became NaN.
    """
    check_seed(config.seed)
    process.before_training()
    process.quieten()
    pl.seed_everything(config.seed, verbose=False)
    recorder: Recorder = build(config.tracking)
    parts = composed(config)
    trainer: pl.Trainer = build(config.trainer, callbacks=[Progress(), *callbacks], logger=False)
    if parent is None:  # else the same would be said for every job
        parts.data.say_notes()
    with recorder.open(config, choices=choices, parts=parts, parent=parent, point=point) as run:
        trainer.logger = RunLogger(run=run)
        trainer.callbacks += recorder.callbacks(run, parts.data, folder)  # type: ignore[attr-defined]
        fit(trainer, parts, checkpoint=run.artifact(CHECKPOINT) if config.resume else None)
        trainer.test(parts.learner, verbose=False)
        recorder.close(run, parts)
    return Result(run, parts, run.metrics)


def fit(trainer: pl.Trainer, parts: Parts, *, checkpoint: Path | None) -> None:
    """Train, going on from a checkpoint if there is one; Ctrl-C stays a KeyboardInterrupt."""
    arguments: dict[str, Any] = {"ckpt_path": checkpoint, "weights_only": True} if checkpoint else {}
    try:
        trainer.fit(parts.learner, **arguments)
    except SystemExit as end:  # what Lightning makes of Ctrl-C
        raise (KeyboardInterrupt() if end.code == 1 else end) from end
