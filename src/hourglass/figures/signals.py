"""Signals as curves: one over its time, what was seen of it, and what became of it."""

import numpy as np
from torch import Tensor

from hourglass.figures.canvas import COLOURS, to_numpy
from hourglass.figures.chart import Chart, limits
from hourglass.figures.picture import Picture

_LINES = 10  # samples that are drawn
_CHANNELS = 3  # of each
_WIDE, _HIGH, _ROW, _COLUMN = 430, 96, 140, 510  # pixels of a frame, and from one to the next
_CORRUPTED, _OUTPUT = "#BBBBBB", COLOURS[0]


def signals(
    x: Tensor,
    corrupted: Tensor | None,
    output: Tensor | None,
    *,
    value_range: tuple[float, float],
    caption: str,
) -> Picture:
    """Signals (n, C, L): a line of frames for each of the first ten, a frame for each of the first three channels.

    Args:
        x: the originals, black.
        corrupted: what the encoder saw, grey; None: the originals.
        output: the reconstructions, red; None: the originals are all there is.
        value_range: what every frame spans at least; what leaves it widens the frames.
        caption: the title, before the legend.

    Raises:
        ValueError: other shapes.
    """
    for name, each in (("x", x), ("corrupted", corrupted), ("output", output)):
        if each is not None and (each.ndim != 3 or each.shape != x.shape):
            raise ValueError(f"{name} must be signals (n, C, L) like the others, got {tuple(each.shape)}")
    count, channels, length = min(_LINES, len(x)), min(_CHANNELS, x.shape[1]), x.shape[2]
    curves = [
        (to_numpy(each[:count, :channels]), colour, width)
        for each, colour, width in ((corrupted, _CORRUPTED, 1.0), (x, "#000000", 1.0), (output, _OUTPUT, 1.5))
        if each is not None
    ]
    told = ["original black", *(["corrupted grey"] if corrupted is not None else [])]
    told += ["output red, its MSE at the left"] if output is not None else []
    legend = "" if output is None and corrupted is None else ", ".join(told)
    title = ": ".join(part for part in (caption, legend) if part)
    picture = Picture(width=100 + _COLUMN * channels, height=_ROW * count + 20, title=title)
    span = limits(np.concatenate([np.array(value_range), *(values.ravel() for values, _, _ in curves)]))
    time = np.arange(length, dtype=float)
    for row in range(count):
        for channel in range(channels):
            name = f"channel {channel + 1}" if row == 0 and x.shape[1] > 1 else ""
            box = (110 + _COLUMN * channel, 12 + _ROW * row, _WIDE, _HIGH)
            chart = Chart(picture, box, x=limits(time, margin=0.0), y=span, names=(name, ""))
            for values, colour, width in curves:
                chart.line(time, values[row, channel], colour, width=width, marked=False)
        if output is not None:
            mse = float((x[row] - output[row]).square().mean())
            picture.text(6, 12 + _ROW * row + _HIGH / 2, f"{mse:.4g}")
    return picture
