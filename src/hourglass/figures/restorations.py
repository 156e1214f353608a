"""Several restorations of the same samples, one row each."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from hourglass.figures.canvas import to_numpy
from hourglass.figures.grid import sample_grid
from hourglass.figures.picture import Picture


def restorations(
    rows: Mapping[str, Tensor], *, psnr: Mapping[str, float], value_range: tuple[float, float], caption: str
) -> Picture:
    """Rows of the same samples: original, corrupted, and what each method made of them.

    Args:
        rows: by name, each (n, 1, H, W), (n, 3, H, W) or (n, D).
        psnr: in dB by name, written below the names it has.
        value_range: the values of images that are drawn black and white; the colours of a table span what is drawn.
        caption: the title.

    Raises:
        ValueError: no rows, or rows of different shapes.
    """
    shapes = {tuple(row.shape) for row in rows.values()}
    if len(shapes) != 1:
        raise ValueError(f"rows must be samples of one shape, got {sorted(shapes)}")
    labels = [name.replace("_", " ") + (f"\n{psnr[name]:.2f} dB" if name in psnr else "") for name in rows]
    cells = np.stack([to_numpy(row) for row in rows.values()])
    if cells.ndim == 3:  # a table: its labels stand above its lines, and a single outlier may make its whole range
        labels = [label.replace("\n", ", ") for label in labels]
        value_range = (float(np.nanmin(cells)), float(np.nanmax(cells)))
    return sample_grid(cells, title=caption, value_range=value_range, rows=labels)
