"""What the first layer looks at."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from hourglass.figures.canvas import check_channels, to_numpy
from hourglass.figures.chart import Chart, ticks
from hourglass.figures.grid import zoom_of
from hourglass.figures.picture import Panel, Picture, gap

_FILTERS = 100
_SIDE = 560  # pixels across, about


def filters(weights: Tensor, shape: Sequence[int]) -> Picture:
    """First-layer weights, at most the first 100 units.

    Args:
        weights: (n, D) of a dense layer, one row per unit, or kernels (n, C, h, w) of a convolution.
        shape: of the sample a dense layer sees. (1, H, W) and kernels of one channel are drawn on a diverging scale,
            white at zero; (3, H, W) in colour, mid-grey at zero; (D,) as one matrix of units by features.

    Raises:
        ValueError: weights that don't fit `shape`, or neither 1 nor 3 channels.
    """
    drawn = to_numpy(weights[:_FILTERS])
    if drawn.ndim == 2:
        if drawn.shape[1] != math.prod(shape):
            raise ValueError(f"weights must have {math.prod(shape)} columns for {tuple(shape)}, got {drawn.shape[1]}")
        drawn = drawn.reshape(-1, *shape)
    finite = np.abs(drawn[np.isfinite(drawn)])
    limit = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    of = f"{len(drawn)} of {len(weights)}" if len(drawn) < len(weights) else f"{len(drawn)}"
    title = f"First-layer weights of {of} units" if weights.ndim == 2 else f"First-layer kernels of {of} channels"
    cmap, limits = "RdBu_r", (-limit, limit)
    if drawn.ndim == 2:
        wide, high = _SIDE, min(_SIDE, 24 * len(drawn))
        picture = Picture(width=wide + 150, height=high + 54, title=title)
        features, units = (0.5, drawn.shape[1] + 0.5), (len(drawn) + 0.5, 0.5)  # the first unit on top
        Chart(
            picture,
            (70, 6, wide, high),
            x=features,
            y=units,
            x_ticks=ticks(*features, whole=True),
            y_ticks=ticks(*units[::-1], whole=True),
            names=("feature", "unit"),
        )
        panel = Panel(drawn, limits, cmap, picture.top + 6)
        picture.show(panel, 70, wide, high)
        picture.bar(panel, wide + 86, 10, high - 8, label="weight")
        return picture
    check_channels("weights", drawn.shape)
    count, channels, height, width = drawn.shape
    columns = math.ceil(math.sqrt(count * height / width))
    if channels == 3:
        title += f": mid-grey is 0, black {-limit:.2g}, white {limit:+.2g} in each colour"
    across = columns * (width + gap(width)) - gap(width)
    zoom = zoom_of(across, cell=_SIDE)
    wide, high = across * zoom, (math.ceil(count / columns) * (height + gap(width)) - gap(width)) * zoom
    picture = Picture(width=wide + 90, height=high + 8, title=title)
    panel = picture.mosaic(8, 0, drawn, columns=columns, value_range=limits, zoom=zoom, cmap=cmap, between="#BBBBBB")
    if channels == 1:
        picture.bar(panel, wide + 24, 8, high - 16, label="weight")
    return picture
