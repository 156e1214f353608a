"""Data sets of the library `datasets`: from a folder that it saved, a data file, or its local cache; never fetched.

images      a column of images of one size: uint8, grey or colour
arrays      a column of lists or arrays of numbers of one shape: embeddings, series
tables      columns of numbers and names, as `hourglass.data.tables` has them
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from hourglass.data.binarized import Binarized
from hourglass.data.columns import few
from hourglass.data.dataset import Dataset
from hourglass.data.frames import Frame, frames_as_dataset
from hourglass.data.own_arrays import Part, arrays_as_dataset
from hourglass.data.pictures import is_grey, levels_of
from hourglass.data.splitting import check_apart
from hourglass.data.tables import Rules, TableKeys
from hourglass.system.errors import HourglassError, first_line

AUTO = "auto"
SPLITS = {"validation_split": ("validation", "valid", "val", "dev"), "test_split": ("test",)}
"""What the splits are called that are taken for validation and test unasked."""
FILES = {".parquet": "parquet", ".arrow": "arrow", ".json": "json", ".jsonl": "json", ".csv": "csv"}
"""Data files, by how their names end, and what `datasets` calls them."""


class HuggingFaceKeys(TableKeys, Binarized):
    """The choices of this source that others have too."""


def hf(
    *,
    path: str,
    split: str,
    validation_split: str | None,
    test_split: str | None,
    **keys: Unpack[HuggingFaceKeys],
) -> Dataset:
    """Samples of a data set that the library `datasets` reads.

    path: a folder that `save_to_disk` wrote, a data file (`FILES`), or the name of a data set in the local cache.
    split: the samples; "auto": `train`, or the only split.
    validation_split, test_split: "auto": what `SPLITS` lists, if it is there and not taken; None, or nothing found:
        `validation_size` and `test_share` of the samples are set apart. No split may be named twice.
    columns: the column of images or arrays, or those of a table; None: the only one of images, else arrays, else all.
    label_column: None: the only column of classes, if there is one.
    The other arguments: `hourglass.data.tables.Rules` and `Splitting`. Raises ValueError that names the column.
    """
    rules, splitting = Rules.of(keys)
    held = _loaded(path)
    wanted = {"split": split, "validation_split": validation_split, "test_split": test_split}
    chosen = _chosen(list(held), wanted, path)
    found: dict[str, Any] = {key: None if name is None else held[name] for key, name in chosen.items()}
    samples = found["split"]
    label = rules.label_column if rules.label_column is not None else _only(samples, "ClassLabel")
    if label is not None and label not in samples.features:
        raise ValueError(f"label_column must be one of {', '.join(samples.features)}, got {label!r}")
    names = getattr(samples.features.get(label), "names", None)
    classes = tuple(names) if names else None
    notes = (f"labels are those of {label}",) if label is not None and rules.label_column is None else ()
    column = _array_column(samples, rules)
    if column is None:
        rules = Rules(**{**vars(rules), "label_column": label})
        tables = [None if each is None else Frame(each.to_pandas(), f"{path} ({key})") for key, each in found.items()]
        return frames_as_dataset("hf", tables, rules, splitting, classes=classes)
    for key, value, allowed in (("missing", rules.missing, "refuse"), ("categorical", rules.categorical, None)):
        if value != allowed:
            raise ValueError(
                f"{key} must be {allowed or 'null'} for images and arrays, which {column} holds, got {value}"
            )
    parts = [
        None
        if each is None
        else Part(column, _arrays(each, column), str(label), _labels(each, label), f" in {path} ({key})")
        for key, each in found.items()
    ]
    return arrays_as_dataset("hf", parts, splitting, scaling=rules.scaling, notes=notes, classes=classes)


def _loaded(path: str) -> dict[str, Any]:
    """The splits by name."""
    try:
        with _offline():
            import datasets
    except ImportError as error:
        raise HourglassError("data=hf needs the library datasets: pip install 'hourglass[hf]'") from error
    place = Path(str(path)).expanduser()
    wanted = "path must be a folder that save_to_disk wrote, a data file, or the name of a data set in the local cache"
    try:
        with _offline():
            datasets.disable_progress_bars()
            if place.is_dir() and any((place / name).is_file() for name in ("dataset_dict.json", "state.json")):
                held = datasets.load_from_disk(str(place))
            elif place.is_file():
                if place.suffix not in FILES:
                    raise ValueError(f"a file that ends in {place.suffix or 'nothing'}, allowed are {', '.join(FILES)}")
                held = datasets.load_dataset(FILES[place.suffix], data_files=str(place))
            else:
                held = datasets.load_dataset(str(path))
    except Exception as error:  # whatever the library raises of what it can't read
        raise ValueError(f"{wanted}, got {path}: {first_line(error)}") from error
    return dict(held) if isinstance(held, dict) else {"train": held}


@contextmanager
def _offline() -> Iterator[None]:
    """Nothing is fetched: what a record says may be a stranger's, and a training must not wait for a network."""
    keys = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    before = {key: os.environ.get(key) for key in keys}
    os.environ.update(dict.fromkeys(keys, "1"))
    constants, config = sys.modules.get("huggingface_hub.constants"), sys.modules.get("datasets.config")
    kept = [
        (module, name, getattr(module, name)) for module, name in ((constants, keys[0]), (config, keys[1])) if module
    ]
    for module, name, _ in kept:
        setattr(module, name, True)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        for module, name, value in kept:
            setattr(module, name, value)


def _chosen(held: list[str], wanted: dict[str, str | None], path: str) -> dict[str, str | None]:
    """The name of each split, None where there is none; "auto" takes none that another key has."""
    chosen = dict(wanted)
    if chosen["split"] == AUTO:
        chosen["split"] = held[0] if len(held) == 1 else "train"
    for key, name in chosen.items():
        if name not in held and (key == "split" or name not in (None, AUTO)):
            raise ValueError(f"{key} must be one of {', '.join(held)}, got {name!r} of {path}")
    check_apart("split", {key: None if name == AUTO else name for key, name in chosen.items()})
    for key, names in SPLITS.items():
        if chosen[key] == AUTO:
            chosen[key] = next((name for name in names if name in held and name not in chosen.values()), None)
    return chosen


def _kind(feature: Any) -> str:
    """What a column holds: `Image`, `List`, `ClassLabel`, ..."""
    name = type(feature).__name__
    return "List" if name in ("List", "LargeList", "Sequence", "Array2D", "Array3D", "Array4D") else name


def _only(samples: Any, *kinds: str) -> str | None:
    """The only column of some kind."""
    found = [str(name) for name, feature in samples.features.items() if _kind(feature) in kinds]
    return found[0] if len(found) == 1 else None


def _array_column(samples: Any, rules: Rules) -> str | None:
    """The column of images or arrays that the samples are; None for those of a table."""
    if rules.columns is not None:
        unknown = [name for name in rules.columns if name not in samples.features]
        if unknown:
            raise ValueError(f"columns must be of {', '.join(samples.features)}, got {unknown[0]!r}")
        kinds = {str(name): _kind(samples.features[name]) for name in rules.columns}
        held = [name for name, kind in kinds.items() if kind in ("Image", "List")]
        if held and len(kinds) > 1:
            raise ValueError(f"columns must be {held[0]} alone, which holds a whole sample, got {few(list(kinds))}")
        return held[0] if held else None
    return _only(samples, "Image") or _only(samples, "List")


def _arrays(samples: Any, column: str) -> npt.NDArray[Any]:
    if _kind(samples.features[column]) == "Image":
        pictures = samples[column]
        sizes = sorted({f"{picture.width}x{picture.height}" for picture in pictures})
        if len(sizes) > 1:
            raise ValueError(
                f"columns must hold images of one size, got {' and '.join(sizes[:2])} in {column}: data=image_folder"
                " resizes those of a folder"
            )
        mode = "L" if all(map(is_grey, pictures)) else "RGB"
        try:
            levels = [levels_of(picture, mode) for picture in pictures]
        except ValueError as error:
            raise ValueError(
                f"columns must hold pictures whose levels are known, got another in {column}: {first_line(error)}"
            ) from error
        return np.stack(levels)
    values = samples.with_format("numpy")[column]
    try:
        return np.stack([np.asarray(each) for each in values])
    except ValueError as error:
        raise ValueError(f"columns must hold arrays of one shape, got several in {column}") from error


def _labels(samples: Any, label: Any) -> npt.NDArray[Any] | None:
    return None if label is None else np.asarray(samples[label])
