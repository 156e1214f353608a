"""What a finished run left: its configuration, and the model that configuration and weights make.

All of it may be a stranger's. Nothing that was pickled is executed, nothing is built but what `configuration.trust`
allows and the file of the weights holds, and nothing here changes the run.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from omegaconf import DictConfig
from safetensors import SafetensorError, safe_open
from torch import nn

from hourglass.configuration.build import build
from hourglass.configuration.schema import MissingKey
from hourglass.configuration.trust import recorded, trusts
from hourglass.data.dataset import Category, Scaling
from hourglass.models import Autoencoder, Condition
from hourglass.models.conditional import classes_in
from hourglass.samplers import Sampler
from hourglass.samplers.source import Source
from hourglass.system.errors import HourglassError
from hourglass.tracking import Run
from hourglass.trained.inputs import Inputs
from hourglass.trained.model import TrainedModel
from hourglass.trained.references import found
from hourglass.trained.target import Target

WEIGHTS = "weights.safetensors"
SAMPLER = "sampler.safetensors"

LARGEST = 2**26
"""The most values that a sample is believed to have."""


class Trained(NamedTuple):
    """A finished run and its model."""

    run: Run
    config: DictConfig
    model: Autoencoder
    range: tuple[float, float]
    """Lowest and highest value of the data it was trained on, as the model sees them."""
    scaling: Scaling | None
    """How the rows of its table were scaled, where they were."""
    columns: tuple[str, ...] | None
    """Names of the columns of its table, where it had them."""
    data_digest: str | None
    """Of the data it was trained on; None where an earlier version didn't keep it."""
    sampler: Sampler
    """The density of its codes, as fitted."""
    categories: tuple[Category, ...] = ()
    """The columns of its table that are one-hot."""
    fill: torch.Tensor | None = None
    """(D,) what stands for missing entries, as the model sees them; None where it was trained without any."""
    classes: tuple[str, ...] | None = None
    """Names of the labels of its data, where they had any."""
    target: Target | None = None
    """What it makes of samples, where that is not they themselves."""

    @classmethod
    def of(cls, reference: str, *, uri: str | None, trust: Sequence[str] = ()) -> Self:
        """Rebuild the model of a run from `config.yaml` and `weights.safetensors`, on any tracking server.

        Args:
            reference: the run, see `hourglass.trained.references`.
            uri: where it is; None: see `resolve_uri`.
            trust: packages whose classes its configuration may name, besides ours and those of `HOURGLASS_TRUST`.

        Raises:
            HourglassError: no such run, or one without weights; one of an earlier version, whose configuration or
                weights don't make a model any more; a record that Hourglass didn't write.
        """
        return cls.from_run(found(reference, uri), trust=trust)

    @classmethod
    def from_run(cls, run: Run, *, trust: Sequence[str] = ()) -> Self:
        """The same of a run in hand."""
        config = recorded(run, trust=trust)
        held = _Held.read(run)
        # The caller's random numbers are not for weights that get replaced.
        with torch.random.fork_rng(devices=[]), recorded_by(run):
            if not trusts(str(config.model._target_), trust):
                _check_sizes(config, held, run)
            model = _built(config, held)
        restore(model, run, WEIGHTS)
        with recorded_by(run), torch.device("meta"):  # sizes without memory: it gets what its file holds
            sampler: Sampler = build(config.sampler, code_size=model.code_size)
        if sampler.state_dict():
            restore(sampler, run, SAMPLER, assign=True)
        model.split_output(held.categories)
        return cls(
            run,
            config,
            model.eval(),
            range=held.range,
            scaling=held.scaling,
            columns=held.columns,
            data_digest=held.data_digest,
            sampler=sampler,
            categories=held.categories,
            fill=held.fill,
            classes=held.classes,
            target=held.target,
        )

    @property
    def inputs(self) -> Inputs:
        """What the model takes."""
        return Inputs(
            shape=self.model.shape,
            range=self.range,
            scaling=self.scaling,
            columns=self.columns,
            code_size=self.model.code_size,
            fit=str(self.config.data.get("fit", "crop")),
            fill=self.fill,
        )

    @property
    def in_own_units(self) -> TrainedModel:
        """The model as it is used: of arrays of any kind, in the units of its training data."""
        source = Source(self.sampler, self.config)
        return TrainedModel(model=self.model, inputs=self.inputs, source=source, target=self.target)


class _Held(NamedTuple):
    """What the file of the weights says of itself: sizes, and the words about the data."""

    sizes: dict[str, list[int]]
    """The shape of every tensor, by name."""
    shape: tuple[int, ...]
    range: tuple[float, float]
    scaling: Scaling | None
    columns: tuple[str, ...] | None
    data_digest: str | None
    categories: tuple[Category, ...] = ()
    fill: torch.Tensor | None = None
    classes: tuple[str, ...] | None = None
    target: Target | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What a model is built for."""
        return {"shape": self.shape, **({} if self.target is None else {"target_shape": self.target.shape})}

    @classmethod
    def read(cls, run: Run) -> Self:
        """Read from the head of the file.

        Raises:
            HourglassError: it is not what Hourglass writes.
        """
        path = run.artifact(WEIGHTS)
        try:
            with safe_open(path, framework="pt") as file:
                words: Mapping[str, str] = file.metadata() or {}
                sizes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
            shape, target = _shape(words, "shape"), None
            if "target_shape" in words:
                target = Target(_shape(words, "target_shape"), _scaling(words, "target_scaling"))
            low, high = float(words["low"]), float(words["high"])
            if not -math.inf < low <= high < math.inf:
                raise ValueError(f"low and high must be a range of numbers, got {low} and {high}")
            scaling = _scaling(words, "scaling")
            for each in (Target(shape, scaling), target):
                if each is not None and each.scaling is not None:
                    _check_scaling(each)
            columns: Any = json.loads(words["columns"]) if "columns" in words else None
            if columns is not None and not (_are_texts(columns) and len(columns) == shape[0]):
                raise ValueError(f"columns must be {shape[0]} names")
            categories = _categories(words, shape)
            classes = tuple(_listed(words, "classes"))
            fill = torch.tensor(_listed(words, "fill"), dtype=torch.float32) if "fill" in words else None
            if not _are_texts(list(classes)) or (fill is not None and fill.shape != shape):
                raise ValueError("classes must be names, and fill a number for each column")
        except (SafetensorError, KeyError, ValueError, TypeError, RecursionError, OSError) as error:
            said = f"it says no {error}" if isinstance(error, KeyError) else str(error)
            raise HourglassError(f"run {run.name} ({run.id}) holds a damaged {WEIGHTS}: {said}") from error
        names = None if columns is None else tuple(columns)
        kept = classes or None
        return cls(sizes, shape, (low, high), scaling, names, words.get("digest"), categories, fill, kept, target)


def _shape(words: Mapping[str, str], key: str) -> tuple[int, ...]:
    shape = tuple(int(size) for size in words[key].split(","))
    if not 1 <= len(shape) <= 4 or min(shape) < 1 or math.prod(shape) > LARGEST:
        raise ValueError(f"{key} must be up to 4 numbers, at most {LARGEST} values, got {words[key][:100]}")
    return shape


def _scaling(words: Mapping[str, str], key: str) -> Scaling | None:
    return Scaling.from_json(words[key]) if key in words else None


def _check_scaling(of: Target) -> None:
    each = (of.shape[0], *[1] * (len(of.shape) - 1))
    if of.scaling is not None and not (of.scaling.offset.shape == of.scaling.scale.shape == each):
        raise ValueError(f"scaling must be of {of.shape[0]} columns, or channels")


def _categories(words: Mapping[str, str], shape: tuple[int, ...]) -> tuple[Category, ...]:
    found = tuple(Category(name, start, tuple(values)) for name, start, values in _listed(words, "categories"))
    end = 0
    for category in found:
        if not _are_texts([category.column, *category.values]) or not end <= category.start:
            raise ValueError("categories must be columns one after another, each with its names")
        end = category.span.stop
    if found and (len(shape) != 1 or end > shape[0]):
        raise ValueError(f"categories must be of {shape[0]} columns")
    return found


def _listed(words: Mapping[str, str], key: str) -> list[Any]:
    """A list that is kept as text; none where it isn't there."""
    found = json.loads(words[key]) if key in words else []
    if not isinstance(found, list):
        raise ValueError(f"{key} must be a list")
    return found


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


def _built(config: DictConfig, held: _Held) -> Autoencoder:
    """The model that a configuration and the sizes of its weights make."""
    model: Autoencoder = build(config.model, Autoencoder, **held.shapes)
    try:
        condition: Condition = build(config.condition, Condition)
        return condition.applied(model, classes=classes_in(held.sizes))
    except ValueError as error:
        raise HourglassError(f"condition: {error}") from error


def _check_sizes(config: DictConfig, held: _Held, run: Run) -> None:
    """A configuration may ask for more memory than there is: it gets what the file of the weights holds, no more."""
    depth = config.model.get("depth")
    if isinstance(depth, int) and depth > len(held.sizes):  # layers take time, also without memory
        raise HourglassError(
            f"run {run.name} ({run.id}) records model.depth={depth}, but {WEIGHTS} holds {len(held.sizes)} tensors"
        )
    try:
        with torch.device("meta"):  # sizes without memory
            model = _built(config, held)
            sizes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
            if sizes == held.sizes or _takes(model, held.sizes):
                return
    except (RuntimeError, MemoryError, OverflowError) as error:
        raise HourglassError(f"run {run.name} ({run.id}) records a model that can't be built: {error}") from error
    theirs, ours = (_differing(one, other) for one, other in ((held.sizes, sizes), (sizes, held.sizes)))
    raise HourglassError(
        f"run {run.name} ({run.id}) holds other weights in {WEIGHTS} than this version's network has: {theirs} in"
        f" place of {ours}"
    )


def _takes(model: Autoencoder, sizes: Mapping[str, list[int]]) -> bool:
    """Whether a model without memory takes tensors of these sizes: what earlier versions lacked it adds itself."""
    try:
        model.load_state_dict({name: torch.empty(size) for name, size in sizes.items()})
    except RuntimeError:
        return False
    return True


def _differing(one: dict[str, list[int]], other: dict[str, list[int]]) -> str:
    """The first few tensors that another list hasn't, with their sizes."""
    found = [f"{name} {size}" for name, size in one.items() if other.get(name) != size]
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "") or "nothing"


@contextmanager
def recorded_by(run: Run) -> Iterator[None]:
    """Say of a key that a run's configuration lacks that the run is older than the key."""
    try:
        yield
    except MissingKey as missing:
        raise HourglassError(
            f"run {run.name} ({run.id}) was recorded by an earlier version without {missing.key}, which this one needs"
        ) from missing


def kept_weights(run: Run, name: str) -> dict[str, torch.Tensor]:
    """The weights that a run kept under a name."""
    try:
        return run.load_weights(name)
    except SafetensorError as error:
        raise HourglassError(f"run {run.name} ({run.id}) holds a damaged {name}: {error}") from error


def restore(
    module: nn.Module, run: Run, name: str, *, weights: Mapping[str, torch.Tensor] | None = None, assign: bool = False
) -> None:
    """Give a network the weights that a run kept under a name, or has read; `assign`: it takes the tensors as are."""
    try:
        module.load_state_dict(kept_weights(run, name) if weights is None else weights, assign=assign)
    except RuntimeError as error:
        raise HourglassError(
            f"run {run.name} ({run.id}) holds other weights in {name} than this version's network has:"
            f" {' '.join(str(error).split())}"
        ) from error
