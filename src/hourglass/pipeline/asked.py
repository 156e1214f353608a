"""What an evaluation is asked for: a run's configuration with other data, or under other noise.

Of a file or folder of one's own all samples are measured, unless `data.test_share` says otherwise or it brings a test
set. Where it is the one that the run was trained on, only the run's own test part is.
"""

import filecmp
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from hourglass.configuration.composition import compose_config, update
from hourglass.configuration.overrides import quoted
from hourglass.data.columns import sources_of
from hourglass.data.frames import parquet_column_names
from hourglass.data.own_tables import column_names
from hourglass.system.errors import HourglassError
from hourglass.trained.load import Trained
from hourglass.trained.pictures import is_picture

EVALUATED = ("data", "noise")
"""What an evaluation may change of a run: the groups that say what the model sees."""


OWN_SOURCES = tuple(
    f"hourglass.data.{name}"
    for name in ("csv", "parquet", "hf", "npz", "npy", "idx", "signals", "image_folder", "activations")
)
"""Sources of a person's own data, which are measured whole."""


PATHS = ("path", "labels", "validation_path", "validation_labels", "test_path", "test_labels")
"""Keys of these sources that name a file or folder."""


READING = ("delimiter", "decimal", "header", "columns", "exclude", "categorical", "missing")
"""Keys that say how a table is read: another of the same kind is read as the run's own.

So is `label_column`, where the other table has that column.
"""


class Asked(NamedTuple):
    """What an evaluation is asked for."""

    config: DictConfig
    """The run's configuration with other data or noise."""
    choices: dict[str, str]
    """The names of what was chosen."""
    trained_on: bool
    """Whether the data lie in the very file or folder that the run was trained on."""
    given: str | None
    """The range that the values of the data are given in."""
    unchanged: bool
    """Whether nothing is said of the data: they are the run's own."""


def asked(trained: Trained, overrides: Sequence[str]) -> Asked:
    """Read the overrides."""
    config = trained.config.copy()
    scaling = str(trained.config.data.get("scaling", "none"))
    choices = {group: trained.run.tags.get(group, "none") for group in EVALUATED}
    ranges = [override.partition("=")[2] for override in overrides if override.startswith("range=")]
    overrides = [override for override in overrides if not override.startswith("range=")]
    if overrides and "=" not in overrides[0] and is_picture(Path(overrides[0])):
        overrides = ["data=image_folder", f"data.path={quoted(overrides[0])}", *overrides[1:]]
    for override in overrides:
        if "=" not in override or re.split("[.=]", override)[0] not in EVALUATED:
            raise HourglassError(
                f"{override}: evaluate takes data=..., noise=... and their values, as noise.seed=1, or a folder of"
                " pictures"
            )
        key, _, value = override.partition("=")
        if key == "data.scaling" and value != scaling:
            raise HourglassError(f"{override}: evaluate scales rows as the run's own were, data.scaling={scaling}")
    for group in EVALUATED:
        mine = [override for override in overrides if re.split("[.=]", override)[0] == group]
        if any(override.startswith(f"{group}=") for override in mine):
            fresh, chosen = compose_config(mine)
            config[group] = fresh[group]
            choices[group] = chosen[group]
        else:  # the run's own, with a value changed
            update(config, mine)
    if "scaling" in config.data:
        config.data.scaling = scaling
    said = {override.partition("=")[0].removeprefix("data.") for override in overrides if override.startswith("data")}
    trained_on = False
    if config.data._target_ in OWN_SOURCES:
        trained_on = _same_source(config.data, trained.config.data)
        _choose_part(config.data, trained, said=said, trained_on=trained_on)
    return Asked(config, choices, trained_on, ranges[-1] if ranges else None, unchanged=not said and not ranges)


def _choose_part(data: DictConfig, trained: Trained, *, said: set[str], trained_on: bool) -> None:
    """Set, of what was not said, how a person's own data are read and which part of them is measured."""
    shape = trained.model.shape
    if trained_on:
        chosen = {str(key): value for key, value in trained.config.data.items() if key not in PATHS}
    else:
        chosen = {"test_share": 1.0}
        if data._target_ == trained.config.data._target_:
            chosen |= {key: trained.config.data[key] for key in READING if key in trained.config.data}
        if data._target_.endswith("image_folder") and len(shape) == 3:
            size = shape[1] if shape[1] == shape[2] else list(shape[1:])
            chosen |= {"size": size, "colour": shape[0] == 3, "fit": trained.inputs.fit}
    for key, value in chosen.items():
        if key in data and key not in said:
            data[key] = value
    label = trained.config.data.get("label_column")
    inherited = not trained_on and data._target_ == trained.config.data._target_ and "label_column" not in said
    if inherited and label is not None and _holds_label(data, label, trained):
        data.label_column = label


def _holds_label(data: DictConfig, label: str | int, trained: Trained) -> bool:
    """Whether a table of the kind of the run's own has a column of labels, as that one had."""
    if OmegaConf.is_missing(data, "path"):
        return False
    try:
        if data._target_.endswith("csv"):
            names = column_names(data.path, delimiter=data.delimiter, header=data.header, decimal=data.decimal)
        elif data._target_.endswith("parquet"):
            names = parquet_column_names(data.path)
        else:
            return False
    except ValueError:  # what is wrong with it is said when it is read
        return False
    if isinstance(label, str):
        return label in names
    inputs = sources_of(trained.columns, trained.model.shape[0], trained.categories)
    if trained.columns is None:  # positions say nothing: has it columns besides?
        return label < len(names) and len(names) > len(inputs) + len(data.exclude or ())
    return label < len(names) and names[label] not in inputs


def _same_source(one: DictConfig, other: DictConfig) -> bool:
    """Whether two configurations name the same files or folders, or files that hold the same."""
    if one._target_ != other._target_:
        return False
    for key in PATHS:
        paths = [None if each.get(key) is None else Path(str(each[key])).expanduser() for each in (one, other)]
        if paths == [None, None]:
            continue
        first, second = paths
        if first is None or second is None or not first.exists() or not second.exists():
            return False
        if not first.samefile(second) and not (
            first.is_file() and second.is_file() and filecmp.cmp(first, second, False)
        ):
            return False
    return True
