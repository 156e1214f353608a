"""What the first layer looks at."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from hourglass.figures.canvas import DPI, check_channels, show_mosaic, to_numpy

_FILTERS = 100


def filters(weights: Tensor, shape: Sequence[int]) -> Figure:
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

    figure = Figure(figsize=(8, 7), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    if drawn.ndim == 2:
        extent = (0.5, drawn.shape[1] + 0.5, len(drawn) + 0.5, 0.5)
        image = axes.imshow(
            drawn, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest", extent=extent
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("feature", fontsize=11)
        axes.set_ylabel("unit", fontsize=11)
    else:
        check_channels("weights", drawn.shape)
        columns = math.ceil(math.sqrt(len(drawn) * drawn.shape[-2] / drawn.shape[-1]))
        image = show_mosaic(axes, drawn, columns=columns, value_range=(-limit, limit), cmap="RdBu_r", between="#BBBBBB")
        if drawn.shape[1] == 3:
            title += f": mid-grey is 0, black {-limit:.2g}, white {limit:+.2g} in each colour"
    if drawn.ndim == 2 or drawn.shape[1] == 1:
        figure.colorbar(image, ax=axes, shrink=0.8).set_label("weight", fontsize=11)
    axes.set_title(textwrap.fill(title, 80), fontsize=11, loc="left")
    return figure
