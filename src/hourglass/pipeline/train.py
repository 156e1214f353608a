"""The composition root: a resolved configuration in, a tracked and tested model out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from hourglass.callbacks import CHECKPOINT, CheckpointsOfRun
from hourglass.configuration.build import build
from hourglass.configuration.composition import check_seed, compose_config
from hourglass.configuration.identity import config_hash
from hourglass.pipeline.compose import Parts, compose
from hourglass.pipeline.known import known_run, warn_of_changed_data
from hourglass.pipeline.recorder import Recorder
from hourglass.pipeline.replicated import replicated
from hourglass.pipeline.resume import Earlier
from hourglass.pipeline.trainer import make_trainer
from hourglass.system import process
from hourglass.tracking import Run, RunLogger, initialise_store, resolve_uri
from hourglass.training.lightning_internals import checkpoint_with, record

log = logging.getLogger("hourglass")


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
    varied: Sequence[str] = (),
    words: Sequence[str] = (),
    make_parts: Callable[[DictConfig], Parts] = compose,
    callbacks: Sequence[pl.Callback] = (),
    recorder: Recorder | None = None,
) -> Result:
    """Compose, train, test and record one autoencoder.

    Args:
        config: the whole configuration, as `conf/config.yaml` composes it.
        choices: the choice made in every group, for the run's tags.
        folder: where files of this run go.
        parent: id of the run that this one is a part of; None: it stands alone.
        varied: the overrides that tell it from its siblings, for its name: `model.depth=2`, `seed=1`.
        words: all overrides that it was asked for with, for its command.
        make_parts: makes the parts of a configuration; one that trains in a stack needs its own (`sweeps.fusion`).
        callbacks: what else watches the training.
        recorder: keeps the run; None: the one that `config.tracking` makes.

    Raises:
        HourglassError: a mistake in the configuration, before a run is opened, or one to resume is changed; or a
            loss that became NaN.
        KeyboardInterrupt, SystemExit: what stopped it, in whatever it was doing.
    """
    check_seed(config.seed)
    process.before_training()
    process.silence_libraries()
    pl.seed_everything(config.seed, verbose=False)
    recorder = recorder or build(config.tracking)
    assert isinstance(recorder, Recorder)
    earlier = Earlier.of(config.resume, uri=config.tracking.uri) if config.resume else None
    if earlier is not None:
        earlier.check_config(config)
    parts = make_parts(config)
    if earlier is not None:
        earlier.check_parts(config, parts)
    trainer: pl.Trainer = make_trainer(config, folder=folder, callbacks=callbacks)
    if parent is None:  # else the same would be said for every job
        parts.data.say_notes()
        for note in parts.learner.penalties.notes(parts.model):
            log.info(note)
    with recorder.open(
        config, choices=choices, parts=parts, parent=parent, varied=varied, words=words, earlier=earlier
    ) as run:
        record(trainer, logger=RunLogger(run=run))
        checkpoint_with(trainer, CheckpointsOfRun(run=run, earlier=earlier.checkpoint if earlier else None))
        with process.interruptible():
            own = None if make_parts is compose else parts.data
            checkpoint = earlier.checkpoint if earlier else None
            with replicated(config, parts.learner, data=own, checkpoint=checkpoint):
                trainer.fit(parts.learner, ckpt_path=CHECKPOINT if earlier else None)
            trainer.test(parts.learner, verbose=False)
        recorder.close(run, parts)
    return Result(run, parts, run.metrics)


def train_once(words: Sequence[str], *, folder: Path) -> Run:
    """Train what overrides say, or find the finished run that did, with all that their callbacks would measure.

    Args:
        words: as on the command line; with `sweep.rerun=true` it is trained in any case.
        folder: where files of the run go; it is made.

    Raises:
        HourglassError: see `train`.
    """
    config, choices = compose_config(list(words))
    uri = resolve_uri(config.tracking.uri)
    initialise_store(uri)
    resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    known = None if config.sweep.rerun else known_run(uri, config_hash(resolved), resolved["callback"])
    if known is not None:
        run = Run.find(known.info.run_id, uri)
        warn_of_changed_data([(resolved["data"], run.digest or "")])
        return run
    folder.mkdir(parents=True, exist_ok=True)
    return train(config, choices=choices, folder=folder, words=words).run
