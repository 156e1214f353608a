"""A study in images: the same test images as its models reconstruct them, beside the best linear code.

Two axes have room. Every other setting is held at one value, that of the best job, and the title says which: cells
that each took their own best would differ in more than their labels say.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from hourglass.figures.canvas import to_numpy
from hourglass.figures.grid import zoom_of
from hourglass.figures.picture import Array, Picture, gap
from hourglass.sweeps.studies.charts import digits
from hourglass.sweeps.studies.linear_row import FLOOR, LINEAR, Cell, linear_cells
from hourglass.sweeps.studies.table import ERROR, Row, Table, at, in_words
from hourglass.system.errors import HourglassError, reason

if TYPE_CHECKING:
    from hourglass.trained.load import Trained

ROWS, BLOCKS = 8, 6
"""At most 48 models are loaded; of more values on an axis, as many as fit, with the first and the last."""
_WIDE = 1250  # pixels that the images of all blocks take together, about
Place = tuple[str, str]  # the values of the row and of the block; the block's is empty with one axis


class Mosaic(NamedTuple):
    """The picture, or why there is none."""

    picture: Picture | None
    missing: str
    damaged: tuple[str, ...]
    """Jobs that had to be left out, a line each."""


def chosen(table: Table, without: Collection[str] = frozenset()) -> tuple[list[str], list[str], dict[Place, Row]]:
    """The values on both axes shown, thinned out, and of each point the job to draw, of those not excluded by their id.

    Of the finished jobs at a point with the values that are `held` that is the one with the lowest seed. In a search,
    whose jobs lie anywhere, it is the best.
    """
    across, *second = table.shown
    downward = _some(table.values[across], ROWS)
    blocks = _some(table.values[second[0]], BLOCKS) if second else [""]
    picked: dict[Place, Row] = {}
    fixed = held(table)
    measured = [
        row
        for row in table.finished
        if ERROR in row.metrics
        and row.run_id not in without
        and all(row.point[axis] == value for axis, value in fixed.items())
    ]
    seeds = table.seeds
    for row in sorted(measured, key=lambda row: (*(float(row.point[axis]) for axis in seeds), row.metrics[ERROR])):
        value, block = (*at(row, table.shown), "")[:2]
        if value in downward and block in blocks:
            picked.setdefault((value, block), row)
    return downward, blocks, picked


def held(table: Table) -> dict[str, str]:
    """The settings that the picture has no room for, at the values of the best job; none in a search."""
    best = table.best
    return {} if best is None or table.scattered else {axis: best.point[axis] for axis in table.further}


def mosaic(table: Table, *, uri: str) -> Mosaic:
    """One row of images for each value of the first axis, one block for each value of the second; or why there is none.

    Each model sees the images as in its test: with its own noise, drawn with its own seed. A job whose files are
    damaged is left out; where others lie at the same point, one of them is drawn instead.

    Args:
        table: the study.
        uri: where its runs are, resolved.
    """
    if not table.shown:
        return Mosaic(None, "no axis but seeds", ())
    from hourglass.trained.load import Trained

    known: dict[str, Trained] = {}
    damaged: dict[str, str] = {}
    while True:
        downward, blocks, picked = chosen(table, damaged)
        missing = [row for row in picked.values() if row.run_id not in known]
        if not missing:
            break
        for row in missing:
            try:
                trained = Trained.of(row.run_id, uri=uri)
                if not {"data", "noise"} <= trained.config.keys():
                    raise HourglassError("its config.yaml is cut off")
                known[row.run_id] = trained
            except Exception as error:  # whatever is wrong with one must not cost the others their picture
                damaged[row.run_id] = f"{table.label(row)}, run {row.run_id}, is left out: {reason(error)}"
    found = _drawn(table, downward, blocks, picked, {place: known[row.run_id] for place, row in picked.items()})
    told = tuple(damaged.values())
    return Mosaic(None, found, told) if isinstance(found, str) else Mosaic(found, "", told)


def _drawn(
    table: Table,
    downward: Sequence[str],
    blocks: Sequence[str],
    picked: Mapping[Place, Row],
    models: "Mapping[Place, Trained]",
) -> Picture | str:
    if not models:
        return "no job is finished"
    from hourglass.configuration.build import build

    first = next(iter(models.values()))
    if any(trained.config.data != first.config.data for trained in models.values()):
        return "the jobs have different data"
    data = build(first.config.data)
    if data.targets is not None:
        return "the models make something else than their samples"
    if not data.is_image or data.shape[0] not in (1, 3):
        return f"samples of shape {data.shape} are no images"
    pitch = (data.shape[2] + gap(data.shape[2])) * zoom_of(data.shape[2])
    count = min(10, len(data.test), max(3, int(_WIDE / ((len(blocks) + 1) * pitch))))  # a block for the linear code
    x, y = data.scaled(data.test.x[:count]), None if data.test.y is None else data.test.y[:count]
    original = to_numpy(x)
    above = {"original": dict.fromkeys(blocks, original), "corrupted": {}}
    cells: dict[Place, Cell] = {}
    for place, trained in models.items():
        noise = build(trained.config.noise, bounds=data.range, shape=data.shape)
        with torch.no_grad(), noise.seeded():
            corrupted = noise(x)
            images = trained.model(corrupted, y).reconstruction
        cells[place] = Cell(to_numpy(images), picked[place].metrics[ERROR])
        block = [other.config.noise for (_, where), other in models.items() if where == place[1]]
        if corrupted is not x and all(other == trained.config.noise for other in block):
            above["corrupted"][place[1]] = to_numpy(corrupted)
    linear = linear_cells(data, x, models, {place: row.metrics.get(FLOOR) for place, row in picked.items()})
    across, *second = table.shown
    names = {value: f"{second[0]} = {value}" if second else "" for value in blocks}
    if not linear.by_row:
        above[linear.label] = {block: cell.images for block, cell in linear.cells.items()}
    elif linear.cells:
        cells |= {(row, LINEAR): cell for row, cell in linear.cells.items()}
        names[LINEAR], above["original"] = linear.column, {**above["original"], LINEAR: original}
    left_out = [
        f"{len(table.values[axis]) - len(kept)} values of {axis} left out"
        for axis, kept in zip(table.shown, (downward, blocks), strict=False)
        if len(kept) < len(table.values[axis])
    ]
    fixed = held(table)
    which = [f"{axis} = {value} throughout" for axis, value in fixed.items()]
    which += [f"{axis}: the lowest" for axis in table.seeds if axis not in table.shown]
    which += [f"{axis}: of the best job of each row" for axis in table.further if axis not in fixed]
    title = (
        f"The first test images, reconstructed; right of them the MSE per value over the whole test set; {table.name}"
    )
    return draw(
        cells,
        above={name: row for name, row in above.items() if row},
        downward={value: f"{in_words(across)} {value}" for value in downward},
        blocks=names,
        value_range=data.range,
        title="; ".join([title, *which, *left_out]),
    )


def draw(
    cells: Mapping[Place, Cell],
    *,
    above: Mapping[str, Mapping[str, Array]],
    downward: Mapping[str, str],
    blocks: Mapping[str, str],
    value_range: tuple[float, float],
    title: str,
) -> Picture:
    """Blocks of images side by side.

    Args:
        cells: by row and, with several blocks, block; one that is missing leaves a gap.
        above: the rows on top by name, of each block images (n, C, H, W).
        downward: the rows below, value to label.
        blocks: the blocks, value to label.
        value_range: the values drawn black and white.
        title: above all.
    """
    count, _, height, width = next(iter(cells.values())).images.shape
    zoom = zoom_of(width)
    space = gap(width) * zoom
    wide, high = (count * (width + gap(width)) - gap(width)) * zoom, height * zoom
    left = 24 + 7.4 * max(map(len, [*downward.values(), *above]))
    head, number = 22 * any(blocks.values()), 74  # room for the labels above, and for an error
    block, step = wide + number, high + space
    total = len(above) + len(downward)
    picture = Picture(width=left + len(blocks) * block, height=head + total * step + 16, title=title)
    for line, label in enumerate([*above, *downward.values()]):
        picture.text(left - 10, head + line * step + 8 * (line >= len(above)) + high / 2, label, ha="right", size=10)
    for place, (value, label) in enumerate(blocks.items()):
        x = left + place * block
        picture.text(x + wide / 2, head / 2 - 2, label, ha="center", size=11)
        picture.text(x + wide + 6, head + high / 2, "MSE", size=10)
        for line, shown in enumerate(above.values()):
            if value in shown:
                y = head + line * step
                picture.mosaic(x, y, shown[value], columns=count, value_range=value_range, zoom=zoom)
        for line, row in enumerate(downward, start=len(above)):
            y = head + line * step + 8
            cell = cells.get((row, value))
            if cell is None:
                picture.text(x + wide / 2, y + high / 2, "no finished job", ha="center", size=10)
                continue
            picture.mosaic(x, y, cell.images, columns=count, value_range=value_range, zoom=zoom)
            if cell.error is not None:
                picture.text(x + wide + 6, y + high / 2, digits(cell.error), size=10)
    return picture


def _some(values: Sequence[str], most: int) -> list[str]:
    """At most so many values, evenly, with the first and the last."""
    if len(values) <= most:
        return list(values)
    places: Any = np.linspace(0, len(values) - 1, most).round().astype(int)
    return [values[place] for place in places]
