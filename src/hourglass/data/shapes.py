"""Shapes whose factors are known, as dSprites has them: what a code without supervision should find, and keep apart.

A white shape on black, one image for each combination of five factors v = (shape, scale, orientation, x, y):

    image(v) = 1 where s(R(-angle) (pixel - (x, y)) / (scale size / 5)) is true, else 0

with s the square, the ellipse and the heart of unit size, R a rotation; grey where the edge crosses a pixel, by 4 x 4
points in it. Factors are numbers, each with its values on a grid, and kept with the data (`Dataset.factors`,
`Split.factors`), so that measures can ask which of them a code unit holds.

Reference: beta-VAE: learning basic visual concepts with a constrained variational framework (Higgins et al., 2017);
dSprites: disentanglement testing sprites dataset (Matthey et al., 2017), of 64 x 64 with 737,280 combinations.
"""

import math
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data.dataset import Dataset, Split
from hourglass.data.factors import Factor
from hourglass.data.splitting import ImageSplitsAndTest, Splitting
from hourglass.system.cache import cache_dir, kept
from hourglass.system.checks import check_count

Array = npt.NDArray[np.float32]

SHAPES = ("square", "ellipse", "heart")
LARGEST = 1_000_000
"""Combinations that are drawn at most: 1 GB of 32 x 32."""

_VERSION = 1  # to be raised when a pixel changes, so that images of the older are not read again
_FINE = 4  # points per pixel and direction
_IMAGES = 50  # drawn at a time: they stay in the processor's cache
_SMALLEST = 0.5  # of the largest scale


class _Grid(NamedTuple):
    """How many values each factor has."""

    shapes: int
    scales: int
    orientations: int
    positions: int

    @property
    def factors(self) -> tuple[Factor, ...]:
        angles = [2 * math.pi * each / self.orientations for each in range(self.orientations)]
        places = _spaced(-1, 1, self.positions)
        return (
            Factor("shape", tuple(float(each) for each in range(self.shapes))),
            Factor("scale", _spaced(_SMALLEST, 1, self.scales)),
            Factor("orientation", tuple(angles)),
            Factor("x", places),
            Factor("y", places),
        )


def shapes(
    *,
    size: int,
    shapes: int,
    scales: int,
    orientations: int,
    positions: int,
    samples: int | None,
    seed: int,
    **splits: Unpack[ImageSplitsAndTest],
) -> Dataset:
    """Squares, ellipses and hearts, (1, size, size) uint8, with five known factors; y: which shape.

    Images are made once and kept in the data folder: 20,000 of 32 x 32 take about 5 s.

    size: pixels of a side, 8 to 128. shapes: the first so many of square, ellipse and heart. scales: sizes of a shape,
    from half of the largest up. orientations: angles of the full circle, which a square has four times and an ellipse
    twice. positions: places in each of the two directions. samples: so many combinations, drawn by `seed` without
    repeating one; null: all of them. The others: `Splitting`.
    """
    splitting = Splitting(**splits)
    check_count("size", size, low=8, high=128)
    check_count("shapes", shapes, high=len(SHAPES))
    for key, value in (("scales", scales), ("orientations", orientations), ("positions", positions)):
        check_count(key, value, high=128)
    check_count("seed", seed, low=0, high=2**32 - 1)
    grid = _Grid(shapes, scales, orientations, positions)
    total = math.prod(len(factor.values) for factor in grid.factors)
    if samples is None and total > LARGEST:
        raise ValueError(f"samples must be a number for {total:,} combinations, of which {LARGEST:,} fit, got null")
    if samples is not None:
        check_count("samples", samples, low=10, high=min(total, LARGEST))
    # RandomState, whose stream NumPy has frozen: the digest outlives a release.
    chosen = np.arange(total) if samples is None else np.random.RandomState(seed).permutation(total)[:samples]
    values = np.stack(np.unravel_index(chosen, [len(factor.values) for factor in grid.factors]), axis=1)
    x = kept(
        cache_dir() / f"shapes-{_VERSION}" / ("-".join(map(str, (size, *grid, samples, seed))) + ".npy"),
        read=lambda path: _read(path, (len(values), 1, size, size)),
        compute=lambda: _drawn(values, grid, size),
        write=np.save,
    )
    known = [at for at, factor in enumerate(grid.factors) if len(factor.values) > 1]
    whole = Split(
        x=torch.from_numpy(x),
        y=torch.from_numpy(values[:, 0].astype(np.int64)),
        factors=torch.from_numpy(values[:, known].astype(np.int64)),
    )
    return splitting.dataset(
        name="shapes",
        samples=whole,
        test=None,
        classes=SHAPES[:shapes],
        factors=tuple(grid.factors[at] for at in known),
    )


def _spaced(low: float, high: float, count: int) -> tuple[float, ...]:
    """So many values, evenly apart; one is the highest of scales, and the middle of places."""
    return tuple(np.linspace(low, high, count).tolist()) if count > 1 else (high if low > 0 else (low + high) / 2,)


def _read(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    x: npt.NDArray[np.uint8] = np.load(path, allow_pickle=False)
    if x.shape != shape or x.dtype != np.uint8:
        raise ValueError(f"holds {x.dtype} of shape {x.shape}, expected uint8 of {shape}")
    return x


def _drawn(values: npt.NDArray[np.int64], grid: _Grid, size: int) -> npt.NDArray[np.uint8]:
    """Which value each factor has, (N, 5), to the images (N, 1, size, size)."""
    tables = [np.array(factor.values, dtype=np.float64) for factor in grid.factors]
    kind, scale, angle, x, y = (table[values[:, at]] for at, table in enumerate(tables))
    largest = size / 5 * math.sqrt(2)  # no part of a shape is farther from its place
    centres = size / 2 + (size / 2 - largest) * np.stack([y, x], axis=1)
    # Points are looked at in a window around the place of each shape alone, a third of the image.
    window = min(size, math.ceil(2 * largest) + 1)
    corners = np.clip(np.floor(centres - largest), 0, size - window).astype(np.int64)
    points = (np.arange(window * _FINE) + 0.5) / _FINE  # in pixels
    images = np.zeros((len(values), 1, size, size), dtype=np.uint8)
    for start in range(0, len(values), _IMAGES):
        rows = slice(start, start + _IMAGES)
        unit = (size / 5 * scale[rows])[:, None]
        down, across = (((points - (centres - corners)[rows, at, None]) / unit).astype(np.float32) for at in (0, 1))
        cos, sin = (each(angle[rows])[:, None, None].astype(np.float32) for each in (np.cos, np.sin))
        u = cos * across[:, None, :] + sin * down[:, :, None]
        v = cos * down[:, :, None] - sin * across[:, None, :]
        inside = np.empty(u.shape, dtype=bool)
        for number, name in enumerate(SHAPES):
            of_kind = kind[rows] == number
            inside[of_kind] = _INSIDE[name](u[of_kind], v[of_kind])
        grey = inside.reshape(-1, window, _FINE, window, _FINE).sum(axis=(2, 4), dtype=np.uint8) / _FINE**2
        for at, (patch, (top, left)) in enumerate(zip(grey, corners[rows], strict=True), start):
            images[at, 0, top : top + window, left : left + window] = np.round(patch * 255)
    return images


def _square(u: Array, v: Array) -> npt.NDArray[np.bool_]:
    return np.maximum(np.abs(u), np.abs(v)) <= np.float32(0.9)


def _ellipse(u: Array, v: Array) -> npt.NDArray[np.bool_]:
    return (u / np.float32(1.2)) ** 2 + (v / np.float32(0.7)) ** 2 <= 1


def _heart(u: Array, v: Array) -> npt.NDArray[np.bool_]:
    """The curve (u^2 + w^2 - 1)^3 = u^2 w^3, w upwards."""
    w, square = np.float32(0.1) - v, u * u
    outer = square + w * w - 1
    return outer * outer * outer <= square * w * w * w  # type: ignore[no-any-return]


_INSIDE = {"square": _square, "ellipse": _ellipse, "heart": _heart}
