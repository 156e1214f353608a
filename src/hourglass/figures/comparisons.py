"""Samples beside their reconstructions."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from hourglass.figures.canvas import check_channels, class_name, to_numpy
from hourglass.figures.chart import Chart, limits, ticks
from hourglass.figures.grid import labels_of, nearest_square, sample_grid, zoom_of
from hourglass.figures.picture import Array, Picture, gap

_CELL = 84  # pixels across an image: 3 for each of 28
_PANELS = 12
_LINES = 4  # of the worst samples without labels
_ORIGINAL, _CORRUPTED, _OUTPUT = "#000000", "#88CCEE", "#D55E00"


def reconstructions(
    x: Tensor,
    corrupted: Tensor | None,
    reconstruction: Tensor,
    *,
    labels: Sequence[str] | None = None,
    value_range: tuple[float, float],
    caption: str,
) -> Picture:
    """Samples, what the encoder saw of them and what the decoder made of it.

    Images become columns of rows "original", "corrupted", "output", "absolute error" (mean over colour channels, from
    0 to the width of the data's range in every picture, so that pictures compare) with the MSE below, folded to the
    most nearly square. Rows of a table become one panel each, the profile over the features; at most 12 are drawn, and
    the caption says so.

    Args:
        x: (n, 1, H, W), (n, 3, H, W) or (n, D), in the data's range.
        corrupted: like `x`; None, or equal to `x`, leaves its row out.
        reconstruction: like `x`.
        labels: one per sample, its class for example.
        value_range: the values drawn black and white; what lies outside is clipped in the picture, not in the MSE.
        caption: the title: which samples of which set, which model.

    Raises:
        ValueError: another number of channels or dimensions, tensors or labels that don't fit together.
    """
    _check_samples(x, corrupted, reconstruction)
    if labels is not None and len(labels) != len(x):
        raise ValueError(f"labels must hold one entry per sample, {len(x)}, got {len(labels)}")
    original, output = to_numpy(x), to_numpy(reconstruction)
    seen = None if corrupted is None or bool((corrupted == x).all()) else to_numpy(corrupted)
    mse = ((original - output) ** 2).reshape(len(x), -1).mean(1)
    if x.ndim == 2:
        return _profiles(original, seen, output, labels=labels, mse=mse, caption=caption)
    return _image_rows(original, seen, output, labels=labels, mse=mse, value_range=value_range, caption=caption)


def strip(x: Tensor, reconstruction: Tensor, *, value_range: tuple[float, float]) -> Picture:
    """The first ten images (1000 x 200 pixels): originals above, outputs below, nothing else."""
    _check_samples(x, None, reconstruction)
    if x.ndim != 4:
        raise ValueError(f"x must be images (n, C, H, W), got shape {tuple(x.shape)}")
    both = np.concatenate([to_numpy(x[:10]), to_numpy(reconstruction[:10])])
    columns, (height, width) = min(10, len(x)), x.shape[2:]
    wide, high = columns * (width + gap(width)) - gap(width), 2 * height + gap(width)
    scale = min(1000 / wide, 200 / high)
    zoom = math.floor(scale) or scale
    picture = Picture(width=1000, height=188, title="")
    left, top = (1000 - wide * zoom) / 2, (200 - high * zoom) / 2 - picture.top
    picture.mosaic(left, top, both, columns=columns, value_range=value_range, zoom=zoom)
    return picture


def worst(
    x: Tensor,
    reconstruction: Tensor,
    y: Tensor | None,
    *,
    count: int,
    value_range: tuple[float, float],
    caption: str,
    names: Sequence[str] | None = None,
) -> Picture:
    """The worst reconstructions of each class, worst first: the original over the output, the MSE below.

    Args:
        x: (n, 1, H, W), (n, 3, H, W) or (n, D).
        reconstruction: like `x`. An MSE that is NaN is the worst of all.
        y: (n,) classes, of which the first twelve are drawn; None: the worst of all samples.
        count: samples of each class, at least 1; without labels, four rows of them.
        value_range: the values drawn black and white, or the ends of the colour scale.
        caption: the title: which samples of which set.
        names: of the classes, by number; None: their numbers.

    Raises:
        ValueError: shapes that don't fit together or can't be drawn, or a count below 1.
    """
    _check_samples(x, None, reconstruction)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if y is not None and len(y) != len(x):
        raise ValueError(f"y must hold one class per sample, {len(x)}, got {len(y)}")
    mse = to_numpy((x - reconstruction).square().flatten(1).mean(1))
    order = np.argsort(-np.nan_to_num(mse, nan=np.inf), kind="stable")
    if y is None:
        groups = [("", order[start : start + count]) for start in range(0, min(_LINES * count, len(x)), count)]
    else:
        classes = to_numpy(y).astype(int)[order]
        called = {c: f"class {c}" if names is None else class_name(int(c), names) for c in np.unique(classes)}
        groups = [(called[c], order[classes == c][:count]) for c in np.unique(classes)[:_PANELS]]

    images = x.ndim == 4
    # Original and output are one cell; nothing is drawn between them, nor where a class has too few samples.
    height = 2 * x.shape[2] + gap(x.shape[3]) if images else 2
    shape = (x.shape[1], height, x.shape[3]) if images else (2, x.shape[1])
    cells = np.full((len(groups), count, *shape), np.nan)
    below = [[""] * count for _ in groups]
    for row, (_, chosen) in enumerate(groups):
        below[row][: len(chosen)] = labels_of(mse[chosen])
        for place, sample in enumerate(chosen):
            pair = cells[row, place]
            if images:
                pair[:, : x.shape[2]], pair[:, -x.shape[2] :] = to_numpy(x[sample]), to_numpy(reconstruction[sample])
            else:
                pair[0], pair[1] = to_numpy(x[sample]), to_numpy(reconstruction[sample])
    if not images:
        cells = cells.reshape(len(groups), 2 * count, -1)
        below = [[text for mse_text in line for text in ("original", f"MSE {mse_text}")] for line in below]
    return sample_grid(cells, title=caption, value_range=value_range, rows=[name for name, _ in groups], below=below)


def _image_rows(
    x: Array,
    corrupted: Array | None,
    output: Array,
    *,
    labels: Sequence[str] | None,
    mse: Array,
    value_range: tuple[float, float],
    caption: str,
) -> Picture:
    """Everything is placed in pixels, so that image pixels keep whole sizes."""
    error = np.abs(x - output).mean(1, keepdims=True)
    limit = value_range[1] - value_range[0]
    rows = [("original", x), ("corrupted", corrupted), ("output", output), ("absolute\nerror", error)]
    drawn = [(name, images) for name, images in rows if images is not None]

    count, _, height, width = x.shape
    zoom = zoom_of(width, cell=_CELL)
    pitch, high, space, left, right = (width + gap(width)) * zoom, height * zoom, 8, 92, 64
    top = 2 + 22 * (labels is not None)
    foot = top + len(drawn) * (high + space) + 2
    block = foot + 28
    columns = nearest_square(count, lambda each: (left + each * pitch + right, math.ceil(count / each) * block))
    picture = Picture(width=left + columns * pitch + right, height=math.ceil(count / columns) * block, title=caption)
    for begin in range(0, count, columns):
        some, above = slice(begin, min(begin + columns, count)), begin // columns * block
        here = some.stop - begin
        for row, (name, images) in enumerate(drawn):
            y, is_error = above + top + row * (high + space), images is error
            panel = picture.mosaic(
                left,
                y,
                images[some],
                columns=here,
                value_range=(0, limit) if is_error else value_range,
                zoom=zoom,
                cmap="magma" if is_error else "gray",
            )
            picture.text(left - 8, y + high / 2, name, ha="right")
            if is_error:
                picture.bar(panel, left + here * pitch + 4, y, high)
        picture.text(left - 8, above + foot, "MSE", ha="right", va="top")
        for place, sample in enumerate(range(begin, some.stop)):
            centre = left + place * pitch + width * zoom / 2
            picture.text(centre, above + foot, f"{mse[sample]:.3g}", ha="center", va="top")
            if labels is not None:
                picture.text(centre, above + top - 12, labels[sample], ha="center")
    return picture


def _profiles(
    x: Array,
    corrupted: Array | None,
    output: Array,
    *,
    labels: Sequence[str] | None,
    mse: Array,
    caption: str,
) -> Picture:
    count = min(len(x), _PANELS)
    if count < len(x):
        caption += f" (the first {count} of {len(x)})"
    columns = 1 if count <= 4 else 2
    rows = math.ceil(count / columns)
    features = np.arange(1, x.shape[1] + 1)
    lines = [
        ("original", x, _ORIGINAL, 1.5),
        ("corrupted", corrupted, _CORRUPTED, 1.0),
        ("output", output, _OUTPUT, 1.0),
    ]
    shown = [(name, values[:count], colour, 1.4 * width) for name, values, colour, width in lines if values is not None]
    across, down = (0.5, len(features) + 0.5), limits(np.concatenate([values for _, values, _, _ in shown]))
    wide, high, left, step = 400, 100, 88, 136
    picture = Picture(width=left + columns * (wide + 24), height=rows * step + 74, title=caption)
    for index in range(count):
        row, column = divmod(index, columns)
        box = (left + column * (wide + 24), 24 + row * step, wide, high)
        named = ticks(*across, whole=True) if index + columns >= count else ()  # at the foot, and at the left
        chart = Chart(picture, box, x=across, y=down, x_ticks=named, y_ticks=None if column == 0 else ())
        for _, values, colour, width in shown:
            chart.line(features, values[index], colour, width=width, marked=len(features) <= 40)
        label = f"{labels[index]}, " if labels is not None else ""
        picture.text(box[0] + wide / 2, box[1] - 10, f"{label}MSE {mse[index]:.3g}", ha="center", size=10)
    foot = rows * step + 54
    picture.text(left + (columns * (wide + 24) - 24) / 2, foot - 20, "feature", ha="center", size=10)
    picture.upright(16, 24 + (rows * step - 36) / 2, "value", size=10)
    for place, (name, _, colour, _) in enumerate(shown):
        start = left + place * 120
        picture.draw.line((start, picture.top + foot, start + 24, picture.top + foot), colour, 3)
        picture.text(start + 32, foot, name, size=10)
    return picture


def _check_samples(x: Tensor, corrupted: Tensor | None, reconstruction: Tensor) -> None:
    if x.ndim not in (2, 4) or not len(x):
        raise ValueError(f"x must be images (n, C, H, W) or rows (n, D) with n at least 1, got {tuple(x.shape)}")
    if x.ndim == 4:
        check_channels("x", x.shape)
    for name, other in (("corrupted", corrupted), ("reconstruction", reconstruction)):
        if other is not None and other.shape != x.shape:
            raise ValueError(f"{name} must have the shape of x, {tuple(x.shape)}, got {tuple(other.shape)}")
