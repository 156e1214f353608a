"""What a training from Python answers: the model, ready for use, its numbers, its pictures and its run."""

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from hourglass.data import Dataset
from hourglass.data.columns import rows_of, sources_of
from hourglass.data.given_arrays import Given, as_table
from hourglass.data.ranges import ANY
from hourglass.data.reading import Arrays, is_frame, read
from hourglass.measures.health import told
from hourglass.models import Autoencoder, Output
from hourglass.pipeline.evaluate import InHand, measure
from hourglass.pipeline.other_data import holes_kept
from hourglass.system.errors import HourglassError
from hourglass.system.undone import undone
from hourglass.tracking import Run
from hourglass.tracking.unrecorded import UnrecordedRun
from hourglass.trained.classes import classes_told
from hourglass.trained.load import Trained
from hourglass.trained.model import TrainedModel
from hourglass.trained.target import Target
from hourglass.training.batches import blocks_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from hourglass.pipeline.train import Result


class Fitted:
    """A trained autoencoder and what is known of it; made by `hourglass.fit`.

    Samples go in as arrays of any kind and in their own units, as into the model of `hourglass.load`; so they come out.

    Args:
        trained: the model with its run.
        data: what it was trained on.
        metrics: the last value of every metric.
        health: the verdict on the run.

    Attributes:
        metrics: the last value of every metric, as `test/mse`.
        health: what the numbers say is wrong, `ok` where nothing is; "" where it was not asked.
        data: the data set, with its splits.
    """

    def __init__(self, *, trained: Trained, data: Dataset, metrics: dict[str, float], health: str) -> None:
        self.metrics = metrics
        self.health = health
        self.data = data
        self._trained = trained
        self._model: TrainedModel = trained.in_own_units

    @classmethod
    def of(cls, result: "Result", config: DictConfig) -> Self:
        """What a training leaves."""
        parts, data = result.parts, result.parts.data
        trained = Trained(
            result.run,
            OmegaConf.create(OmegaConf.to_container(config, resolve=True)),  # type: ignore[arg-type]
            parts.model.cpu().eval(),
            range=data.range,
            scaling=data.scaling,
            columns=data.columns,
            data_digest=data.digest,
            sampler=parts.learner.sampler.cpu(),
            categories=data.categories,
            fill=data.fill,
            classes=data.classes,
            target=Target.of(data),
        )
        return cls(trained=trained, data=data, metrics=result.metrics, health=result.run.tags.get("health", ""))

    @property
    def run(self) -> Run | None:
        """Its run, as MLflow keeps it; None with `tracking=none`."""
        return None if isinstance(self._trained.run, UnrecordedRun) else self._trained.run

    @property
    def model(self) -> Autoencoder:
        """The bare autoencoder, of values as it sees them; it checks and scales nothing."""
        return self._trained.model

    @property
    def in_own_units(self) -> TrainedModel:
        """The same as it is used, as `hourglass.load` gives it: a module without data and run."""
        return self._model

    @property
    def config(self) -> DictConfig:
        """The whole configuration, every value."""
        return self._trained.config

    @cached_property
    def figures(self) -> "dict[str, Image]":
        """The final pictures by their names, as `reconstructions`: PIL images."""
        found = self._trained.run.pictures()
        final = {key.removeprefix("final/"): image for key, image in found.items() if key.startswith("final/")}
        return {key: image for key, image in found.items() if not key.startswith("final/")} | final

    def __call__(self, x: Any, y: Any = None, *, range: str | Sequence[float] | None = None) -> Output:
        """Samples to an `Output` with code and reconstruction, as one batch; gradients flow through."""
        output: Output = self._model(self._array(x), y, range=range)
        return output

    def encode(self, x: Any, y: Any = None, *, range: str | Sequence[float] | None = None) -> Tensor:
        """Samples (N, *shape) to codes (N, code_size).

        x: also a DataFrame, a torch Dataset or a DataLoader.
        y: their classes (N,), or one for all, for a model that was trained with condition=labels.
        range: (LOW, HIGH) scales values of that range to the training data's, "any" takes them as they are, None
            refuses what lies far from the training data.
        """
        return self._in_batches(x, y, range, lambda *batch: self._model.encode(*batch, range=ANY))

    def decode(self, code: Any, y: Any = None) -> Tensor:
        """Codes (N, code_size) to samples (N, *shape); y: see `encode`."""
        codes = self._trained.inputs.codes(code, name="code")
        told = classes_told(self.model, y, count=len(codes))
        with torch.no_grad():
            return torch.cat([self._model.decode(*batch) for batch in blocks_of(codes, told)])

    def reconstruct(self, x: Any, y: Any = None, *, range: str | Sequence[float] | None = None) -> Tensor:
        """Samples to reconstructions (N, *shape). Arguments: see `encode`."""
        return self._in_batches(x, y, range, lambda *batch: self._model(*batch, range=ANY).reconstruction)

    def sample(self, count: int, y: Any = None, *, seed: int | None = None) -> Tensor:
        """New samples (count, *shape); see `TrainedModel.sample`."""
        with torch.no_grad():
            return self._model.sample(count, y, seed=seed)

    def export(self, folder: str | PathLike[str], *, range: str | Sequence[float] | None = None) -> list[Path]:
        """Write encoder and decoder apart, as files for torch and ONNX; see `TrainedModel.export`."""
        return self._model.export(folder, range=range, about={"run": self._trained.run.name})

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        *,
        noise: str | Sequence[str] | None = None,
        range: str | Sequence[float] | None = None,
        overrides: Any = (),
    ) -> dict[str, float]:
        """Measure the model on other arrays, all of them, or under other noise; recorded as a run below its own.

        Args:
            x: samples; None: the own test part.
            y: their labels.
            noise: a choice, or several; None: that of the training.
            range: see `encode`.
            overrides: values of data and noise, as those of `hourglass.fit`.

        Raises:
            HourglassError: arrays of another shape, or of another range; an override of anything else.
        """
        from hourglass.pipeline.fit import choice_word, words_of

        words = [] if noise is None else [choice_word("noise", noise)]
        if range is not None:
            words.append(f"range={range if isinstance(range, str) else ','.join(map(str, range))}")
        with undone():
            other = None if x is None else self._other(x, y)
            _, metrics = measure(self._trained, [*words, *words_of(overrides)], own=self.data, other=other)
        return metrics

    def _other(self, x: Any, y: Any) -> InHand:
        """Other arrays as a data set that is all test."""
        from hourglass.pipeline.fit import data_of

        config = OmegaConf.create({"data": holes_kept(self.config.data)})
        config.data.update(test_share=1.0, scaling="none", validation="split", train_size=None, test_size=None)
        data = data_of(config, Given(self._ordered(read("x", x, y))))
        if "missing" in self.config.data:
            config.data.missing = self.config.data.missing  # as it was asked for
        return InHand(config.data, data)

    def _ordered(self, found: Arrays) -> Arrays:
        """The columns that were trained on, in their order, of what has names for its columns."""
        if found.columns is None or self.data.columns is None:
            return found
        wanted = tuple(sources_of(self.data.columns, len(self.data.columns), self.data.categories))
        if missing := [name for name in wanted if name not in found.columns]:
            raise HourglassError(f"x must have the columns that were trained on, got none named {', '.join(missing)}")
        return found._replace(x=found.x[:, [found.columns.index(name) for name in wanted]], columns=wanted)

    def _array(self, x: Any) -> Any:
        """What the model takes."""
        held = is_frame(x) or isinstance(x, DataLoader | TorchDataset)
        if not held:
            return x
        found = self._ordered(read("x", x))
        if not self.data.categories:
            return found.x
        table = as_table("x", found)
        try:
            return rows_of(table, table.names, self.data.categories)
        except ValueError as error:
            raise HourglassError(str(error)) from error

    @torch.no_grad()
    def _in_batches(
        self, x: Any, y: Any, given: str | Sequence[float] | None, function: Callable[..., Tensor]
    ) -> Tensor:
        taken, warning = self._trained.inputs.samples(self._array(x), name="x", given=given)
        if warning is not None:
            warnings.warn(warning, stacklevel=4)
        told = classes_told(self.model, y, count=len(taken))
        return torch.cat([function(*batch) for batch in blocks_of(taken, told)])

    def __repr__(self) -> str:
        run, data = self._trained.run, self.data
        kind = " ".join(
            f"{group}={run.tags[group]}"
            for group in ("model", "bottleneck", "noise", "regularizer")
            if run.tags.get(group, "none") not in ("none", "linear")
        )
        shape = "x".join(map(str, data.shape))
        lines = [
            f"Fitted autoencoder: {kind}, a code of {self.model.code_size} for samples of {shape}",
            f"  data    {data.name}: " + ", ".join(f"{count:,} {name}" for name, count in data.sizes.items()),
        ]
        if "test/mse" in self.metrics:
            lines.append(f"  test    mse {self.metrics['test/mse']:.5f}")
        if self.health:
            lines.append(f"  health  {told(self.health)}")
        lines.append("  run     not kept" if self.run is None else f"  run     {run.name} ({run.id})")
        return "\n".join(lines)
