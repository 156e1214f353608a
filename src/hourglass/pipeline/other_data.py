"""Other data as a trained model knows its own: its shape, classes, units, range, and what stands for missing entries.

Rows of another table are scaled as the run's own were, so that a metre stays a metre, and the run's own means stand for
what is missing; a model that goes by classes is told those that it knows by their names; loss, errors and PSNR refer to
the range of the data that it was trained on, and data far from that range are refused (see `hourglass.data.ranges`).
"""

import logging
from dataclasses import replace

import torch
from omegaconf import DictConfig

from hourglass.configuration.build import build
from hourglass.configuration.schema import located
from hourglass.data import Dataset
from hourglass.data.dataset import limits
from hourglass.data.labels import renumbered
from hourglass.data.ranges import ADVICE, ANY, GREY, TAKE_ANY, compare, moved, read_range, usual
from hourglass.data.tables import LEFT_OUT
from hourglass.models.principal_components import leading
from hourglass.system.errors import HourglassError
from hourglass.trained.load import Trained, recorded_by

log = logging.getLogger("hourglass")

ARRAYS = "hourglass.data.arrays"
"""The source of arrays that were given in Python."""


def own_data(trained: Trained, *, needed: bool) -> Dataset | None:
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


def full_range(trained: Trained) -> tuple[float, float]:
    """Of arrays that were given in Python, as the record has it."""
    try:
        low, high = (float(bound) for bound in trained.config.data.range)
    except (TypeError, ValueError) as error:
        raise HourglassError(
            f"run {trained.run.name} ({trained.run.id}): its data.range must be two numbers, got"
            f" {trained.config.data.get('range')!r}"
        ) from error
    return low, high


def holes_kept(node: DictConfig) -> DictConfig:
    """The node to build data of: a missing entry stays NaN where `missing=mean` wants the run's own mean."""
    if node.get("missing") != "mean":
        return node
    kept = node.copy()
    kept.missing = "mask"
    return kept


def as_seen(trained: Trained, data: Dataset, given: str | None, *, means: bool) -> Dataset:
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


def check_loss(allowed: tuple[float, float], data: Dataset) -> None:
    """The run's loss must be able to measure the data."""
    if data.test.x.dtype == torch.uint8:
        return
    lowest, highest = limits(data.test.x)
    if lowest < allowed[0] or highest > allowed[1]:
        raise HourglassError(
            f"data={data.name} holds values from {lowest:g} to {highest:g}, and the run's loss takes {allowed[0]:g} to"
            f" {allowed[1]:g}: clip them, or say range=LOW,HIGH to have values of that range scaled"
        )


def _numbered(trained: Trained, data: Dataset) -> Dataset:
    """A data set whose named classes have the numbers of the run's own, where its model or its head goes by them."""
    if data.classes is None or trained.classes is None or data.classes == trained.classes:
        return data
    if not (trained.model.classes or getattr(located(trained.config.training._target_, "training"), "labelled", False)):
        return data
    return renumbered(data, trained.classes)


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
