"""What all figures share: colours, checks, and the way to a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from hourglass.figures.picture import Array, Picture

if TYPE_CHECKING:  # a training draws without it
    from matplotlib.figure import Figure

DPI = 100
# Ten colours that colour-blind readers can tell apart: the "muted" scheme of Paul Tol (2021), and black.
COLOURS = (
    *("#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE"),
    *("#882255", "#44AA99", "#999933", "#AA4499", "#000000"),
)
# Ten that are told apart as points on white: the eight of Okabe & Ito (2008), for colour-blind readers too, and two.
CLASSES = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442"),
    *("#0072B2", "#D55E00", "#CC79A7", "#999999", "#7B3F00"),
)


def to_png(figure: "Figure | Picture", path: Path) -> None:
    """Writes the figure at its own size, 100 dots per inch."""
    Image.fromarray(to_array(figure)).save(path)


def to_array(figure: "Figure | Picture") -> npt.NDArray[np.uint8]:
    """The figure as pixels (height, width, 3), what a tracker's `log_image` takes."""
    if isinstance(figure, Picture):
        return np.array(figure.image)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def check_channels(name: str, shape: Sequence[int]) -> None:
    """ValueError unless `shape` (n, C, H, W) has as many channels as a picture."""
    if shape[1] not in (1, 3):
        raise ValueError(f"{name} must have 1 or 3 channels to be drawn, got {shape[1]}")


def to_numpy(tensor: Tensor) -> Array:
    """The tensor's values in float64, from any device."""
    values: Array = tensor.detach().cpu().double().numpy()
    return values


def class_name(which: int, names: Sequence[str] | None) -> str:
    """What a class is called where there is little room: its name, cut to 16 letters, or its number."""
    if names is None or not 0 <= which < len(names):
        return str(which)
    return names[which] if len(names[which]) <= 16 else f"{names[which][:15]}…"
