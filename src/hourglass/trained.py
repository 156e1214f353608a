"""What a finished run left: its configuration, and the model that configuration and weights make.

Nothing that was pickled is executed, and nothing here changes the run.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import safe_open
from torch import nn

from hourglass.config import build
from hourglass.data.dataset import Scaling
from hourglass.errors import HourglassError
from hourglass.inputs import Inputs
from hourglass.models import Autoencoder
from hourglass.schema import MissingKey
from hourglass.tracking import Run, resolve_uri
from hourglass.trained_model import TrainedModel

WEIGHTS = "weights.safetensors"


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

    @classmethod
    def of(cls, reference: str, *, uri: str | None) -> Self:
        """Rebuild the model of a run from `config.yaml` and `weights.safetensors`, on any tracking server.

        Raises:
            HourglassError: no such run, or one without weights; one of an earlier version, whose configuration or
                weights don't make a model any more.
        """
        run = Run.find(reference, resolve_uri(uri))
        config = OmegaConf.create(run.read_config())
        with safe_open(run.artifact(WEIGHTS), framework="pt") as file:
            metadata = file.metadata()
        # The caller's random numbers are not for weights that get replaced.
        with torch.random.fork_rng(devices=[]), recorded_by(run):
            model = build(config.model, shape=tuple(int(size) for size in metadata["shape"].split(",")))
        restore(model, run, WEIGHTS)
        return cls(
            run,
            config,
            model.eval(),
            range=(float(metadata["low"]), float(metadata["high"])),
            scaling=Scaling.from_json(metadata["scaling"]) if "scaling" in metadata else None,
            columns=tuple(json.loads(metadata["columns"])) if "columns" in metadata else None,
            data_digest=metadata.get("digest"),
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
        )

    @property
    def in_own_units(self) -> TrainedModel:
        """The model as it is used: of arrays of any kind, in the units of its training data."""
        return TrainedModel(model=self.model, inputs=self.inputs)


@contextmanager
def recorded_by(run: Run) -> Iterator[None]:
    """Say of a key that a run's configuration lacks that the run is older than the key."""
    try:
        yield
    except MissingKey as missing:
        raise HourglassError(
            f"run {run.name} ({run.id}) was recorded by an earlier version without {missing.key}, which this one needs"
        ) from missing


def restore(module: nn.Module, run: Run, name: str) -> None:
    """Give a network the weights that a run kept under a name."""
    try:
        module.load_state_dict(run.load_weights(name))
    except RuntimeError as error:
        raise HourglassError(
            f"run {run.name} ({run.id}) holds other weights in {name} than this version's network has:"
            f" {' '.join(str(error).split())}"
        ) from error
