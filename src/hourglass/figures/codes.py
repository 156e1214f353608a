"""What the code looks like: where the samples lie, and how the units are used."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from PIL import ImageColor
from torch import Tensor

from hourglass.bottlenecks import Activity
from hourglass.figures.canvas import COLOURS, class_name, to_numpy
from hourglass.figures.chart import Chart, discs, limits, ticks
from hourglass.figures.picture import Array, Panel, Picture, colours, levels

_TSNE_POINTS = 2000
_TRUSTED_POINTS = 500
_NEIGHBOURS = 5
_WIDE, _HIGH = 590, 490  # pixels inside the frame of a map


def code_map(
    code: Tensor, y: Tensor | None, *, method: Literal["pca", "tsne"], names: Sequence[str] | None = None
) -> Picture:
    """Codes (N, code_size) as points, coloured by class y (N,).

    One unit: its activation against the sample's position. Two: the code itself. More: a projection, by `method`,
    with its trustworthiness: 1 when nobody is a neighbour in the picture who is none in the code, about 0.5 by chance
    (5 neighbours, at most 500 codes). Up to ten classes have a legend and their name at their median; more, a colour
    bar. Codes that are NaN or infinite are left out, and counted in the title.

    References: t-SNE (van der Maaten & Hinton, 2008); trustworthiness (Venna & Kaski, 2001).

    Args:
        code: (N, code_size).
        y: (N,) classes, or None.
        method: `pca`, the first two principal components, whose share of the variance the axes state; `tsne`,
            of the first 2,000 codes at perplexity 30, where only neighbourhood has a meaning.
        names: of the classes, by number; None: their numbers.

    Raises:
        ValueError: another method.
    """
    if method not in ("pca", "tsne"):
        raise ValueError(f"method must be one of pca, tsne, got {method!r}")
    points = to_numpy(code)
    finite = np.isfinite(points).all(1)
    count, units = points.shape
    shown = np.flatnonzero(finite)
    points = points[shown]
    where = f"{count:,} codes of {units} unit{'s' * (units > 1)}"
    axes: tuple[str, ...] = ("unit 1", "unit 2")
    if units == 1:
        points, axes = np.stack([points[:, 0], shown], axis=1), ("unit 1", "sample")
    elif units > 2 and method == "pca":
        codes = points
        points, shares = _principal_plane(codes)
        axes = tuple(f"component {i + 1} ({share:.1%} of the code's variance)" for i, share in enumerate(shares))
        where += f", on their first two principal components{_trustworthiness(codes, points)}"
    elif units > 2:
        shown, codes = shown[:_TSNE_POINTS], points[:_TSNE_POINTS]
        points, axes = _tsne(codes), ("t-SNE 1", "t-SNE 2")
        of = f" of {len(codes):,} of them" if len(codes) < finite.sum() else ""
        where += f", t-SNE{of} at perplexity 30{_trustworthiness(codes, points)}"
    if not finite.all():
        where += f"; {int((~finite).sum()):,} NaN or infinite, not drawn"

    classes = [] if y is None else np.unique(to_numpy(y).astype(int)).tolist()
    called = {which: class_name(which, names) for which in classes}
    longest = max(map(len, called.values()), default=0) if len(classes) <= len(COLOURS) else 0
    picture = Picture(width=740 + max(0, 8 * longest - 36), height=545, title=where)
    x, y_limits = limits(points[:, 0]), limits(points[:, 1])
    if units > 1:  # distances in the plane mean something: a value has as many pixels to the right as upwards
        value = max((x[1] - x[0]) / _WIDE, (y_limits[1] - y_limits[0]) / _HIGH)
        x, y_limits = _around(x, value * _WIDE), _around(y_limits, value * _HIGH)
    chart = Chart(picture, (76, 4, _WIDE, _HIGH), x=x, y=y_limits, names=(axes[0], axes[1]))
    if y is None:
        chart.points(points, np.tile(_rgb(COLOURS[1:2]), (len(points), 1)), diameter=3, opacity=0.5)
    else:
        _scatter_classes(chart, points, to_numpy(y)[shown].astype(int), called)
    return picture


def code_histogram(code: Tensor, *, activity: Activity) -> Picture:
    """Activations of codes (N, code_size).

    Their histogram (counts on a logarithmic axis), and for each unit, most active first, the share of samples that it
    is on for. NaN and infinite activations are left out and counted.
    """
    values = to_numpy(code)
    finite = np.isfinite(values)
    share = np.sort(to_numpy(activity.mask(code)).mean(0))[::-1]
    lost = f"; {int((~finite).sum()):,} NaN or infinite" if not finite.all() else ""
    picture = Picture(width=1000, height=388, title="")
    counts, edges = np.histogram(values[finite], bins=80)
    powers = range(max(1, math.ceil(math.log10(max(1, counts.max())))) + 1)
    left = Chart(
        picture,
        (84, 20, 410, 310),
        x=limits(edges),
        y=(-0.3, powers[-1] + 0.1),
        y_ticks=[(power, f"{10**power:,}") for power in powers],
        names=("activation h", "count"),
    )
    with np.errstate(divide="ignore"):
        left.bars(edges, np.log10(counts), COLOURS[1])
    picture.text(84, 6, f"{values.size:,} activations of {len(values):,} samples{lost}", size=10)
    unit = (0.5, len(share) + 0.5)
    right = Chart(
        picture,
        (570, 20, 420, 310),
        x=unit,
        y=(0, 1),
        x_ticks=ticks(*unit, whole=True),
        names=("unit, most active first", f"share of samples: {activity.words}"),
    )
    right.bars(np.arange(len(share) + 1) + 0.5, share, COLOURS[6])
    never = int((share == 0).sum())
    picture.text(570, 6, f"{len(share)} units, {never} never on, {share.sum():.1f} on per sample", size=10)
    return picture


def _around(ends: tuple[float, float], span: float) -> tuple[float, float]:
    """Ends with the same middle and this distance."""
    middle = (ends[0] + ends[1]) / 2
    return middle - span / 2, middle + span / 2


def _rgb(colours: Sequence[str]) -> Array:
    return np.array([ImageColor.getrgb(colour) for colour in colours])


def _scatter_classes(chart: Chart, points: Array, y: Array, called: Mapping[int, str]) -> None:
    picture, classes = chart.picture, np.unique(y)
    # In random order, else the last class would lie on top of all others.
    order = np.random.default_rng(0).permutation(len(points))
    points, y = points[order], y[order]
    if len(classes) > len(COLOURS):
        span = (float(classes[0]), float(classes[-1]))
        panel = Panel(y[None].astype(float), span, "viridis", 0)
        chart.points(points, colours("viridis")[levels(y, span)], diameter=3, opacity=0.6)
        picture.bar(panel, 76 + _WIDE + 12, 4, _HIGH, label="class")
        return
    inks = _rgb(COLOURS)
    chart.points(points, inks[np.searchsorted(classes, y)], diameter=3, opacity=0.6)
    right, top = 76 + _WIDE + 20, 4 + _HIGH / 2 - 11 * len(classes)
    picture.text(right - 4, top - 18, "class", size=10)
    down = top + 22 * np.arange(len(classes))
    across = np.full(len(classes), right)
    discs(picture, across, down, inks[: len(classes)], diameter=8, opacity=1)
    for colour, which, y_legend in zip(COLOURS, classes, down, strict=False):
        picture.text(right + 14, y_legend, called[which], size=10)
        x, middle = map(float, chart.at(*np.median(points[y == which], axis=0)))
        half, above = 5 + 4 * len(called[which]), picture.top + middle
        picture.draw.rounded_rectangle((x - half, above - 10, x + half, above + 9), 3, "white", colour)
        picture.text(x, middle, called[which], ha="center", size=11)


def _principal_plane(points: Array) -> tuple[Array, Array]:
    """The projection (N, 2) of points (N, d) on their first two principal components, and their shares of variance."""
    centred = points - points.mean(0) if len(points) else points
    values, vectors = np.linalg.eigh(centred.T @ centred)
    shares = values[:-3:-1].clip(0) / max(values.sum(), np.finfo(float).tiny)
    return centred @ vectors[:, :-3:-1], shares


def _tsne(codes: Array) -> Array:
    """The t-SNE embedding (N, 2) of codes (N, d), the same in every run."""
    from sklearn.manifold import TSNE

    distinct = len(np.unique(codes, axis=0))
    if distinct < 4:  # a collapsed code has no neighbourhoods: its points stay where their first two units are
        return codes[:, :2]
    perplexity = min(30.0, (len(codes) - 1) / 3)
    embedded: Array = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(codes)
    return embedded


def _trustworthiness(codes: Array, points: Array) -> str:
    """For the title: `; trustworthiness 0.93`, nothing where there are too few codes to have neighbours."""
    from sklearn.manifold import trustworthiness

    if len(codes) <= 2 * _NEIGHBOURS:
        return ""
    value = trustworthiness(codes[:_TRUSTED_POINTS], points[:_TRUSTED_POINTS], n_neighbors=_NEIGHBOURS)
    return f"; trustworthiness {value:.2f}"
