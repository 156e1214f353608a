"""Trained models measured anew: on the test set of other data, under other noise.

What the model sees changes, the model doesn't. Rows of another table are scaled as the run's own were, so that a
metre stays a metre, and the run's own means stand for what is missing; a model that goes by classes is told those that
it knows by their names; loss, errors and PSNR refer to the range of the data that it was trained on, and data far from
that range are refused (see `hourglass.data.ranges`).

What is asked for, and which part of a person's own data is measured: `asked`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from hourglass.callbacks import Anomalies
from hourglass.configuration.build import build
from hourglass.configuration.composition import compose_config
from hourglass.configuration.schema import located
from hourglass.data import Dataset
from hourglass.data.dataset import limits
from hourglass.data.labels import renumbered
from hourglass.data.ranges import ADVICE, ANY, GREY, TAKE_ANY, compare, moved, read_range, usual
from hourglass.data.tables import LEFT_OUT
from hourglass.models.principal_components import leading
from hourglass.pipeline.asked import EVALUATED, OWN_SOURCES, Asked, asked
from hourglass.pipeline.compose import compose
from hourglass.pipeline.trainer import make_trainer, measuring
from hourglass.system import process
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run, RunLogger, flatten
from hourglass.trained.classifier import HEAD
from hourglass.trained.load import Trained, recorded_by, restore
from hourglass.training import Finetune
from hourglass.training.lightning_internals import record

log = logging.getLogger("hourglass")


ASKED_FOR = ("progress", "floor", "usefulness", "properties")
"""Callbacks that an evaluation has, whatever the run had."""


ARRAYS = "hourglass.data.arrays"
"""The source of arrays that were given in Python."""


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
        own = _own_data(trained, needed=unchanged)
    if unchanged:
        assert own is not None
        data = own
    else:
        if other is not None:
            config.data, wanted.choices["data"] = other.node, "arrays"
        with recorded_by(trained.run), holes_kept(config.data):
            data = build(config.data) if other is None else other.data
        data = _as_seen(trained, data, wanted.given, means=config.data.get("missing") == "mean")
    tags = {"kind": "evaluation", "evaluation_of": trained.run.id, **wanted.choices}
    config.trainer = measuring(config.trainer)
    config.start = None  # it has been
    config.callback = _measuring(config.callback, besides)
    with recorded_by(trained.run):
        parts = compose(
            config,
            data=data,
            make_model=lambda **_: deepcopy(trained.model),  # whose data were checked
            learned=_full_range(trained) if own is None else own.wanted.full_range,
        )
    _check_loss(parts.learner.loss.allowed, data.wanted)
    if isinstance(parts.learner, Finetune):
        _keep_classes(trained.run, parts.learner)
    for name, network in parts.learner.auxiliary_networks().items():
        restore(network, trained.run, f"{name}.safetensors")
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


def _measuring(recorded: DictConfig, besides: Sequence[str]) -> DictConfig:
    """The callbacks of an evaluation: those of the run that measure anew, and others, whether it had them or not."""
    default = compose_config(["callback=default"])[0].callback
    chosen = OmegaConf.merge({name: default[name] for name in besides}, recorded)
    if "baselines" in chosen and "pictures" not in recorded:
        chosen.baselines.picture = False
    return OmegaConf.create(
        {name: node for name, node in chosen.items() if getattr(get_object(node._target_), "evaluates", False)}
    )


def _own_data(trained: Trained, *, needed: bool) -> Dataset | None:
    """The run's own data: what it was trained on decides its loss, and is what other data are told from.

    None for arrays that were given in Python, which no record holds, where they aren't needed.
    """
    if trained.config.data._target_ == ARRAYS and not needed:
        log.info("the run's own data were arrays given in Python: other data are not told from them")
        return None
    try:
        with recorded_by(trained.run):
            data: Dataset = build(trained.config.data)
    except HourglassError as error:
        if needed:
            raise
        raise HourglassError(f"the run's own data, to compare with, can't be had: {error}") from error
    _check_shape(trained, data)
    data = _numbered(trained, data).rescaled(trained.scaling)
    if trained.data_digest not in (None, data.digest):
        log.warning(
            "data=%s have changed since the run was trained: what is its test part now it may have learned from",
            data.name,
        )
    return replace(data, range=trained.range)


def _full_range(trained: Trained) -> tuple[float, float]:
    """Of arrays that were given in Python, as the record has it."""
    try:
        low, high = (float(bound) for bound in trained.config.data.range)
    except (TypeError, ValueError) as error:
        raise HourglassError(
            f"run {trained.run.name} ({trained.run.id}): its data.range must be two numbers, got"
            f" {trained.config.data.get('range')!r}"
        ) from error
    return low, high


@contextmanager
def holes_kept(node: DictConfig) -> Iterator[None]:
    """While `missing=mean` of this node leaves a missing entry NaN, for the run's own mean to stand there."""
    mean = node.get("missing") == "mean"
    if mean:
        node.missing = "mask"
    try:
        yield
    finally:
        if mean:
            node.missing = "mean"


def _keep_classes(run: Run, learner: Finetune) -> None:
    """Give the classifier the classes of its run, whichever of them occur."""
    bias = run.load_weights(HEAD).get(f"{len(learner.classifier) - 1}.bias")
    if bias is None:  # which restoring it says
        return
    try:
        learner.know(len(bias))
    except ValueError as error:
        raise HourglassError(str(error)) from error


def _numbered(trained: Trained, data: Dataset) -> Dataset:
    """A data set whose named classes have the numbers of the run's own, where its model or its head goes by them."""
    if data.classes is None or trained.classes is None or data.classes == trained.classes:
        return data
    if not (trained.model.classes or getattr(located(trained.config.training._target_, "training"), "labelled", False)):
        return data
    return renumbered(data, trained.classes)


def _as_seen(trained: Trained, data: Dataset, given: str | None, *, means: bool) -> Dataset:
    """A data set scaled as the run's own was: a model knows no other units.

    means: whether the run's own means are to stand for missing entries as values like any other.

    Raises:
        HourglassError: samples of another shape, values far from the training data's; unknown classes.
    """
    said = read_range(given)
    _check_shape(trained, data)
    data = _numbered(trained, data)
    if data.targets is not None:  # in the units of those that were trained on
        assert trained.target is not None
        data = replace(data, targets=data.targets.rescaled(trained.target.scaling))
    grey, target = data.train.x.dtype == torch.uint8, usual(trained.range)
    if trained.scaling is not None:
        if isinstance(said, tuple):
            raise HourglassError(f"data={data.name} holds rows, scaled as the run's own were: range takes {ANY} here")
        data = data.rescaled(trained.scaling)
    elif isinstance(said, tuple):
        data = data.changed(lambda x: moved(x.float(), said, trained.range))
    elif grey and target is None and said is None:
        low, high = trained.range
        raise HourglassError(
            f"data={data.name} holds grey levels, and the model was trained on floats from {low:g} to {high:g}: say"
            " range=0,255 to have them scaled to that"
        )
    elif grey and (target != (0.0, 1.0) or said == ANY):
        data = data.changed(lambda x: x.float() if said == ANY else moved(x.float(), GREY, trained.range))
    if means and data.masked and trained.fill is None:
        raise HourglassError(
            f"data={data.name} has missing entries, run {trained.run.name} was trained without any and knows no means:"
            " data.missing must be drop or mask, got mean"
        )
    if trained.fill is not None:  # what stands for a missing entry is the run's own, too
        data = replace(data, fill=trained.fill)
    if means and data.masked:
        notes = tuple(note.removesuffix(LEFT_OUT) for note in data.notes)
        data = replace(data.changed(data.filled), notes=notes)
    if data.test.x.dtype != torch.uint8 and said != ANY:
        seen = data.test.x if isinstance(data.test.x, torch.Tensor) else leading(data.test.x)[:]
        verdict = compare(data.filled(seen), trained.range, scaling=trained.scaling, columns=trained.columns)
        if verdict.refusal is not None:
            advice = ADVICE if trained.scaling is None else TAKE_ANY
            raise HourglassError(f"data={data.name} holds {verdict.refusal}: {advice}")
        if verdict.warning is not None:
            log.warning("data=%s holds %s", data.name, verdict.warning)
    return replace(data, range=trained.range)


def _check_shape(trained: Trained, data: Dataset) -> None:
    if data.categories != trained.categories:
        theirs, ours = (
            "; ".join(f"{each.column}: {', '.join(each.values)}" for each in found) or "none"
            for found in (trained.categories, data.categories)
        )
        raise HourglassError(f"data={data.name} has other categories than the model was trained on ({theirs}): {ours}")
    given, known = (None if each is None else each.shape for each in (data.targets, trained.target))
    if given != known:
        said = ("targets of shape " + str(each) if each else "no targets of its own" for each in (given, known))
        raise HourglassError(f"data={data.name} has {next(said)}, run {trained.run.name} was trained on {next(said)}")
    if data.shape != trained.model.shape:
        raise HourglassError(
            f"data={data.name} has samples of shape {data.shape}, the model of run {trained.run.name} takes"
            f" {trained.model.shape}"
        )


def _check_loss(allowed: tuple[float, float], data: Dataset) -> None:
    """The run's loss must be able to measure the data."""
    if data.test.x.dtype == torch.uint8:
        return
    lowest, highest = limits(data.test.x)
    if lowest < allowed[0] or highest > allowed[1]:
        raise HourglassError(
            f"data={data.name} holds values from {lowest:g} to {highest:g}, and the run's loss takes {allowed[0]:g} to"
            f" {allowed[1]:g}: clip them, or say range=LOW,HIGH to have values of that range scaled"
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
