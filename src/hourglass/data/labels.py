"""Labels as a person has them, made into classes: whole numbers as they are, names as 0, 1, 2, ... in their order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hourglass.data.dataset import Dataset

Labels = npt.NDArray[Any]
_SHOWN = 12  # names in a note


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


def told(classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """What a person should know of the names, a line."""
    if classes is None:
        return ()
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(classes[:_SHOWN]))
    return (f"classes: {shown}{', ...' if len(classes) > _SHOWN else ''}",)
