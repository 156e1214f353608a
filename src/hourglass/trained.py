"""What a finished run left: its configuration, and the model that configuration and weights make.

Nothing that was pickled is executed, and nothing here changes the run.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import safe_open
from torch import nn

from hourglass.config import build
from hourglass.data.dataset import Scaling
from hourglass.errors import HourglassError
from hourglass.models import Autoencoder
from hourglass.schema import MissingKey
from hourglass.table_model import TableModel, in_own_units
from hourglass.tracking import Run, resolve_uri
from hourglass.tracking.files import mapping

WEIGHTS = "weights.safetensors"
_GROUPS = ("data", "model", "noise", "regularizer", "loss", "optimizer", "training", "trainer", "tracking")


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

    @classmethod
    def of(cls, reference: str, *, uri: str | None) -> Self:
        """Rebuild the model of a run from `config.yaml` and `weights.safetensors`, on any tracking server.

        Raises:
            HourglassError: no such run, or one without weights; one of an earlier version, whose configuration or
                weights don't make a model any more.
        """
        run = Run.find(reference, resolve_uri(uri))
        config = recorded_config(run)
        shape, limits, scaling, columns = run.read_file(WEIGHTS, _read_metadata)
        # The caller's random numbers are not for weights that get replaced.
        with torch.random.fork_rng(devices=[]), recorded_by(run):
            model = build(config.model, shape=shape)
        restore(model, run, WEIGHTS)
        return cls(run, config, model.eval(), limits, scaling, columns)

    @property
    def in_own_units(self) -> Autoencoder | TableModel:
        """The model, or, where it was trained on a scaled table, the model in that table's units."""
        return in_own_units(self.model, self.scaling)


def recorded_config(run: Run) -> DictConfig:
    """The configuration that a run was recorded with.

    Raises:
        HourglassError: there is none, it is damaged, or it isn't one of a training.
    """
    config = run.read_file("config.yaml", lambda path: OmegaConf.create(mapping(path)))
    lacking = [group for group in _GROUPS if not isinstance(config.get(group), DictConfig)]
    if lacking:
        raise HourglassError(f"run {run.name} ({run.id}): its config.yaml has no {', '.join(lacking)}")
    return config


def _read_metadata(
    path: Path,
) -> tuple[tuple[int, ...], tuple[float, float], Scaling | None, tuple[str, ...] | None]:
    """Of the data that weights were trained on: shape of a sample, range, scaling, columns."""
    with safe_open(path, framework="pt") as file:
        words = file.metadata()
    return (
        tuple(int(size) for size in words["shape"].split(",")),
        (float(words["low"]), float(words["high"])),
        Scaling.from_json(words["scaling"]) if "scaling" in words else None,
        tuple(json.loads(words["columns"])) if "columns" in words else None,
    )


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
