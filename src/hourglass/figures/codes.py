"""What the code looks like: where the samples lie, and how the units are used."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from PIL import ImageColor
from torch import Tensor

from hourglass.bottlenecks import Activity
from hourglass.figures.canvas import CLASSES, COLOURS, class_name, to_numpy
from hourglass.figures.chart import Chart, discs, limits, ticks
from hourglass.figures.picture import Array, Panel, Picture, colours, levels

_TSNE_POINTS = 2000
_TRUSTED_POINTS = 500
_NEIGHBOURS = 5
_WIDE, _HIGH, _LOW = 400, 400, 280  # pixels inside the frame of a map, and its least height


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
    points, axes, how = projected(points[shown], method=method)
    where = f"{count:,} codes of {units} unit{'s' * (units > 1)}{how}"
    shown = shown[: len(points)]
    if units == 1:
        points[:, 1] = shown
    if not finite.all():
        where += f"; {int((~finite).sum()):,} NaN or infinite, not drawn"

    classes = [] if y is None else np.unique(to_numpy(y).astype(int)).tolist()
    called = {which: class_name(which, names) for which in classes}
    longest = max(map(len, called.values()), default=0) if len(classes) <= len(CLASSES) else 0
    x, y_limits = limits(points[:, 0]), limits(points[:, 1])
    high = _HIGH
    if units > 1:  # distances in the plane mean something: a value has as many pixels to the right as upwards
        value = max((x[1] - x[0]) / _WIDE, (y_limits[1] - y_limits[0]) / _HIGH)
        high = min(_HIGH, max(_LOW, round((y_limits[1] - y_limits[0]) / value)))
        x, y_limits = _around(x, value * _WIDE), _around(y_limits, value * high)
    picture = Picture(width=_WIDE + 150 + max(0, 8 * longest - 36), height=high + 62, title=where)
    named = ticks(*x, most=6), ticks(*y_limits, most=6)
    chart = Chart(
        picture, (76, 4, _WIDE, high), x=x, y=y_limits, x_ticks=named[0], y_ticks=named[1], names=(axes[0], axes[1])
    )
    if y is None:
        chart.points(points, np.tile(_rgb(COLOURS[1:2]), (len(points), 1)), diameter=4, opacity=0.5)
    else:
        _scatter_classes(chart, points, to_numpy(y)[shown].astype(int), called)
    return picture


def projected(codes: Array, *, method: Literal["pca", "tsne"]) -> tuple[Array, tuple[str, str], str]:
    """Finite codes (N, code_size) as points (N, 2) of a plane, see `code_map`; t-SNE of the first 2,000 at most.

    Returns:
        the points, the names of both axes, and in words how they were found.
    """
    count, units = codes.shape
    if units == 1:
        return np.stack([codes[:, 0], np.arange(count, dtype=float)], axis=1), ("unit 1", "sample"), ""
    if units == 2:
        return codes, ("unit 1", "unit 2"), ""
    if method == "pca":
        points, shares = _principal_plane(codes)
        first, second = (f"component {i + 1} ({share:.1%} of variance)" for i, share in enumerate(shares))
        how = f", on their first two principal components{_trustworthiness(codes, points)}"
        return points, (first, second), how
    codes = codes[:_TSNE_POINTS]
    points = _tsne(codes)
    of = f" of {len(codes):,} of them" if len(codes) < count else ""
    return points, ("t-SNE 1", "t-SNE 2"), f", t-SNE{of} at perplexity 30{_trustworthiness(codes, points)}"


def code_histogram(code: Tensor, *, activity: Activity) -> Picture:
    """Activations of codes (N, code_size).

    Their histogram (counts on a logarithmic axis), and for each unit, most active first, the share of samples that it
    is on for. NaN and infinite activations are left out and counted.
    """
    values = to_numpy(code)
    finite = np.isfinite(values)
    share = np.sort(to_numpy(activity.mask(code)).mean(0))[::-1]
    lost = f"; {int((~finite).sum()):,} NaN or infinite" if not finite.all() else ""
    picture = Picture(width=500, height=508, title="")
    counts, edges = np.histogram(values[finite], bins=80)
    powers = range(max(1, math.ceil(math.log10(max(1, counts.max())))) + 1)
    left = Chart(
        picture,
        (84, 20, 400, 170),
        x=limits(edges),
        y=(-0.3, powers[-1] + 0.1),
        y_ticks=[(power, f"{10**power:,}") for power in powers][:: -(-len(powers) // 5)],
        names=("activation h", "count"),
    )
    with np.errstate(divide="ignore"):
        left.bars(edges, np.log10(counts), COLOURS[1])
    picture.text(84, 6, f"{values.size:,} activations of {len(values):,} test samples{lost}")
    unit = (0.5, len(share) + 0.5)
    right = Chart(
        picture,
        (84, 276, 400, 170),
        x=unit,
        y=(0, 1),
        x_ticks=ticks(*unit, whole=True),
        names=(f"unit, most active first; on: {activity.words}", "share of samples"),
    )
    right.bars(np.arange(len(share) + 1) + 0.5, share, COLOURS[6])
    never = int((share == 0).sum())
    picture.text(84, 262, f"{len(share)} units, {never} never on, {share.sum():.1f} on per sample")
    return picture


def _around(ends: tuple[float, float], span: float) -> tuple[float, float]:
    """Ends with the same middle and this distance."""
    middle = (ends[0] + ends[1]) / 2
    return middle - span / 2, middle + span / 2


def _rgb(colours: Sequence[str]) -> Array:
    return np.array([ImageColor.getrgb(colour) for colour in colours])


def _scatter_classes(chart: Chart, points: Array, y: Array, called: Mapping[int, str]) -> None:
    picture, classes, high = chart.picture, np.unique(y), chart.box[3]
    # In random order, else the last class would lie on top of all others.
    order = np.random.default_rng(0).permutation(len(points))
    points, y = points[order], y[order]
    if len(classes) > len(CLASSES):
        span = (float(classes[0]), float(classes[-1]))
        panel = Panel(y[None].astype(float), span, "viridis", 0)
        chart.points(points, colours("viridis")[levels(y, span)], diameter=4, opacity=0.7)
        picture.bar(panel, 76 + _WIDE + 12, 4, high, label="class")
        return
    if not len(classes):  # every code is lost
        return
    inks = _rgb(CLASSES)
    chart.points(points, inks[np.searchsorted(classes, y)], diameter=4, opacity=0.7)
    right, step = 76 + _WIDE + 20, min(22.0, (high - 20) / len(classes))
    picture.text(right - 4, 12, "class")
    down = 32 + step * np.arange(len(classes))
    discs(picture, np.full(len(classes), right), down, inks[: len(classes)], diameter=9, opacity=1)
    for which, y_legend in zip(classes, down, strict=True):
        picture.text(right + 14, y_legend, called[which])
    texts = [called[which] for which in classes]
    homes = np.stack([np.stack(chart.at(*np.median(points[y == which], axis=0))) for which in classes])
    boxes = np.array([(5 + 4.5 * len(text), 10.0) for text in texts])
    placed = apart(homes, boxes, chart.box)
    for colour, text, home, (half, tall), (x, middle) in zip(CLASSES, texts, homes, boxes, placed, strict=False):
        above = picture.top + float(middle)
        if np.hypot(*(home - (x, middle))) > tall:
            picture.draw.line((float(home[0]), picture.top + float(home[1]), float(x), above), colour, 2)
        picture.draw.rounded_rectangle((x - half, above - tall, x + half, above + tall), 3, "white", colour, 2)
        picture.text(float(x), float(middle), text, ha="center")


def apart(places: Array, halves: Array, box: Sequence[float]) -> Array:
    """Centres (n, 2) of labels moved so that none hides another, and all stay within a frame.

    Args:
        places: (n, 2), where they belong.
        halves: (n, 2), half their width and height.
        box: left, top, width and height of the frame.
    """
    left, top, width, height = box
    moved = places.astype(float).copy()
    for _ in range(200):
        met = False
        for one in range(len(moved)):
            for other in range(one):
                room = halves[one] + halves[other] + 1
                gap = moved[one] - moved[other]
                lack = room - np.abs(gap)
                if (lack > 0).all():  # along the axis where less is lacking, both by half
                    axis = int(lack[1] <= lack[0])
                    push = lack[axis] / 2 * (1 if gap[axis] >= 0 else -1)
                    moved[one, axis] += push
                    moved[other, axis] -= push
                    met = True
        moved = moved.clip(np.array([left, top]) + halves, np.array([left + width, top + height]) - halves)
        if not met:
            break
    return moved


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
