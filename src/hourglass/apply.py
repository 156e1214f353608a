"""Trained models applied: measured on other data or noise, and used on one's own arrays.

A `Trained` is what a run left: its configuration, and the model that configuration and weights make. Nothing here
changes it.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from hourglass.config import build, compose_config, update
from hourglass.data.dataset import Scaling
from hourglass.data.own_tables import read_rows
from hourglass.errors import HourglassError
from hourglass.models import Autoencoder
from hourglass.table_model import TableModel
from hourglass.tracking import Run, flatten, resolve_uri

BATCH = 1000
WEIGHTS = "weights.safetensors"
EVALUATED = ("data", "noise")
"""What an evaluation may change of a run: the groups that say what the model sees."""


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
        """Rebuild the model of a run from `config.yaml` and `weights.safetensors`, on any tracking server."""
        run = Run.find(reference, resolve_uri(uri))
        config = OmegaConf.create(run.read_config())
        with safe_open(run.artifact(WEIGHTS), framework="pt") as file:
            metadata = file.metadata()
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not for weights that get replaced
            model = build(config.model, shape=tuple(int(size) for size in metadata["shape"].split(",")))
        model.load_state_dict(run.load_weights(WEIGHTS))
        return cls(
            run,
            config,
            model.eval(),
            range=(float(metadata["low"]), float(metadata["high"])),
            scaling=Scaling.from_json(metadata["scaling"]) if "scaling" in metadata else None,
            columns=tuple(json.loads(metadata["columns"])) if "columns" in metadata else None,
        )

    @property
    def in_own_units(self) -> Autoencoder | TableModel:
        """The model, or, where it was trained on a scaled table, the model in that table's units."""
        return self.model if self.scaling is None else TableModel(model=self.model, scaling=self.scaling)


def evaluate(reference: str, overrides: Sequence[str], *, uri: str | None) -> tuple[Run, dict[str, float]]:
    """Measure a run's model on the test set of other data, under other noise.

    The measurement is a run of its own, below the one it measures. Other data than the run's own also get
    `test/anomaly_auroc`: how well the reconstruction error tells them from the run's own test set.

    Args:
        reference: the run.
        overrides: `data=fashion_mnist`, `noise=gaussian`, `noise.gaussian.sigma=0.3`, ...

    Raises:
        HourglassError: an override of anything but data and noise; data of another shape.
    """
    from hourglass import process
    from hourglass.callbacks import Baselines, Progress, Usefulness
    from hourglass.compose import compose
    from hourglass.tracking import RunLogger

    process.quieten()
    trained = Trained.of(reference, uri=uri)
    config, chosen = _with_overrides(trained, overrides)
    data = build(config.data)
    if data.shape != trained.model.shape:
        raise HourglassError(
            f"data={data.name} has samples of shape {data.shape}, the model of run {trained.run.name} takes"
            f" {trained.model.shape}"
        )
    tags = {"kind": "evaluation", "evaluation_of": trained.run.id, **chosen}
    config.trainer.accelerator = "auto"  # whatever it was trained on, it is measured on what is here
    config.start = None  # it has been
    parts = compose(config)
    parts.model.load_state_dict(trained.model.state_dict())
    for name, companion in parts.learner.companions().items():
        companion.load_state_dict(trained.run.load_weights(f"{name}.safetensors"))
    own = build(trained.config.data) if any(override.startswith("data=") for override in overrides) else data
    trainer = build(config.trainer, callbacks=[Progress()], logger=False)
    with Run.start(
        uri=trained.run.uri,
        experiment=trained.run.experiment,
        name=f"evaluation of {trained.run.name} on {data.name} {chosen['noise']}",
        tags=tags,
        params=flatten({group: OmegaConf.to_container(config[group], resolve=True) for group in EVALUATED}),
        parent_id=trained.run.id,
    ) as run:
        trainer.logger = RunLogger(run=run)
        trainer.callbacks += [
            Usefulness(
                run=run,
                data=parts.data,
                train_samples=config.tracking.probe_samples,
                likelihood_draws=config.tracking.likelihood_draws,
                likelihood_samples=config.tracking.likelihood_samples,
                normal=own if own.digest != data.digest else None,
            )
        ]
        if config.tracking.baseline_samples is not None:
            trainer.callbacks.append(
                Baselines(run=run, data=parts.data, samples=config.tracking.baseline_samples, pictured=True)
            )
        run.log_dataset(data.name, data.digest, data.sizes)
        trainer.test(parts.learner, verbose=False)
    return run, run.metrics


def _with_overrides(trained: Trained, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The run's configuration with other data or noise, and the names of the choices."""
    config = trained.config.copy()
    choices = {group: trained.run.tags.get(group, "none") for group in EVALUATED}
    for override in overrides:
        if "=" not in override or re.split("[.=]", override)[0] not in EVALUATED:
            raise HourglassError(f"{override}: evaluate takes data=..., noise=... and their values, as noise.seed=1")
    for group in EVALUATED:
        mine = [override for override in overrides if re.split("[.=]", override)[0] == group]
        if any(override.startswith(f"{group}=") for override in mine):
            fresh, chosen = compose_config(mine)
            config[group] = fresh[group]
            choices[group] = chosen[group]
        else:  # the run's own, with a value changed
            update(config, mine)
    return config, choices


def encode(trained: Trained, x: Tensor) -> Tensor:
    """(N, *shape) to codes (N, code_size); rows of a scaled table in its own units."""
    return _in_batches(trained.in_own_units.encode, x, "encoding")


def decode(trained: Trained, code: Tensor) -> Tensor:
    """(N, code_size) to reconstructions (N, *shape), of a scaled table in its own units."""
    return _in_batches(trained.in_own_units.decode, code, "decoding")


def reconstruct(trained: Trained, x: Tensor) -> Tensor:
    """(N, *shape) to reconstructions (N, *shape); rows of a scaled table in its own units, both."""
    model = trained.in_own_units
    return _in_batches(lambda batch: model(batch).reconstruction, x, "reconstructing")


@torch.no_grad()
def _in_batches(function: Callable[[Tensor], Tensor], x: Tensor, what: str) -> Tensor:
    batches = tqdm(torch.split(x, BATCH), desc=what, unit_scale=BATCH, unit="sample", disable=None, delay=1.0)
    return torch.cat([function(batch) for batch in batches])


def read_samples(path: str, trained: Trained) -> Tensor:
    """Samples for the model from a .npy file, or rows of a table from a .csv file.

    uint8 grey levels, or floats in the range of the training data, for a model of a scaled table numbers in its own
    units; a .csv file has the columns of the one it was trained on. Takes (N, *shape), images also without the
    channel axis, and anything flat with the right number of values.
    """
    array = _read_table(path, trained) if path.lower().endswith(".csv") else _read(path)
    shape = trained.model.shape
    size = int(np.prod(shape))
    if array.ndim < 2 or int(np.prod(array.shape[1:])) != size:
        raise HourglassError(f"{path} holds an array of shape {array.shape}, the model takes (N, {_join(shape)})")
    if trained.scaling is not None:
        if array.dtype.kind not in "fiu":
            raise HourglassError(f"{path} holds {array.dtype}, allowed are numbers")
        rows = torch.from_numpy(array.astype(np.float64)).reshape(-1, *shape)
        _check_finite(path, trained.scaling.apply(rows))
        return rows
    x = _floats(path, array).reshape(-1, *shape)
    _check_finite(path, x)
    low, high = trained.range
    lowest, highest = (float(x.min()), float(x.max())) if len(x) else (low, high)
    if (low, high) == (0.0, 1.0) and (lowest < low or highest > high):
        raise HourglassError(
            f"{path} holds values from {lowest:g} to {highest:g}, the model was trained on data from {low:g} to"
            f" {high:g}: scale them, or give grey levels as uint8"
        )
    return x


def read_codes(path: str, trained: Trained) -> Tensor:
    """Codes (N, code_size) for the model from a .npy file."""
    array = _read(path)
    if array.ndim != 2 or array.shape[1] != trained.model.code_size:
        raise HourglassError(
            f"{path} holds an array of shape {array.shape}, the model's codes are (N, {trained.model.code_size})"
        )
    return _floats(path, array)


def write(path: str, values: Tensor, columns: Sequence[str] | None = None) -> None:
    """Write values to a .npy file, or rows below their columns' names to a .csv file: all of it or nothing."""
    target = Path(path)
    if not target.parent.is_dir():
        raise HourglassError(f"{path} can't be written: there is no folder {target.parent}")
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    if target.suffix.lower() == ".csv":
        if values.ndim != 2:
            raise HourglassError(f"{path} can't hold an array of shape {tuple(values.shape)}: write it to a .npy file")
        with partial.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerows([columns] if columns else [])
            writer.writerows(values.tolist())
    else:
        with partial.open("wb") as file:
            np.save(file, values.numpy())
    partial.replace(target)


def _read(path: str) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise HourglassError(f"{path} can't be read as a .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise HourglassError(f"{path} holds several arrays (.npz), one array in a .npy file is needed")
    return array


def _read_table(path: str, trained: Trained) -> np.ndarray:
    """The rows of a .csv file, read as the run's own data were."""
    if len(trained.model.shape) != 1:
        raise HourglassError(f"{path} holds rows, the model takes (N, {_join(trained.model.shape)}) in a .npy file")
    data = trained.config.data
    try:
        return read_rows(
            path,
            delimiter=data.get("delimiter", ","),
            header=data.get("header", "auto"),
            label_column=data.get("label_column"),
            columns=trained.columns,
            width=trained.model.shape[0],
        )
    except ValueError as error:
        raise HourglassError(str(error)) from error


def _floats(path: str, array: np.ndarray) -> Tensor:
    """Grey levels as 0 to 1, floats as they are, float32."""
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise HourglassError(f"{path} holds {array.dtype}, allowed are uint8 and floats")
    # A copy also where it is float32: a file may hold the other byte order, which torch doesn't know.
    x = torch.from_numpy(array.astype(np.float32))
    return x / 255 if array.dtype == np.uint8 else x


def _check_finite(path: str, x: Tensor) -> None:
    if not bool(x.isfinite().all()):
        raise HourglassError(f"{path} holds values that are not finite")


def _join(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))
