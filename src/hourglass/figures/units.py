"""What single units respond to: the maps of convolutional stages, and the inputs that excite a code unit most."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hourglass.bottlenecks import Activity
from hourglass.figures.canvas import check_channels, to_numpy
from hourglass.figures.grid import labels_of, sample_grid, zoom_of
from hourglass.figures.picture import Picture

_CHANNELS = 8
_UNITS = 5  # so many can be read when the picture is shown small


def feature_maps(
    x: Tensor, maps: Mapping[str, Tensor], *, value_range: tuple[float, float], title: str | None = None
) -> Picture:
    """A few inputs, and what each stage of a convolutional encoder makes of them.

    One block for each stage, a row for each input, a column for each of the first 8 channels, one colour scale for the
    block: a diverging one around 0 where there are values on both sides.

    Args:
        x: (n, 1, H, W) or (n, 3, H, W).
        maps: activations (n, C, h, w) by the stage's name, in order.
        value_range: the input's values drawn black and white.
        title: of the picture; None: what it says of the stages of an encoder.

    Raises:
        ValueError: no images, no maps, or maps that don't fit the inputs.
    """
    if x.ndim != 4 or not len(x):
        raise ValueError(f"feature maps need images (n, C, H, W) with n at least 1, got shape {tuple(x.shape)}")
    if not maps:
        raise ValueError("feature maps need at least one stage, got none")
    check_channels("x", x.shape)
    for name, activations in maps.items():
        if activations.ndim != 4 or len(activations) != len(x):
            raise ValueError(f"{name} must be maps ({len(x)}, C, h, w), got {tuple(activations.shape)}")
    zoom = zoom_of(x.shape[3])
    n, space, side, high = len(x), 4, round(x.shape[3] * zoom), round(x.shape[2] * zoom)
    block = n * (high + space) + 34
    shown_channels = min(_CHANNELS, max(activations.shape[1] for activations in maps.values()))
    left = 8 + side + 20
    right = left + shown_channels * (side + space)
    usual = f"Feature maps of {n} test samples, {shown_channels} channels at most, after pooling and activation"
    picture = Picture(width=right + 70, height=len(maps) * block + 4, title=title or usual)
    for index, (name, activations) in enumerate(maps.items()):
        values = to_numpy(activations)
        channels, height, width = values.shape[1:]
        drawn = min(channels, _CHANNELS)
        finite = values[:, :drawn][np.isfinite(values[:, :drawn])]
        low, top = (min(0.0, float(finite.min())), max(0.0, float(finite.max()))) if finite.size else (0.0, 1.0)
        signed = low < 0
        limits = (-max(-low, top), max(-low, top)) if signed else (0.0, top or 1.0)
        start = index * block
        of = f"{drawn} of {channels} channels" if drawn < channels else f"{channels} channels"
        picture.text(left, start + 11, f"{name}: {of} of {height} x {width}")
        picture.text(8, start + 11, "input")
        # Each map is drawn as large as the input, so that places can be compared from stage to stage.
        down, across = np.arange(high) * height // high, np.arange(side) * width // side
        for row in range(n):
            y = start + 22 + row * (high + space)
            picture.mosaic(8, y, to_numpy(x[row : row + 1]), columns=1, value_range=value_range, zoom=zoom)
            large = values[row, :drawn, None][..., down[:, None], across]
            panel = picture.mosaic(
                left,
                y,
                large,
                columns=drawn,
                value_range=limits,
                zoom=1,
                cmap="RdBu_r" if signed else "viridis",
                space=space,
            )
        picture.bar(panel, right + 8, start + 22, n * (high + space) - space)
    return picture


def most_activating(
    x: Tensor, code: Tensor, *, count: int, activity: Activity, value_range: tuple[float, float]
) -> Picture:
    """For each of the most active code units, the inputs that activate it most, with their activation h.

    Units are ordered by their mean |h|; at most 5 are drawn, and none that is never on.

    Args:
        x: (n, 1, H, W), (n, 3, H, W) or (n, D).
        code: (n, code_size), their codes; one that is NaN or infinite activates nothing.
        count: inputs for each unit, at least 1.
        activity: tells when a unit of this code is on.
        value_range: the values drawn black and white, or the ends of the colour scale.

    Raises:
        ValueError: codes that don't fit the inputs, a count out of its range, or inputs that can't be drawn.
    """
    if code.ndim != 2 or len(code) != len(x):
        raise ValueError(f"code must be ({len(x)}, code_size), got {tuple(code.shape)}")
    if not 1 <= count <= len(x):
        raise ValueError(f"count must be from 1 to the {len(x)} inputs, got {count}")
    h = to_numpy(code)
    finite = np.isfinite(h)
    strength = np.where(finite, np.abs(h), 0.0)
    alive = np.flatnonzero((finite & activity.mask(code).cpu().numpy()).any(axis=0))
    units = alive[np.argsort(-strength.mean(axis=0)[alive], kind="stable")][:_UNITS]
    best = np.argsort(np.where(finite, -h, np.inf)[:, units], axis=0, kind="stable")[:count].T  # (units, count)
    drawn = f"the {len(units)} most active" if len(units) < len(alive) else f"{len(units)}"
    return sample_grid(
        to_numpy(x[torch.from_numpy(best)]),
        title=(
            f"The {count} of {len(x):,} test samples that activate a unit most, and its h: {drawn} of"
            f" {h.shape[1]} units, {h.shape[1] - len(alive)} never on"
        ),
        value_range=value_range,
        rows=[f"unit {unit + 1}" for unit in units],
        below=[labels_of(h[chosen, unit]) for chosen, unit in zip(best, units, strict=True)],
    )
