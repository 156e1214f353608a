"""What the first layer looks at."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from hourglass.figures.canvas import check_channels, to_numpy
from hourglass.figures.chart import Chart, ticks
from hourglass.figures.grid import zoom_of
from hourglass.figures.picture import Panel, Picture

_FILTERS, _ROWS = 36, 24  # units of images, and of a table
_COLUMNS = 6
_SIDE = 400  # pixels across, about


def filters(weights: Tensor, shape: Sequence[int]) -> Picture:
    """First-layer weights of the units of largest norm, with their numbers.

    Args:
        weights: (n, D) of a dense layer, one row per unit, or kernels (n, C, h, w) of a convolution; 36 are drawn at
            most, of a table 24.
        shape: of the sample a dense layer sees. (1, H, W) and kernels of one channel are drawn on a diverging scale,
            white at zero; (3, H, W) in colour, mid-grey at zero; (D,) as one matrix of units by features.

    Raises:
        ValueError: weights that don't fit `shape`, or neither 1 nor 3 channels.
    """
    drawn = to_numpy(weights)
    if drawn.ndim == 2:
        if drawn.shape[1] != math.prod(shape):
            raise ValueError(f"weights must have {math.prod(shape)} columns for {tuple(shape)}, got {drawn.shape[1]}")
        drawn = drawn.reshape(-1, *shape)
    norms = np.linalg.norm(np.nan_to_num(drawn.reshape(len(drawn), -1)), axis=1)
    order = np.argsort(-norms, kind="stable")[: _FILTERS if drawn.ndim == 4 else _ROWS]
    drawn = drawn[order]
    finite = np.abs(drawn[np.isfinite(drawn)])
    limit = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    of = f"{len(drawn)} of {len(weights)}" if len(drawn) < len(weights) else f"{len(drawn)}"
    title = f"First-layer weights of {of} units" if weights.ndim == 2 else f"First-layer kernels of {of} channels"
    title += f" by their numbers, largest norm first: {norms[order[0]]:.2g} to {norms[order[-1]]:.2g}"
    cmap, limits, names = "RdBu_r", (-limit, limit), [str(number + 1) for number in order]
    if drawn.ndim == 2:
        wide, high = _SIDE, max(110, 18 * len(drawn))
        picture = Picture(width=wide + 150, height=high + 60, title=title)
        features = (0.5, drawn.shape[1] + 0.5)
        Chart(
            picture,
            (70, 6, wide, high),
            x=features,
            y=(len(drawn) + 0.5, 0.5),  # the first unit on top
            x_ticks=ticks(*features, whole=True),
            y_ticks=list(enumerate(names, start=1)),
            names=("feature", "unit"),
        )
        panel = Panel(drawn, limits, cmap, picture.top + 6)
        picture.show(panel, 70, wide, high)
        picture.bar(panel, wide + 86, 10, high - 8, label="weight")
        return picture
    check_channels("weights", drawn.shape)
    count, channels, height, width = drawn.shape
    columns = min(count, _COLUMNS)
    if channels == 3:
        title += f"; mid-grey is 0, black {-limit:.2g}, white {limit:+.2g} in each colour"
    zoom = zoom_of(width, cell=_SIDE // _COLUMNS)
    across, down = width * zoom + 8, height * zoom + 20
    rows = math.ceil(count / columns)
    picture = Picture(width=8 + columns * across + 70, height=rows * down + 4, title=title)
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        panel = picture.mosaic(
            8 + column * across,
            row * down,
            drawn[place : place + 1],
            columns=1,
            value_range=limits,
            zoom=zoom,
            cmap=cmap,
        )
        picture.text(
            8 + column * across + width * zoom / 2, row * down + height * zoom + 1, name, ha="center", va="top"
        )
    if channels == 1:
        picture.bar(panel, 8 + columns * across + 8, 8, rows * down - 40, label="weight")
    return picture
