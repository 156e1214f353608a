"""Samples beside their reconstructions."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from hourglass.figures.canvas import check_channels, class_name, to_numpy
from hourglass.figures.chart import Chart, limits, ticks
from hourglass.figures.grid import labels_of, nearest_square, zoom_of
from hourglass.figures.picture import Array, Picture, gap

_CELL = 84  # pixels across an image: 3 for each of 28
_PANELS = 12
_WORST = 10
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
    value_range: tuple[float, float],
    caption: str,
    names: Sequence[str] | None = None,
) -> Picture:
    """The worst reconstruction of each class: the original over the output, the MSE below; of rows the profiles.

    Args:
        x: (n, 1, H, W), (n, 3, H, W) or (n, D).
        reconstruction: like `x`. An MSE that is NaN is the worst of all.
        y: (n,) classes, of which the first ten are drawn; None: the worst ten of all samples, worst first.
        value_range: the values drawn black and white.
        caption: the title: which samples of which set.
        names: of the classes, by number; None: their numbers.

    Raises:
        ValueError: shapes that don't fit together or can't be drawn.
    """
    _check_samples(x, None, reconstruction)
    if y is not None and len(y) != len(x):
        raise ValueError(f"y must hold one class per sample, {len(x)}, got {len(y)}")
    mse = to_numpy((x - reconstruction).square().flatten(1).mean(1))
    chosen = np.argsort(-np.nan_to_num(mse, nan=np.inf), kind="stable")
    if y is None:
        chosen, labels = chosen[:_WORST], None
    else:
        classes, first = np.unique(to_numpy(y).astype(int)[chosen], return_index=True)
        chosen = chosen[first[:_WORST]]
        labels = [f"class {c}" if names is None else class_name(int(c), names) for c in classes[:_WORST]]
    if x.ndim == 2:
        return reconstructions(
            x[chosen], None, reconstruction[chosen], labels=labels, value_range=value_range, caption=caption
        )
    return _pairs(
        to_numpy(x[chosen]),
        to_numpy(reconstruction[chosen]),
        labels=labels,
        mse=labels_of(mse[chosen]),
        value_range=value_range,
        caption=caption,
    )


def _pairs(
    x: Array,
    output: Array,
    *,
    labels: Sequence[str] | None,
    mse: Sequence[str],
    value_range: tuple[float, float],
    caption: str,
) -> Picture:
    """Every original over its output, folded to the most nearly square, in letters that can be read when small."""
    count, _, height, width = x.shape
    zoom = zoom_of(width, cell=_CELL)
    wide, high, size, line = width * zoom, height * zoom, 12.0, 20
    longest = max((len(label) for label in labels or ()), default=0)
    pitch, head = max((width + gap(width)) * zoom, 10 * longest), line * (labels is not None)
    block = head + 2 * (high + 4) + line + 8
    columns = nearest_square(count, lambda each: (each * pitch, math.ceil(count / each) * block))
    picture = Picture(width=columns * pitch + 16, height=math.ceil(count / columns) * block, title=caption)
    left = (picture.image.width - columns * pitch) / 2  # a picture may be wider than what it shows
    for sample in range(count):
        centre, top = left + (sample % columns + 0.5) * pitch, sample // columns * block
        for images, y in ((x, top + head), (output, top + head + high + 4)):
            picture.mosaic(centre - wide / 2, y, images[sample, None], columns=1, value_range=value_range, zoom=zoom)
        if labels is not None:
            picture.text(centre, top + head / 2, labels[sample], ha="center", size=size)
        picture.text(centre, top + head + 2 * (high + 4), mse[sample], ha="center", va="top", size=size)
    return picture


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
