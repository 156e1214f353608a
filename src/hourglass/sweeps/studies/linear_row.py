"""What the best linear code of as many units makes of a mosaic's images: PCA, or under noise reduced-rank regression.

It stands as a column of its own where the code size changes from row to row, as a row of its own where it doesn't.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from hourglass.data import Dataset
from hourglass.figures.canvas import to_numpy
from hourglass.figures.picture import Array

if TYPE_CHECKING:
    from hourglass.trained.load import Trained

FLOOR = "test/linear_mse"
LINEAR = "best linear code"
"""The block that it makes where it is a column."""


class Cell(NamedTuple):
    """What one model makes of the images."""

    images: Array
    """(n, C, H, W)."""
    error: float | None
    """Over the whole test set, where it is known."""


class Linear(NamedTuple):
    """The linear codes' cells."""

    cells: dict[str, Cell]
    """By row or by block."""
    by_row: bool
    label: str
    """Of the row that blocks make."""
    column: str
    """Of the column that rows make: which linear code it is, where it is the same in each."""


def linear_cells(
    data: Dataset,
    x: Tensor,
    models: "Mapping[tuple[str, str], Trained]",
    errors: Mapping[tuple[str, str], float | None],
) -> Linear:
    """Linear codes of the same images, by the row that they belong to, or by the block.

    Rows if all models of each row have the same noise and code size, and not all the same; else blocks, with as many
    units as the largest code in each has. Nothing where the samples are too large for a linear code.

    Args:
        data: what all were trained on.
        x: the images, clean.
        models: by row and block.
        errors: of the linear code over the whole test set, as the runs have it.
    """
    sizes = {place: (trained.model.code_size, str(trained.config.noise)) for place, trained in models.items()}
    rows: dict[str, set[tuple[int, str]]] = {}
    for place, size in sizes.items():
        rows.setdefault(place[0], set()).add(size)
    at = 0 if all(len(same) == 1 for same in rows.values()) and len(set(sizes.values())) > 1 else 1
    found: dict[str, Cell] = {}
    units: list[int] = []
    names: set[str] = set()
    for name in dict.fromkeys(place[at] for place in models):
        place = max((each for each in models if each[at] == name), key=lambda each: models[each].model.code_size)
        linear = _linear(data, x, models[place])
        if linear is not None:
            which, images = linear
            found[name] = Cell(images, errors.get(place))
            units.append(models[place].model.code_size)
            names.add(which)
    label = f"linear, {units[0]} units" if len(set(units)) == 1 else "linear code"
    # The longer name stands alone: a block is as wide as three images at least.
    columns = {"PCA": f"{LINEAR} (PCA)", "reduced-rank regression": "reduced-rank regression"}
    column = columns[names.pop()] if len(names) == 1 else LINEAR
    return Linear(found, by_row=at == 0, label=label, column=column)


def _linear(data: Dataset, x: Tensor, trained: "Trained") -> tuple[str, Array] | None:
    """The name of the linear code, and what it makes of the images."""
    from hourglass.configuration.build import build
    from hourglass.measures.linear_floor import linear_floor

    noise = build(trained.config.noise, bounds=data.range, shape=data.shape)
    floor = linear_floor(data, noise)
    if floor is None or trained.model.code_size > len(floor.decoder):
        return None
    with torch.no_grad(), noise.seeded():
        return floor.name, to_numpy(floor.reconstruct(noise(x), trained.model.code_size))
