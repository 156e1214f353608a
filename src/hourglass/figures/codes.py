"""What the code looks like: where the samples lie, and how the units are used."""

import textwrap
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from hourglass.figures.canvas import COLOURS, DPI, Array, to_numpy

_TSNE_POINTS = 2000
_TRUSTED_POINTS = 1000
_NEIGHBOURS = 5


def code_map(code: Tensor, y: Tensor | None, *, method: Literal["pca", "tsne"]) -> Figure:
    """Codes (N, code_size) as points, coloured by class y (N,).

    One unit: its activation against the sample's position. Two: the code itself. More: a projection, by `method`,
    with its trustworthiness: 1 when nobody is a neighbour in the picture who is none in the code, about 0.5 by chance
    (5 neighbours, at most 1,000 codes). Up to ten classes have a legend and their name at their median; more, a colour
    bar. Codes that are NaN or infinite are left out, and counted in the title.

    References: t-SNE (van der Maaten & Hinton, 2008); trustworthiness (Venna & Kaski, 2001).

    Args:
        code: (N, code_size).
        y: (N,) classes, or None.
        method: `pca`, the first two principal components, whose share of the variance the axes state; `tsne`,
            of the first 2,000 codes at perplexity 30, where only neighbourhood has a meaning.

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
    names: tuple[str, ...] = ("unit 1", "unit 2")
    if units == 1:
        points, names = np.stack([points[:, 0], shown], axis=1), ("unit 1", "sample")
    elif units > 2 and method == "pca":
        codes = points
        points, shares = _principal_plane(codes)
        names = tuple(f"component {i + 1} ({share:.1%} of the code's variance)" for i, share in enumerate(shares))
        where += f", on their first two principal components{_trustworthiness(codes, points)}"
    elif units > 2:
        shown, codes = shown[:_TSNE_POINTS], points[:_TSNE_POINTS]
        points, names = _tsne(codes), ("t-SNE 1", "t-SNE 2")
        of = f" of {len(codes):,} of them" if len(codes) < finite.sum() else ""
        where += f", t-SNE{of} at perplexity 30{_trustworthiness(codes, points)}"
    if not finite.all():
        where += f"; {int((~finite).sum()):,} NaN or infinite, not drawn"

    figure = Figure(figsize=(7.4, 6), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(textwrap.fill(where, 70), fontsize=11, loc="left")
    axes.set_xlabel(names[0], fontsize=11)
    axes.set_ylabel(names[1], fontsize=11)
    if units > 1:
        axes.set_aspect("equal", adjustable="datalim")  # distances in the plane mean something
    if y is None:
        axes.scatter(points[:, 0], points[:, 1], s=5, color=COLOURS[1], alpha=0.5, linewidths=0)
        return figure
    _scatter_classes(figure, axes, points, to_numpy(y)[shown].astype(int))
    return figure


def code_histogram(code: Tensor, *, threshold: float) -> Figure:
    """Activations of codes (N, code_size): their histogram (counts on a logarithmic axis), and for each unit, most
    active first, the share of samples with |h| > threshold. NaN and infinite activations are left out and counted."""
    values = to_numpy(code)
    finite = np.isfinite(values)
    share = np.sort((np.abs(values) > threshold).mean(0))[::-1]
    figure = Figure(figsize=(10, 4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist(values[finite], bins=80, color=COLOURS[1])
    left.set_yscale("log" if finite.any() else "linear")
    lost = f"; {int((~finite).sum()):,} NaN or infinite" if not finite.all() else ""
    left.set_title(f"{values.size:,} activations of {len(values):,} samples{lost}", fontsize=11, loc="left")
    left.set_xlabel("activation h", fontsize=11)
    left.set_ylabel("count", fontsize=11)
    right.bar(np.arange(1, len(share) + 1), share, width=1.0, color=COLOURS[6])
    dead = int((share == 0).sum())
    right.set_title(f"{len(share)} units, {dead} dead, {share.sum():.1f} on per sample", fontsize=11, loc="left")
    right.set_xlabel("unit, most active first", fontsize=11)
    right.set_ylabel(f"share of samples with |h| > {threshold:g}", fontsize=11)
    right.set_ylim(0, 1)
    right.set_xlim(0.5, len(share) + 0.5)
    return figure


def _scatter_classes(figure: Any, axes: Any, points: Array, y: Array) -> None:
    classes = np.unique(y)
    # In random order, else the last class would lie on top of all others.
    order = np.random.default_rng(0).permutation(len(points))
    points, y = points[order], y[order]
    if len(classes) > len(COLOURS):
        shown = axes.scatter(points[:, 0], points[:, 1], s=5, c=y, cmap="viridis", alpha=0.6, linewidths=0)
        figure.colorbar(shown, ax=axes).set_label("class", fontsize=11)
        return
    colours = np.array(COLOURS)[np.searchsorted(classes, y)]
    axes.scatter(points[:, 0], points[:, 1], s=5, c=colours, alpha=0.6, linewidths=0)
    handles = [Line2D([], [], linestyle="", marker="o", color=colour) for colour in COLOURS[: len(classes)]]
    axes.legend(
        handles, [str(c) for c in classes], title="class", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False
    )
    for colour, which in zip(COLOURS, classes, strict=False):
        middle = np.median(points[y == which], axis=0)
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.8}
        axes.text(*middle, str(which), ha="center", va="center", fontsize=11, bbox=box)


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
