"""From a configuration to the parts of a training, with every mistake refused before anything is recorded."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict

from hourglass.configuration.build import build, named
from hourglass.configuration.schema import located
from hourglass.data import Dataset, check_trainable
from hourglass.data.labels import class_count
from hourglass.losses import Likelihood, Loss, OfColumns
from hourglass.models import Autoencoder, Condition
from hourglass.noise import Corruption
from hourglass.pipeline.trainer import HALF, check_trainer
from hourglass.regularizers import Penalties
from hourglass.samplers import Sampler
from hourglass.system.devices import device_count
from hourglass.system.errors import HourglassError
from hourglass.tracking import flatten
from hourglass.trained.load import Trained
from hourglass.training import Learner, Minibatch, Stepper
from hourglass.training.rates import FILLED, Rates, Schedule
from hourglass.training.replicas import Replicas, mixes_samples
from hourglass.training.stacks import Played
from hourglass.training.suited import check_disturbed, check_suited

WIDE = ("64-true", "64", 64)
"""Precisions whose models take 64 bits only."""


IN_32_BITS = ("pictures", "floor", "usefulness", "properties", "baselines")
"""Callbacks that give the model samples of 32 bits."""


class Parts(NamedTuple):
    """A data set, a model, and what makes the model learn from it."""

    data: Dataset
    model: Autoencoder
    learner: Learner


def compose(
    config: Any,
    *,
    data: Dataset | None = None,
    make_model: Callable[..., Autoencoder] | None = None,
    learned: tuple[float, float] | None = None,
    stepper: Stepper | None = None,
    rank: int = 0,
) -> Parts:
    """Build data, model, noise, regularizers, loss, sampler, optimizer and training procedure.

    Args:
        config: the whole configuration.
        data: the data set that `config.data` makes, where it has been made already.
        make_model: makes the model of `shape`, that of a sample; None: as `config.model` says.
        learned: the full range of the data that the model was trained on, where `data` is only measured; its loss is
            that of these.
        stepper: makes the steps of the training; None: the procedure itself, on a GPU as a CUDA graph where it can.
        rank: which of the devices that train the model this is, from 0.

    Raises:
        HourglassError: a key, a value or a combination that makes no sense, in one line.
    """
    check_trainer(config.trainer, epochs=config.training.get("epochs"))
    data = build(config.data, Dataset) if data is None else data
    wanted = data.wanted
    if data.targets is not None:
        _check_model(config.model, data)
    shapes = {"shape": data.shape, **({} if data.targets is None else {"target_shape": wanted.shape})}
    model = (make_model or partial(build, config.model, Autoencoder))(**shapes)
    if learned is None:
        check_trainable(data, fewest=model.fewest_samples)
        model.begin(data.filled(data.train.x), *(() if data.targets is None else (wanted.train.x,)))
        model.bottleneck.begin(data.filled(data.train.x))
    try:
        model = build(config.condition, Condition).applied(model, classes=class_count(data))
    except ValueError as error:
        raise HourglassError(f"condition: {error}") from error
    if config.get("start") and not config.resume:  # a resumed training has weights of its own
        _start_from(str(config.start), model, config)
    noise = build(config.noise, Corruption, bounds=data.range, shape=data.shape)
    _check_precision(config, noise)
    penalties = build(config.regularizer, Penalties)
    loss = build(config.loss, Loss, data_range=learned or wanted.full_range)  # no split may leave what the loss takes
    try:
        loss.check(wanted.shape)
    except ValueError as error:
        raise HourglassError(named("loss", config.loss, error)) from error
    scalable = config.data.get("scaling") == "none"
    what = f"data={data.name} lies in" if data.targets is None else f"the target of data={data.name} lies in"
    _check_range(model, wanted.range, what, scalable=scalable)
    _check_range(model, loss.allowed, "the loss takes reconstructions in", outside=True)
    if model.bottleneck.per_sample and loss.reduction != "sum":
        raise HourglassError(
            f"bottleneck loss terms are in nats per sample: set loss.reduction=sum, got {loss.reduction}"
        )
    sampler = build(config.sampler, Sampler, code_size=model.code_size)
    _check_optimizer(config.optimizer)
    if data.categories or data.masked:
        if not isinstance(loss, Likelihood):
            raise HourglassError(
                f"a table needs a loss of each column by itself, got {type(loss).__name__}: set loss=mse"
            )
        loss = OfColumns(numbers=loss, groups=[(each.span.start, each.span.stop) for each in data.categories])
        model.split_output(data.categories)
    batch_size = config.training.get("batch_size") or len(data.train)
    penalties.attach(model, batch_size=batch_size, loss=loss)
    count = 1 if learned is not None else device_count(config.trainer)
    learner: Learner = build(
        config.training,
        Learner,
        model=model,
        noise=noise,
        penalties=penalties,
        loss=loss,
        optimizer=partial(build, config.optimizer),
        data=data,
        sampler=sampler,
        schedule=_schedule(config.schedule),
        replicas=Replicas(rank=rank, count=count, seed=config.seed),
        **_stepper(config.training, stepper),
    )
    if learned is None:
        try:
            sampler.check(model.bottleneck, samples=len(data.train), geometry=learner.geometry)
        except ValueError as error:
            raise HourglassError(named("sampler", config.sampler, error)) from error
        check_disturbed(learner)
    check_suited(data, learner)
    _check_learner(config, learner, count)
    return Parts(data, model, learner)


def _stepper(node: Any, stepper: Stepper | None) -> dict[str, Stepper]:
    """What makes the steps, for a procedure that makes any."""
    procedure = located(node["_target_"], "training")
    steps = isinstance(procedure, type) and issubclass(procedure, Minibatch)
    return {"stepper": stepper or Played()} if steps else {}


def _check_model(node: Any, data: Dataset) -> None:
    """The model must be one that can make something else than its input."""
    if "target_shape" not in inspect.signature(located(node["_target_"], "model")).parameters:
        raise HourglassError(
            f"model: {node['_target_'].rpartition('.')[2]} reconstructs its input, and data={data.name} has targets of"
            " its own: set model=vanilla, multilayer, conv, dictionary or modules"
        )


def _check_learner(config: Any, learner: Learner, count: int) -> None:
    """What trains it must suit how it learns."""
    precision, devices = config.trainer.get("precision"), config.trainer.get("devices")
    if precision in HALF and not learner.scales_loss:
        raise HourglassError(
            f"trainer.precision={precision} scales the gradient of a loss, and {type(learner).__name__} goes by none:"
            " set trainer.precision=bf16-mixed or 32-true"
        )
    if count == 1:
        return
    if learner.alone is not None:
        raise HourglassError(
            f"trainer.devices={devices}: {type(learner).__name__} trains on 1, because {learner.alone}"
        )
    if parts := mixes_samples(learner):
        raise HourglassError(
            f"trainer.devices={devices} gives each device a share of a batch, and {' and '.join(parts)} goes by the"
            " whole of it: set trainer.devices=1"
        )
    if config.training.batch_size < count:
        raise HourglassError(
            f"training.batch_size must be at least trainer.devices={devices}, a sample for each, got"
            f" {config.training.batch_size}"
        )


def _schedule(node: DictConfig) -> Schedule:
    """A scheduler of torch, and what it counts; what is null is the whole training's."""
    node = node.copy()
    with open_dict(node):
        every = node.pop("every", "step")
        filled = tuple(key for key in FILLED if key in node and node[key] is None)
        for key in filled:
            node.pop(key)
    try:
        schedule = Schedule(make=partial(build, node), every=every, filled=filled)
        Rates(schedule=schedule, highest=[1e-3], length=1)  # what can't be built is said now
    except ValueError as error:
        raise HourglassError(str(error)) from error
    return schedule


def _start_from(reference: str, model: Autoencoder, config: Any) -> None:
    """Give the model the weights of a run, whose model must be the same."""
    try:
        trained = Trained.of(reference, uri=config.tracking.uri)
    except HourglassError as error:
        raise HourglassError(f"start: {error}") from error
    theirs, ours = (flatten(OmegaConf.to_container(each.model, resolve=True)) for each in (trained.config, config))  # type: ignore[arg-type]
    theirs["shape"], ours["shape"] = str(trained.model.shape), str(model.shape)
    theirs["target_shape"], ours["target_shape"] = str(trained.model.target_shape), str(model.target_shape)
    # Keys that only one of them has, from another version, show in the weights if they matter.
    for key, value in ours.items():
        if theirs.get(key, value) != value:
            raise HourglassError(
                f"start={reference}: model.{key} must be {theirs[key]}, as in the run {trained.run.name}, got {value}"
            )
    model.load_state_dict(trained.model.state_dict())


def _check_precision(config: Any, noise: Corruption) -> None:
    """A model of 64 bits takes only such samples, and only training and measuring make them."""
    precision = config.trainer.get("precision")
    if precision not in WIDE:
        return
    shown = [name for name in IN_32_BITS if name in (config.get("callback") or {})]
    if not noise.baselines:
        shown = [name for name in shown if name != "baselines"]
    if shown:
        raise HourglassError(
            f"trainer.precision={precision} needs callback=quick: what {', '.join(shown)} draw and measure has 32 bits"
        )


def _check_optimizer(optimizer: Mapping[str, Any]) -> None:
    """Torch's optimizers check less, and name no keys; one that asks for the loss again and again can't be served."""
    if target := optimizer.get("_target_"):
        step = getattr(located(target, "optimizer"), "step", None)
        closure = inspect.signature(step).parameters.get("closure") if step else None
        if closure is not None and closure.default is closure.empty:
            raise HourglassError(
                f"optimizer._target_={target} computes the loss several times a step, which can't be here"
            )
    for key in ("lr", "momentum", "eps", "weight_decay"):
        value = optimizer.get(key, 0)
        if type(value) not in (int, float) or not 0 <= value < math.inf:
            raise HourglassError(f"optimizer.{key} must be a number of at least 0, got {value!r}")


def _check_range(
    model: Autoencoder, interval: tuple[float, float], what: str, *, outside: bool = False, scalable: bool = False
) -> None:
    """The output activation must reach the data, and must not leave what the loss allows."""
    low, high = interval
    lowest, highest = model.output_range
    wrong = lowest < low or highest > high if outside else low < lowest or high > highest
    if wrong:
        advice = (
            "set model.output_activation=sigmoid, or loss=mse"
            if outside
            else f"set model.output_activation=linear, or {'data.scaling=unit' if scalable else 'scale the data'}"
        )
        raise HourglassError(
            f"model.output_activation gives values in [{lowest:g}, {highest:g}],"
            f" but {what} [{low:g}, {high:g}]; {advice}"
        )
