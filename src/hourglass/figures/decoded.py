"""What the decoder makes of codes that no input gave: draws, single units turned, lines and planes of the code."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hourglass.figures.canvas import check_channels, to_numpy
from hourglass.figures.chart import Chart
from hourglass.figures.grid import labels_of, sample_grid, zoom_of
from hourglass.figures.picture import Array, Picture, gap

_STILL = 0.01  # share of the data's range that a unit which changes nothing stays below


def samples(images: Tensor, *, value_range: tuple[float, float], caption: str) -> Picture:
    """Decoded draws from the prior of the code, in rows of eight; of a table, one row each.

    Args:
        images: (n, 1, H, W), (n, 3, H, W) or (n, D), n at least 1.
        value_range: the values drawn black and white, or the ends of the colour scale.
        caption: the title.

    Raises:
        ValueError: no images, another shape, or neither 1 nor 3 channels.
    """
    if images.ndim not in (2, 4) or not len(images):
        raise ValueError(f"images must be (n, C, H, W) or (n, D) with n at least 1, got {tuple(images.shape)}")
    drawn = to_numpy(images)
    across = 8 if images.ndim == 4 else len(drawn)
    missing = np.full((-len(drawn) % across, *drawn.shape[1:]), np.nan)
    cells = np.concatenate([drawn, missing]).reshape(-1, across, *drawn.shape[1:])
    return sample_grid(cells, title=caption, value_range=value_range, rows=[""] * len(cells))


def traversal(
    images: Tensor, values: Tensor, *, units: Sequence[int], value_range: tuple[float, float], caption: str
) -> Picture:
    """One row for each code unit: what is decoded while that unit alone goes from its lowest value to its highest.

    Of images the two ends and the middle are drawn, and, right of them, what the ends add to the middle and take away
    from it, on one diverging scale for all units: a unit that changes nothing is blank there, and called `still`. Rows
    of a table are drawn as their difference to the middle alone.

    Args:
        images: (units, steps, *shape), samples being images of 1 or 3 channels or rows of a table; steps odd.
        values: (units, steps), the unit's values.
        units: their numbers in the code, from 0; drawn from 1.
        value_range: the values drawn black and white, whose width a change is compared with.
        caption: the title: what range the values span, and what the other units were held at.

    Raises:
        ValueError: values or units that don't fit the images, or samples that can't be drawn.
    """
    if values.shape != images.shape[:2] or len(units) != len(images):
        raise ValueError(
            f"values and units must fit the images' {tuple(images.shape[:2])} units and steps,"
            f" got {tuple(values.shape)} and {len(units)}"
        )
    drawn, labels = to_numpy(images), [labels_of(row) for row in to_numpy(values)]
    middle = drawn.shape[1] // 2
    change = drawn - drawn[:, middle : middle + 1]
    most = np.abs(np.nan_to_num(change)).reshape(len(drawn), -1).max(1)
    low, high = value_range
    names = [
        f"unit {unit + 1}" + ("\nstill" if largest < _STILL * (high - low) else "")
        for unit, largest in zip(units, most, strict=True)
    ]
    limit = float(most.max()) or 1.0
    if drawn.ndim == 3:
        rows = [name.replace("\n", ", ") for name in names]
        return sample_grid(
            change,
            title=f"{caption}; less what the middle value gives",
            value_range=(-limit, limit),
            rows=rows,
            below=labels,
            cmap="RdBu_r",
        )
    if drawn.ndim != 5:
        raise ValueError(f"samples must be images (C, H, W) or rows (D,), got shape {drawn.shape[2:]}")
    check_channels("samples", drawn.shape[1:])
    return _changes(
        drawn[:, [0, middle, -1]], change[:, [0, -1]].mean(2, keepdims=True), labels, names, value_range, caption
    )


def _changes(
    shown: Array,
    change: Array,
    labels: Sequence[Sequence[str]],
    names: Sequence[str],
    value_range: tuple[float, float],
    caption: str,
) -> Picture:
    """Images (units, 3, C, H, W) at the two ends and the middle, and the changes (units, 2, 1, H, W) of the ends."""
    height, width = shown.shape[3:]
    zoom = zoom_of(width)
    finite = np.abs(change[np.isfinite(change)])
    limit = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    pitch, step, left, head = (width + gap(width)) * zoom, height * zoom + 20, 76, 20
    apart = left + 3 * pitch + 24
    picture = Picture(width=apart + 2 * pitch + 70, height=head + len(shown) * step, title=caption)
    for x, text in ((left + 1.5 * pitch, "decoded"), (apart + pitch, "less the middle")):
        picture.text(x - 4, head / 2 - 2, text, ha="center")
    for row, name in enumerate(names):
        y = head + row * step
        picture.text(left - 8, y + height * zoom / 2, name, ha="right")
        picture.mosaic(left, y, shown[row], columns=3, value_range=value_range, zoom=zoom)
        panel = picture.mosaic(
            apart, y, change[row], columns=2, value_range=(-limit, limit), zoom=zoom, cmap="RdBu_r", between="#BBBBBB"
        )
        ends = (labels[row][0], labels[row][len(labels[row]) // 2], labels[row][-1])
        places = [left + place * pitch for place in range(3)] + [apart, apart + pitch]
        for x, text in zip(places, (*ends, ends[0], ends[2]), strict=True):
            picture.text(x + width * zoom / 2, y + height * zoom + 1, text, ha="center", va="top", size=9.5)
    if len(shown):
        picture.bar(panel, apart + 2 * pitch + 4, head, len(shown) * step - 20)
    return picture


def interpolation(first: Tensor, decoded: Tensor, last: Tensor, *, value_range: tuple[float, float]) -> Picture:
    """Rows of decoded codes on the line between the codes of two inputs, the inputs themselves at both ends.

        (1 - t) f(a) + t f(b),  t = 0 .. 1

    Args:
        first: (n, *shape), the inputs a.
        decoded: (n, steps, *shape) at evenly spaced t, steps at least 2.
        last: (n, *shape), the inputs b.
        value_range: the values drawn black and white, or the ends of the colour scale.

    Raises:
        ValueError: tensors that don't fit together, or samples that can't be drawn.
    """
    steps = decoded.shape[1] if decoded.ndim > 1 else 0
    if first.shape != last.shape or decoded.shape != (len(first), steps, *first.shape[1:]) or steps < 2:
        raise ValueError(
            f"decoded must hold at least 2 steps between inputs of shape {tuple(first.shape)} and"
            f" {tuple(last.shape)}, got {tuple(decoded.shape)}"
        )
    cells = torch.cat([first[:, None], decoded, last[:, None]], dim=1)
    return sample_grid(
        to_numpy(cells),
        title="Decoded codes on the line between those of two test samples, (1 - t) f(a) + t f(b)",
        value_range=value_range,
        rows=[""] * len(cells),
        columns=["a", *(f"t={t:.2g}" for t in np.linspace(0, 1, steps)), "b"],
    )


def manifold(
    images: Tensor, horizontal: Tensor, vertical: Tensor, *, value_range: tuple[float, float], caption: str
) -> Picture:
    """The plane of a 2-D code, decoded on a grid: unit 1 grows to the right, unit 2 upwards.

    Reference: Auto-encoding variational Bayes (Kingma & Welling, 2014), figure 4.

    Args:
        images: (rows, columns, 1, H, W) or (rows, columns, 3, H, W); the first row has the lowest value of unit 2.
        horizontal: (columns,) values of unit 1.
        vertical: (rows,) values of unit 2.
        value_range: the values drawn black and white.
        caption: the title: how the values were chosen.

    Raises:
        ValueError: rows of a table, which fill no plane; values that don't fit; neither 1 nor 3 channels.
    """
    if images.ndim != 5:
        raise ValueError(f"a manifold needs images (rows, columns, C, H, W), got {tuple(images.shape)}")
    if images.shape[:2] != (len(vertical), len(horizontal)):
        raise ValueError(
            f"images must be a grid of {len(vertical)} rows and {len(horizontal)} columns,"
            f" got {tuple(images.shape[:2])}"
        )
    check_channels("images", images.shape[1:])
    rows, columns, _, height, width = images.shape
    zoom = max(1, round(450 / (columns * width)))
    wide, high = columns * width * zoom, rows * height * zoom
    picture = Picture(width=wide + 106, height=high + 62, title=caption)
    across, upwards = _labelled(to_numpy(horizontal)), _labelled(to_numpy(vertical))
    frame = (86, 4, wide, high)
    Chart(picture, frame, x=(0, columns), y=(0, rows), x_ticks=across, y_ticks=upwards, names=("unit 1", "unit 2"))
    drawn = to_numpy(images.flip(0).flatten(0, 1))
    picture.mosaic(86, 4, drawn, columns=columns, value_range=value_range, zoom=zoom, space=0)
    return picture


def _labelled(values: Array) -> list[tuple[float, str]]:
    """The middles of about five of the images along an axis, the first and the last among them, and their values."""
    labels = labels_of(values)
    places = np.unique(np.linspace(0, len(values) - 1, 5).round().astype(int))
    return [(place + 0.5, labels[place]) for place in places]
