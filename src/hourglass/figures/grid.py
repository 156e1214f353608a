"""Many small samples with labels: the layout that most pictures of decoded codes share.

Everything is placed in screen pixels, so that image pixels keep whole sizes and texts never meet.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from hourglass.figures.canvas import check_channels
from hourglass.figures.picture import Array, Panel, Picture, gap

_CELL = 56  # pixels across an image: 2 for each of 28
_LINE, _ROW = 17, 15  # pixels of a line of text, and of a row of a table
_CHARACTER = 8.4  # pixels of a character, generously


def sample_grid(
    cells: Array,
    *,
    title: str,
    value_range: tuple[float, float],
    rows: Sequence[str],
    columns: Sequence[str] = (),
    below: Sequence[Sequence[str]] = (),
    cmap: str = "viridis",
) -> Picture:
    """Samples (n, m, *shape) in n labelled rows of m.

    Images stand side by side. Of a table each labelled row is a small heat map: a line for each of its m samples,
    a column for each feature. What is NaN is left blank.

    Args:
        cells: (n, m, 1, H, W), (n, m, 3, H, W) or (n, m, D).
        title: above all.
        value_range: one colour scale for all.
        rows: n labels; empty strings leave no room.
        columns: m labels, or none.
        below: n lists of m labels, one for each sample, or none.
        cmap: the colours of a table.

    Raises:
        ValueError: another shape, or neither 1 nor 3 channels.
    """
    if cells.ndim not in (3, 5):
        raise ValueError(f"samples must be images (C, H, W) or rows (D,), got shape {cells.shape[2:]}")
    if cells.ndim == 5:
        return _images(cells, title=title, value_range=value_range, rows=rows, columns=columns, below=below)
    return _tables(cells, title=title, value_range=value_range, rows=rows, columns=columns, below=below, cmap=cmap)


def _images(
    cells: Array,
    *,
    title: str,
    value_range: tuple[float, float],
    rows: Sequence[str],
    columns: Sequence[str],
    below: Sequence[Sequence[str]],
) -> Picture:
    check_channels("samples", cells.shape[1:])
    n, m, _, height, width = cells.shape
    zoom = zoom_of(width)
    pitch, wide, high = (width + gap(width)) * zoom, (m * (width + gap(width)) - gap(width)) * zoom, height * zoom
    left, top = _room(rows), _LINE * bool(columns)
    step = high + (_LINE + 9 if below else gap(width) * zoom)
    blocks, per_block = _fold(n, step, left + wide + 10)
    picture = Picture(width=blocks * (left + wide + 10) + 6, height=top + per_block * step + 4, title=title)
    for row in range(n):
        x, y = left + row // per_block * (left + wide + 10), top + row % per_block * step
        picture.mosaic(x, y, cells[row], columns=m, value_range=value_range, zoom=zoom)
        picture.text(x - 8, y + high / 2, rows[row], ha="right")
        centres = x + np.arange(m) * pitch + width * zoom / 2
        if row % per_block == 0:
            for centre, label in zip(centres, columns, strict=bool(columns)):
                picture.text(centre, y - _LINE / 2, label, ha="center")
        for centre, label in zip(centres, below[row] if below else (), strict=bool(below)):
            picture.text(centre, y + high + 1, label, ha="center", va="top", size=12)
    return picture


def _tables(
    cells: Array,
    *,
    title: str,
    value_range: tuple[float, float],
    rows: Sequence[str],
    columns: Sequence[str],
    below: Sequence[Sequence[str]],
    cmap: str,
) -> Picture:
    n, m, features = cells.shape
    labels = below or [columns or [""] * m] * n
    left = _room([label for line in labels for label in line])
    wide, high = min(420, max(280, 14 * features)), m * _ROW
    step = high + 10 + _LINE * any(rows)
    blocks, per_block = _fold(n, step, left + wide + 12)
    picture = Picture(width=blocks * (left + wide + 12) + 70, height=per_block * step + 26, title=title)
    for row in range(n):
        x, y = left + row // per_block * (left + wide + 12), row % per_block * step + _LINE * any(rows)
        panel = Panel(cells[row], value_range, cmap, picture.top + y)
        picture.show(panel, x, wide, high)
        picture.text(x, y - _LINE / 2, rows[row])
        for line, label in enumerate(labels[row]):
            picture.text(x - 6, y + (line + 0.5) * _ROW, label, ha="right", size=9.5)
        if row % per_block == per_block - 1 or row == n - 1:
            picture.text(x, y + high + 2, f"feature 1 to {features}", va="top", size=9.5)
        if row == 0:
            picture.bar(panel, blocks * (left + wide + 12), y, min(high, 120))
    return picture


def labels_of(values: Array) -> list[str]:
    """Numbers (n,) with equally many decimals, such that the largest has three digits."""
    finite = np.abs(values[np.isfinite(values)])
    largest = finite.max() if finite.size and finite.max() > 0 else 1.0
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    return [f"{value:.{decimals}f}" for value in values.round(decimals) + 0.0]  # no minus before a zero


def zoom_of(width: int, *, cell: int = _CELL) -> float:
    """Screen pixels per image pixel, for about `cell` in all: a whole number, except for images too wide for one."""
    return max(1, round(cell / width)) if width <= 2 * cell else 2 * cell / width


def _room(labels: Sequence[str]) -> float:
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    return 8 + (8 + _CHARACTER * longest if longest else 0)


def _fold(rows: int, step: float, block: float) -> tuple[int, int]:
    """How many blocks stand side by side, and the rows of each: such that the whole is nearest to a square."""
    blocks = nearest_square(rows, lambda blocks: (blocks * block, math.ceil(rows / blocks) * step))
    return blocks, math.ceil(rows / blocks)


def nearest_square(most: int, size: Callable[[int], tuple[float, float]]) -> int:
    """The number from 1 to `most`, at least 1, whose width and height are most alike: so large a picture is shown."""

    def cost(number: int) -> float:
        empty = 1 - most / (number * math.ceil(most / number))  # share of the places that nothing stands in
        wide, high = size(number)
        return abs(math.log(wide / high)) + empty

    return min(range(1, most + 1), key=cost, default=1)
