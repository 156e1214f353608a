"""Samples beside their reconstructions."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from hourglass.figures.canvas import DPI, Array, check_channels, gap, show_mosaic, to_numpy
from hourglass.figures.grid import labels_of, sample_grid

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
) -> Figure:
    """Samples, what the encoder saw of them and what the decoder made of it.

    Images become columns of rows "original", "corrupted", "output", "absolute error" (mean over colour channels;
    one scale for the whole row, up to its maximum) with the MSE below. Rows of a table become one panel each, the
    profile over the features; at most 12 are drawn, and the caption says so.

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


def strip(x: Tensor, reconstruction: Tensor, *, value_range: tuple[float, float]) -> Figure:
    """The first ten images (1000 x 200 pixels): originals above, outputs below, nothing else."""
    _check_samples(x, None, reconstruction)
    if x.ndim != 4:
        raise ValueError(f"x must be images (n, C, H, W), got shape {tuple(x.shape)}")
    figure = Figure(figsize=(10, 2), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    both = np.concatenate([to_numpy(x[:10]), to_numpy(reconstruction[:10])])
    show_mosaic(axes, both, columns=min(10, len(x)), value_range=value_range)
    return figure


def worst(
    x: Tensor,
    reconstruction: Tensor,
    y: Tensor | None,
    *,
    count: int,
    value_range: tuple[float, float],
    caption: str,
) -> Figure:
    """The worst reconstructions of each class, worst first: the original over the output, the MSE below.

    Args:
        x: (n, 1, H, W), (n, 3, H, W) or (n, D).
        reconstruction: like `x`. An MSE that is NaN is the worst of all.
        y: (n,) classes, of which the first twelve are drawn; None: the worst of all samples.
        count: samples of each class, at least 1; without labels, four rows of them.
        value_range: the values drawn black and white, or the ends of the colour scale.
        caption: the title: which samples of which set.

    Raises:
        ValueError: shapes that don't fit together or can't be drawn, or a count below 1.
    """
    _check_samples(x, None, reconstruction)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if y is not None and len(y) != len(x):
        raise ValueError(f"y must hold one class per sample, {len(x)}, got {len(y)}")
    original, output = to_numpy(x), to_numpy(reconstruction)
    mse = ((original - output) ** 2).reshape(len(x), -1).mean(1)
    order = np.argsort(-np.nan_to_num(mse, nan=np.inf), kind="stable")
    if y is None:
        groups = [("", order[start : start + count]) for start in range(0, min(_LINES * count, len(x)), count)]
    else:
        classes = to_numpy(y).astype(int)[order]
        groups = [(f"class {c}", order[classes == c][:count]) for c in np.unique(classes)[:_PANELS]]

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
                pair[:, : x.shape[2]], pair[:, -x.shape[2] :] = original[sample], output[sample]
            else:
                pair[0], pair[1] = original[sample], output[sample]
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
) -> Figure:
    """Everything is placed in pixels, so that image pixels keep whole sizes."""
    error = np.abs(x - output).mean(1, keepdims=True)
    finite = error[np.isfinite(error)]
    limit = float(finite.max()) if finite.size and finite.max() > 0 else value_range[1] - value_range[0]
    rows = [("original", x), ("corrupted", corrupted), ("output", output), ("absolute\nerror", error)]
    drawn = [(name, images) for name, images in rows if images is not None]

    count, _, height, width = x.shape
    zoom = max(1, round(_CELL / width)) if width <= 2 * _CELL else 2 * _CELL / width
    pitch = (width + gap(width)) * zoom
    wide, high = (count * pitch - gap(width) * zoom), height * zoom
    left, right, bottom, space = 88, 84, 30, 8
    title = textwrap.wrap(caption, max(30, int((left + wide + right) / 8.5)))
    top = 14 + 19 * len(title) + 22 * (labels is not None)
    total_w, total_h = left + wide + right, top + len(drawn) * (high + space) + bottom

    figure = Figure(figsize=(total_w / DPI, total_h / DPI), dpi=DPI)
    figure.text(10 / total_w, 1 - 8 / total_h, "\n".join(title), fontsize=10, va="top", linespacing=1.3)
    for row, (name, images) in enumerate(drawn):
        base = total_h - top - row * (high + space) - high
        axes = figure.add_axes((left / total_w, base / total_h, wide / total_w, high / total_h))
        is_error = images is error
        shown = show_mosaic(
            axes,
            images,
            columns=count,
            value_range=(0, limit) if is_error else value_range,
            cmap="magma" if is_error else "gray",
        )
        figure.text((left - 8) / total_w, (base + high / 2) / total_h, name, fontsize=10, ha="right", va="center")
        if is_error:
            bar = figure.add_axes(((left + wide + 10) / total_w, base / total_h, 10 / total_w, high / total_h))
            figure.colorbar(shown, cax=bar, ticks=[0, limit]).ax.tick_params(labelsize=9)
            bar.set_yticklabels(["0", f"{limit:.2g}"])
    for column in range(count):
        centre = (left + column * pitch + width * zoom / 2) / total_w
        figure.text(centre, (bottom - 2) / total_h, f"{mse[column]:.3g}", fontsize=9, ha="center", va="top")
        if labels is not None:
            figure.text(centre, 1 - (top - 4) / total_h, labels[column], fontsize=10, ha="center", va="bottom")
    figure.text((left - 8) / total_w, (bottom - 2) / total_h, "MSE", fontsize=9, ha="right", va="top")
    return figure


def _profiles(
    x: Array,
    corrupted: Array | None,
    output: Array,
    *,
    labels: Sequence[str] | None,
    mse: Array,
    caption: str,
) -> Figure:
    count = min(len(x), _PANELS)
    if count < len(x):
        caption += f" (the first {count} of {len(x)})"
    columns = 2 if count in (2, 4) else min(3, count)
    rows = math.ceil(count / columns)
    features = np.arange(1, x.shape[1] + 1)
    marker = {"marker": "o", "markersize": 3} if len(features) <= 40 else {}
    figure = Figure(figsize=(max(6, 4 * columns), 1.1 + 2 * rows), dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    for index, axes in enumerate(panels):
        if index >= count:
            axes.set_axis_off()
            continue
        axes.plot(features, x[index], color=_ORIGINAL, linewidth=1.5, label="original", **marker)
        if corrupted is not None:
            axes.plot(features, corrupted[index], color=_CORRUPTED, linewidth=1, label="corrupted", **marker)
        axes.plot(features, output[index], color=_OUTPUT, linewidth=1, label="output", **marker)
        label = f"{labels[index]}, " if labels is not None else ""
        axes.set_title(f"{label}MSE {mse[index]:.3g}", fontsize=10)
        axes.set_xlim(0.5, len(features) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supxlabel("feature", fontsize=10)
    figure.supylabel("value", fontsize=10)
    title = textwrap.fill(caption, int(12 * figure.get_figwidth()))
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", ncols=3, fontsize=10, frameon=False)
    return figure


def _check_samples(x: Tensor, corrupted: Tensor | None, reconstruction: Tensor) -> None:
    if x.ndim not in (2, 4) or not len(x):
        raise ValueError(f"x must be images (n, C, H, W) or rows (n, D) with n at least 1, got {tuple(x.shape)}")
    if x.ndim == 4:
        check_channels("x", x.shape)
    for name, other in (("corrupted", corrupted), ("reconstruction", reconstruction)):
        if other is not None and other.shape != x.shape:
            raise ValueError(f"{name} must have the shape of x, {tuple(x.shape)}, got {tuple(other.shape)}")
