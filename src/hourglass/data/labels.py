"""Labels as a person has them, made into classes: whole numbers as they are, names as 0, 1, 2, ... in their order."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.system.errors import HourglassError

Labels = npt.NDArray[Any]
_SHOWN = 12  # names in a note or a message


def check_labels(name: str, y: Labels, count: int, where: str) -> Labels:
    """Labels (count,) of whole numbers, bools or texts; (count, 1) counts as such. ValueError for others.

    name: what a message calls them. where: the end of it, which says where they are.
    """
    y = y[:, 0] if y.ndim == 2 and y.shape == (count, 1) else y
    if y.dtype == object and all(isinstance(each, str) for each in y):
        y = y.astype(str)
    if y.shape != (count,) or y.dtype.kind not in "iubUS":
        cast = f": cast them, {name}.astype(int)" if y.dtype.kind == "f" and y.shape == (count,) else ""
        kind = "texts" if y.dtype.kind in "US" else y.dtype.name
        raise ValueError(
            f"{name} must be whole numbers or texts of shape {(count,)}, got {kind} {y.shape}{where}{cast}"
        )
    return np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y


def as_classes(parts: Sequence[Labels | None]) -> tuple[list[npt.NDArray[np.int64] | None], tuple[str, ...] | None]:
    """The labels of all splits as classes, and the names that those have: None of whole numbers."""
    held = [part for part in parts if part is not None]
    if not any(part.dtype.kind == "U" for part in held):
        return [None if part is None else part.astype(np.int64) for part in parts], None
    names = np.unique(np.concatenate([part.astype(str) for part in held]))
    found = [None if part is None else np.searchsorted(names, part.astype(str)).astype(np.int64) for part in parts]
    return found, tuple(names.tolist())


def known_classes(
    names: tuple[str, ...] | None, labels: Sequence[npt.NDArray[np.int64] | None]
) -> tuple[str, ...] | None:
    """The names that a source has for its labels, whole numbers; None where it has no name for one of them."""
    held = [part for part in labels if part is not None and len(part)]
    if names is None or not held or min(part.min() for part in held) < 0:
        return None
    return names if max(part.max() for part in held) < len(names) else None


def class_count(data: Dataset) -> int | None:
    """How many classes there are, by the largest label of all splits; None where one has no labels.

    Raises:
        ValueError: a label below 0.
    """
    splits = [split for split in (data.train, data.validation, data.test) if len(split)]
    if any(split.y is None for split in splits):
        return None
    labels = [split.y.aminmax() for split in splits if split.y is not None]
    if (lowest := min(int(low) for low, _ in labels)) < 0:
        raise ValueError(f"labels must be whole numbers from 0, got {lowest}")
    return 1 + max(int(high) for _, high in labels)


def renumbered(data: Dataset, names: tuple[str, ...]) -> Dataset:
    """The same samples with their named classes numbered as in `names`.

    Raises:
        HourglassError: samples of a class that isn't among them.
    """
    assert data.classes is not None
    splits = (data.train, data.validation, data.test)
    held = {number for split in splits if split.y is not None for number in torch.unique(split.y).tolist()}
    if strange := [data.classes[number] for number in sorted(held) if data.classes[number] not in names]:
        raise HourglassError(
            f"data={data.name} must hold classes that the model was trained on, {_few(names)}, got {_few(strange)}"
        )
    numbers = torch.tensor([names.index(name) if name in names else -1 for name in data.classes])
    done: dict[int, Split] = {}  # where validation is the test set it stays so
    for split in splits:
        if id(split) not in done:
            done[id(split)] = split if split.y is None else replace(split, y=numbers[split.y])
    train, validation, test = (done[id(split)] for split in splits)
    # Of a mapped file the arrays aren't read for it. It must be another: what is kept by digest goes by the numbers.
    marked = hashlib.sha256(f"{data.digest} {json.dumps(names)}".encode()).hexdigest()
    return replace(data, train=train, validation=validation, test=test, classes=names, digest=marked)


def _few(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"


def told(classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """What a person should know of the names, a line."""
    if classes is None:
        return ()
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(classes[:_SHOWN]))
    return (f"classes: {shown}{', ...' if len(classes) > _SHOWN else ''}",)
