"""The zoo in images: the same test digits as each type restores them, and digits of codes that were drawn."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.zoo.collection import GROUPS
from hourglass import figures
from hourglass.configuration.build import build
from hourglass.figures.canvas import to_numpy
from hourglass.figures.picture import Array, Picture, gap
from hourglass.trained.load import Trained

COUNT = 10
ORIGINAL = "original"
BLOCKS = 2  # side by side: one column would be three screens long
_HEAD, _LINE = 24, 4  # pixels of a group's name, and between rows
_LETTER = 7.5  # pixels, of a name


class Row(NamedTuple):
    """A row of images."""

    name: str
    images: Array
    """(COUNT, C, H, W)."""
    error: float | None = None
    """Of the whole test set."""


class Digits(NamedTuple):
    """Test samples of one kind of data."""

    x: Tensor
    y: Tensor | None
    range: tuple[float, float]


class Block(NamedTuple):
    """Rows below a name."""

    name: str
    rows: list[Row]


def draw(runs: Mapping[str, str], *, into: Path, uri: str | None = None) -> None:
    """Write mosaic.png and samples.png.

    Args:
        runs: type to the id of the run that is shown.
        into: the folder.
        uri: where the runs are; None: see `resolve_uri`.
    """
    restored, drawn, value_range = _gathered(runs, uri)
    picture = mosaic(
        restored,
        title="Ten test digits as each type restores them, first seed; right of them the MSE of the whole test set",
        value_range=value_range,
    )
    figures.to_png(picture, into / "mosaic.png")
    if drawn:
        title = "Digits of codes that were drawn from the prior, or from the density that was fitted to the codes"
        figures.to_png(mosaic(drawn, title=title, value_range=value_range), into / "samples.png")


def mosaic(blocks: Sequence[Block], *, title: str, value_range: tuple[float, float]) -> Picture:
    """Rows of images with their names, below the names of their groups, in columns of about equal height."""
    _, _, height, width = blocks[0].rows[0].images.shape
    zoom = max(1, round(28 / width))
    high, step = height * zoom, height * zoom + _LINE
    wide = (COUNT * (width + gap(width)) - gap(width)) * zoom
    left = 16 + _LETTER * max(len(row.name) for block in blocks for row in block.rows)
    across = left + wide + 74
    columns = _columns(blocks)
    heights = [sum(_HEAD + len(block.rows) * step for block in column) for column in columns]
    picture = Picture(width=across * len(columns), height=max(heights) + 12, title=title)
    for place, column in enumerate(columns):
        x, y = place * across + left, 0.0
        for block in column:
            picture.text(place * across + 8, y + _HEAD / 2 + 2, block.name.upper(), size=10.5)
            y += _HEAD
            for row in block.rows:
                picture.text(x - 8, y + high / 2, row.name, ha="right", size=10)
                picture.mosaic(x, y, row.images, columns=COUNT, value_range=value_range, zoom=zoom)
                if row.name == ORIGINAL:
                    picture.text(x + wide + 8, y + high / 2, "MSE", size=10)
                if row.error is not None:
                    picture.text(x + wide + 8, y + high / 2, f"{row.error:.4f}", size=10)
                y += step
    return picture


def _columns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks in their order, the columns about equally long."""
    lengths = [1 + len(block.rows) for block in blocks]
    columns: list[list[Block]] = [[] for _ in range(min(BLOCKS, len(blocks)))]
    for place, block in enumerate(blocks):
        middle = sum(lengths[:place]) + lengths[place] / 2
        columns[min(len(columns) - 1, int(len(columns) * middle / sum(lengths)))].append(block)
    return [column for column in columns if column]


def _gathered(runs: Mapping[str, str], uri: str | None) -> tuple[list[Block], list[Block], tuple[float, float]]:
    """What is restored, and what is drawn, group by group, and the range of the data's values."""
    restored, drawn = [], []
    value_range = (0.0, 1.0)
    known: dict[str, Digits] = {}
    for group in GROUPS:
        rows: list[Row] = []
        samples: list[Row] = []
        shown: Tensor | None = None
        for kind in group.types:
            if kind.name not in runs:
                continue
            called = re.sub(r" \(control: .*\)", " (control)", kind.name)  # the page says what it is one of
            trained = Trained.of(runs[kind.name], uri=uri)
            data = str(trained.config.data)
            if data not in known:
                known[data] = _digits(trained)
            x, y, value_range = known[data]
            if shown is None or not torch.equal(x, shown):  # as where a group is of digits of 0 and 1
                rows.append(Row(ORIGINAL, to_numpy(x)))
                shown = x
            noise = build(trained.config.noise, bounds=value_range, shape=tuple(x.shape[1:]))
            with torch.no_grad(), noise.seeded():
                seen = noise(x)
                images = trained.model(seen, y).reconstruction
            if seen is not x:
                rows.append(Row("input of the next", to_numpy(seen)))
            rows.append(Row(called, to_numpy(images), trained.run.metrics["test/mse"]))
            if "test/prior_mmd" in trained.run.metrics:  # there is something to draw from; with classes each in turn
                samples.append(Row(called, to_numpy(trained.in_own_units.sample(COUNT, seed=0))))
        restored += [Block(group.name, rows)] if rows else []
        drawn += [Block(group.name, samples)] if samples else []
    return restored, drawn, value_range


def _digits(trained: Trained) -> Digits:
    """The test digits that a model is shown: the first of each class, where there are classes."""
    data: Any = build(trained.config.data)
    y = data.test.y
    firsts = range(COUNT) if y is None else [int((y == which).nonzero()[0]) for which in range(COUNT)]
    chosen = torch.tensor(firsts)
    return Digits(data.scaled(data.test.x[chosen]), None if y is None else y[chosen], data.range)
