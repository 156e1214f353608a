"""What all figures share: colours, checks, and the way to a file."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from hourglass.figures.picture import Array, Picture, gap

__all__ = ["COLOURS", "DPI", "Array", "check_channels", "gap", "show_mosaic", "to_array", "to_numpy", "to_png"]

DPI = 100
# Ten colours that colour-blind readers can tell apart: the "muted" scheme of Paul Tol (2021), and black.
COLOURS = (
    *("#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE"),
    *("#882255", "#44AA99", "#999933", "#AA4499", "#000000"),
)


def to_png(figure: Figure | Picture, path: Path) -> None:
    """Writes the figure at its own size, 100 dots per inch."""
    Image.fromarray(to_array(figure)).save(path)


def to_array(figure: Figure | Picture) -> npt.NDArray[np.uint8]:
    """The figure as pixels (height, width, 3), what a tracker's `log_image` takes."""
    if isinstance(figure, Picture):
        return np.array(figure.image)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def show_mosaic(
    axes: Any,
    images: Array,
    *,
    columns: int,
    value_range: tuple[float, float],
    cmap: str = "gray",
    between: str = "#FFFFFF",
    space: int | None = None,
) -> Any:
    """Images (n, C, H, W) as one mosaic with the colour `between` around them and where a value is NaN.

    `space` image pixels lie between two of them; None: as many as `gap` says.

    C = 1 on a colour map over `value_range`, C = 3 as colours over `value_range`. Returns the drawn image.
    """
    low, high = value_range
    count, channels, height, width = images.shape
    space = gap(width) if space is None else space
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + space) - space, columns * (width + space) - space, 4), np.nan)
    for index, image in enumerate(images):
        top, left = index // columns * (height + space), index % columns * (width + space)
        canvas[top : top + height, left : left + width, :channels] = np.moveaxis(image, 0, -1)
    axes.set_axis_off()
    if channels == 1:
        colours = matplotlib.colormaps[cmap].with_extremes(bad=between)
        return axes.imshow(canvas[..., 0], cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    colour = ((canvas - low) / (high - low)).clip(0, 1)
    colour[..., 3] = np.isfinite(colour[..., :3]).all(-1)  # nothing is drawn where a value is NaN
    return axes.imshow(np.nan_to_num(colour), interpolation="nearest")


def check_channels(name: str, shape: Sequence[int]) -> None:
    """ValueError unless `shape` (n, C, H, W) has as many channels as a picture."""
    if shape[1] not in (1, 3):
        raise ValueError(f"{name} must have 1 or 3 channels to be drawn, got {shape[1]}")


def to_numpy(tensor: Tensor) -> Array:
    """The tensor's values in float64, from any device."""
    values: Array = tensor.detach().cpu().double().numpy()
    return values
