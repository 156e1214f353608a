"""Trained models measured anew: on the test set of other data, under other noise.

What the model sees changes, the model doesn't: how other data become what it knows is `other_data`; what is asked for,
and which part of a person's own data is measured, `asked`.
"""

import logging
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from hourglass.callbacks import Anomalies
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.data import Dataset
from hourglass.pipeline.asked import EVALUATED, OWN_SOURCES, Asked, asked
from hourglass.pipeline.compose import compose
from hourglass.pipeline.other_data import as_seen, check_loss, full_range, holes_kept, own_data
from hourglass.pipeline.trainer import make_trainer, measuring
from hourglass.system import process
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, RunLogger, flatten
from hourglass.trained.load import Trained, kept_weights, recorded_by, restore
from hourglass.training import Learner
from hourglass.training.lightning_internals import record

log = logging.getLogger("hourglass")

ASKED_FOR = ("progress", "floor", "usefulness", "properties")
"""Callbacks that an evaluation has, whatever the run had."""


def evaluate(reference: str, overrides: Sequence[str], *, uri: str | None) -> tuple[Run, dict[str, float]]:
    """Measure a run's model on the test set of other data, under other noise.

    The measurement is a run of its own, below the one it measures. Other data than the run's own also get
    `test/anomaly_auroc`: how well the reconstruction error tells them from the run's own test set.

    Args:
        reference: the run.
        overrides: `data=fashion_mnist`, `noise=gaussian`, `noise.gaussian.sigma=0.3`, ...; `range=0,255` scales values
            of that range to the training data's, `range=any` takes them as they are.
        uri: where the run is; None: see `resolve_uri`.

    Raises:
        HourglassError: an override of anything but data and noise; data of another shape, or of another range; classes
            that a model which goes by them doesn't know.
    """
    return measure(Trained.of(reference, uri=uri), overrides)


class InHand(NamedTuple):
    """A data set that has been made."""

    node: DictConfig
    """What a record says of it."""
    data: Dataset


def measure(
    trained: Trained,
    overrides: Sequence[str],
    *,
    own: Dataset | None = None,
    other: InHand | None = None,
    besides: Sequence[str] = ASKED_FOR,
) -> tuple[Run, dict[str, float]]:
    """The same for a model in hand.

    Args:
        trained: the model.
        overrides: see `evaluate`.
        own: the data that it was trained on; None: they are made as its configuration says.
        other: what is measured in place of these, or of what the overrides say.
        besides: callbacks that measure beside those that the run had.

    Raises:
        HourglassError: see `evaluate`.
    """
    process.silence_libraries()
    wanted = asked(trained, overrides)
    config = wanted.config
    unchanged = wanted.unchanged and other is None
    if own is None:
        own = own_data(trained, needed=unchanged)
    if unchanged:
        assert own is not None
        data = own
    else:
        if other is not None:
            config.data, wanted.choices["data"] = other.node, "arrays"
        with recorded_by(trained.run):
            data = build(holes_kept(config.data)) if other is None else other.data
        data = as_seen(trained, data, wanted.given, means=config.data.get("missing") == "mean")
    tags = {"kind": "evaluation", "evaluation_of": trained.run.id, **wanted.choices}
    config.trainer = measuring(config.trainer)
    config.start = None  # it has been
    config.callback = _measuring(config.callback, besides)
    with recorded_by(trained.run):
        parts = compose(
            config,
            data=data,
            make_model=lambda **_: deepcopy(trained.model),  # whose data were checked
            learned=full_range(trained) if own is None else own.wanted.full_range,
        )
    check_loss(parts.learner.loss.allowed, data.wanted)
    _restore_networks(parts.learner, trained.run)
    others = [Anomalies(normal=own)] if own is not None and own.digest != data.digest else []
    trainer = make_trainer(config, callbacks=others)
    if not unchanged:
        _say(wanted, data, own)
    with (
        process.sigterm_raises(),
        trained.run.start_below(
            name=f"evaluation of {trained.run.name} on {data.name} {wanted.choices['noise']}",
            tags=tags,
            params=flatten({group: OmegaConf.to_container(config[group], resolve=True) for group in EVALUATED}),
        ) as run,
    ):
        record(trainer, logger=RunLogger(run=run))
        run.log_dataset(data.name, data.digest, data.sizes)
        with process.interruptible():
            trainer.test(parts.learner, verbose=False)
    return run, run.metrics


def _restore_networks(learner: Learner, run: Run) -> None:
    """Give the networks beside the model the size and the weights that the run kept."""
    for name, network in learner.auxiliary_networks().items():
        weights = kept_weights(run, file := f"{name}.safetensors")
        try:
            learner.size_as(name, weights)
        except ValueError as error:
            raise HourglassError(str(error)) from error
        restore(network, run, file, weights=weights)


def _measuring(recorded: DictConfig, besides: Sequence[str]) -> DictConfig:
    """The callbacks of an evaluation: those of the run that measure anew, and others, whether it had them or not."""
    default = compose_config(["callback=default"])[0].callback
    chosen = OmegaConf.merge({name: default[name] for name in besides}, recorded)
    if "baselines" in chosen and "pictures" not in recorded:
        chosen.baselines.picture = False
    return OmegaConf.create(
        {name: node for name, node in chosen.items() if getattr(get_object(node._target_), "evaluates", False)}
    )


def _say(wanted: Asked, data: Dataset, own: Dataset | None) -> None:
    """What a person should know of what is measured."""
    data.say_notes()
    if wanted.config.data._target_ not in OWN_SOURCES:
        return
    total = sum(data.sizes.values())
    if not wanted.trained_on:
        measured = f"all {total:,} samples" if not len(data.train) else f"its test part, {len(data.test):,} samples,"
        log.info("data=%s: %s are measured", data.name, measured)
    elif own is not None and data.digest == own.digest:
        log.info("data=%s is what the run was trained on: its own test part is measured", data.name)
    else:
        log.warning(
            "data=%s is what the run was trained on, split otherwise: it may have learned from what is measured",
            data.name,
        )
