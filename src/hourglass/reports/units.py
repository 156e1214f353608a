"""A card for each unit of a code: when it is on, for what, and what it adds to a reconstruction.

Of a unit j, over the samples:

    firing rate     share of samples, corrupted as in the test, for which it is on (`hourglass.bottlenecks.activity`)
    variance        of a unit that is never off, over the same samples: what it is told to be in use by
    classes         of the twentieth of the samples that activate it most, by |h_j|
    selectivity     the largest of these shares: 1 for a unit of one class, 1 / classes by chance
    adds            decode(mean code, h_j at its 95th percentile) - decode(mean code, h_j at its 5th)
    norm            root mean square of what it adds
"""

from html import escape
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hourglass.bottlenecks.activity import LEAST_SHARE, Varying
from hourglass.figures.canvas import COLOURS, DPI
from hourglass.figures.picture import Array
from hourglass.reports.content import Block, Live, Picture, Sentences
from hourglass.reports.images import png, row
from hourglass.reports.inside import Inside

_MOST = 64
_TOP, _BINS, _CLASSES = 8, 24, 4
_NAMED = 40  # units whose numbers have room below a chart


class Card(NamedTuple):
    """What is known of one unit."""

    unit: int
    """From 1."""
    rate: float
    selectivity: float | None
    """None without classes."""
    norm: float
    classes: list[tuple[int, float]]
    """The most frequent, with their shares."""
    counts: Array
    """Of the histogram."""
    ends: tuple[float, float]
    """Of the histogram."""
    top: Array
    """(k,) the samples that activate it most."""
    added: Array
    """(*shape)."""


def unit_cards(inside: Inside, *, anchor: str = "units") -> list[Block]:
    """The cards of a code's units, how often each is on, and which are dead; of more than 64 the ones that add most.

    Args:
        inside: the model and its samples.
        anchor: a name that no other cards of the page have.
    """
    code = inside.code.double().numpy()
    rate = inside.on.mean(0)
    dead = np.flatnonzero(rate == 0)
    total = code.shape[1]
    alive = np.flatnonzero(rate > 0)
    said = [
        f"{total} unit{'s' * (total > 1)}, numbered from 1 as in every picture; {len(dead)} never on over"
        f" {len(code):,} test samples ({inside.activity().words}){_numbers(dead)}."
    ]
    if not len(alive):
        return [Sentences(lines=said)]
    rates = unit_rates(inside, name=f"{anchor}-rates")
    added = inside.added(alive)
    norms = np.sqrt((added**2).reshape(len(alive), -1).mean(1))
    order = np.argsort(-norms, kind="stable")[:_MOST]
    if len(order) < len(alive):
        said.append(f"The {len(order)} that add most to a reconstruction have a card.")
    cards = [_card(inside, code, int(alive[at]), float(norms[at]), added[at]) for at in order]
    limit = float(np.quantile(np.abs(added[order]), 0.995)) or 1.0
    return [Sentences(lines=said), rates, Live(html=_html(inside, cards, limit, anchor), says="cards of the units")]


def unit_rates(inside: Inside, *, name: str) -> Picture:
    """How often each unit is on, the most often first; of units that are never off, how much each varies.

    Args:
        inside: the model and its samples.
        name: that no other picture of the page has.
    """
    activity = inside.activity()
    figure = Figure(figsize=(8, 2.6), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    count = f"{len(inside.tested):,} test samples"
    if isinstance(activity, Varying):
        order, values = _sorted(np.nan_to_num(inside.tested.double().numpy().var(0)))
        least = LEAST_SHARE * float(values[0]) if activity.least is None else activity.least
        alive = int((values > least).sum())
        # What doesn't vary at all has no place on a logarithmic axis: its foot.
        foot = min(least, float(values[values > 0].min(initial=least))) / 3
        _drawn(axes, order, values, foot=foot, line=least)
        axes.set_yscale("log")
        axes.set_ylim(bottom=foot)
        axes.set_ylabel("variance of the unit")
        which = "the one that varies most first"
        says = (
            f"The variance of each unit over {count}, the largest first: {values[0]:.2g} to {values[-1]:.2g}. {alive}"
            f" of {len(values)} are above {least:.2g}, the dashed line, from which on a unit of this code is in use. It"
            " is never off, so that it has no rate."
        )
    else:
        order, values = _sorted(inside.on.mean(0))
        _drawn(axes, order, values, foot=0.0, line=float(values.mean()))
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylabel("rate: share of samples")
        which = "the one that is on most often first"
        says = (
            f"The rate of each unit, the share of {count} for which it is on ({activity.words}), the largest first:"
            f" {values[0]:.1%} to {values[-1]:.1%}, in the middle {np.median(values):.1%}; the dashed line is the mean,"
            f" {values.mean():.1%}."
        )
    axes.set_xlabel(f"unit, {which}" if len(values) <= _NAMED else f"place of the unit, {which}")
    return Picture(name=name, figure=figure, says=says)


def _sorted(values: Array) -> tuple[Array, Array]:
    """The units in the order of a chart, and their values, the largest first."""
    order = np.argsort(-values, kind="stable")
    return order, values[order]


def _drawn(axes: Any, order: Array, values: Array, *, foot: float, line: float) -> None:
    """A bar for each unit, with its number below where there is room; of many units their outline."""
    places = np.arange(1, len(values) + 1)
    if len(values) <= _MOST:
        axes.bar(places, values - foot, bottom=foot, width=0.8, color=COLOURS[4])
    else:
        axes.stairs(values, np.arange(len(values) + 1) + 0.5, baseline=foot, fill=True, color=COLOURS[4])
    axes.axhline(line, color="0.25", linestyle="--", linewidth=1.4)
    axes.set_xlim(0.5, len(values) + 0.5)
    if len(values) <= _NAMED:
        axes.set_xticks(places, labels=[str(unit + 1) for unit in order], fontsize=9)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(visible=True, axis="y", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _card(inside: Inside, code: Array, unit: int, norm: float, added: Array) -> Card:
    values = code[:, unit]
    order = np.argsort(-np.abs(values), kind="stable")
    most = order[: max(_TOP, len(order) // 20)]
    classes: list[tuple[int, float]] = []
    if inside.y is not None:
        names, counts = np.unique(inside.y[most], return_counts=True)
        ranked = np.argsort(-counts, kind="stable")[:_CLASSES]
        classes = [(int(names[at]), float(counts[at] / len(most))) for at in ranked]
    counts, edges = np.histogram(values, bins=_BINS)
    return Card(
        unit=unit + 1,
        rate=float(inside.on[:, unit].mean()),
        selectivity=classes[0][1] if classes else None,
        norm=norm,
        classes=classes,
        counts=counts,
        ends=(float(edges[0]), float(edges[-1])),
        top=order[:_TOP],
        added=added,
    )


def _numbers(dead: Array) -> str:
    if not len(dead):
        return ""
    listed = ", ".join(str(unit + 1) for unit in dead[:60])
    return f": {listed}{f' and {len(dead) - 60} more' if len(dead) > 60 else ''}"


def _html(inside: Inside, cards: list[Card], limit: float, anchor: str) -> str:
    orders = {"norm": "what they add", "rate": "firing rate", "selectivity": "selectivity", "unit": "number"}
    if inside.y is None:
        del orders["selectivity"]
    options = "".join(f'<option value="{key}">{name}</option>' for key, name in orders.items())
    words = "Each card: the histogram of the unit's activation, counts as square roots, and what it adds"
    if inside.is_image:
        words += (
            f" to a reconstruction, blue below and red above 0, all on one scale of ±{limit:.2g}; above, the inputs"
            " that activate it most"
        )
    return (
        f'<p>{words}.</p><p class="controls"><label>Order of the cards <select data-order="{anchor}">{options}</select>'
        f'</label></p><div class="cards" id="{anchor}">{"".join(_one(inside, card, limit) for card in cards)}</div>'
    )


def _one(inside: Inside, card: Card, limit: float) -> str:
    low, high = card.ends
    facts = [f"on for {card.rate:.1%}, adds {card.norm:.2g}"]
    if card.classes:
        shares = ", ".join(f"{inside.class_name(which)} {share:.0%}" for which, share in card.classes)
        facts.append(f"classes of its top twentieth: {shares}")
    if place := inside.place(card.unit - 1):
        facts.append(place)
    pictures = ""
    if inside.is_image:
        top = row(inside.x[card.top.copy()].double().numpy(), inside.data.range)
        signed = png(card.added.mean(0), (-limit, limit), cmap="RdBu_r")
        pictures = f'<img class="strip" alt="inputs that activate unit {card.unit} most" src="{top}">'
        added = f'<img class="decoded" alt="what unit {card.unit} adds" src="{signed}">'
    else:
        added = f"<p>{_columns(inside, card)}</p>"
    return (
        f'<article class="card" data-unit="{card.unit}" data-rate="{card.rate:.5f}" data-norm="{card.norm:.6g}"'
        f' data-selectivity="{card.selectivity or 0:.5f}"><h3>Unit {card.unit}</h3>{pictures}<div class="row">'
        f'<svg viewBox="0 0 96 40" role="img" aria-label="histogram of unit {card.unit}, {low:.3g} to {high:.3g}">'
        f'<path d="{_bars(card.counts)}"/><path class="axis" d="M0 39.5H96"/></svg>{added}</div>'
        f"<p>h from {low:.3g} to {high:.3g}</p>{''.join(f'<p>{escape(fact)}</p>' for fact in facts)}</article>"
    )


def _columns(inside: Inside, card: Card) -> str:
    """Of a table: the columns that the unit moves most."""
    flat = card.added.reshape(-1)
    names = inside.data.columns or tuple(f"column {at + 1}" for at in range(len(flat)))
    order = np.argsort(-np.abs(flat), kind="stable")[:4]
    return "adds " + ", ".join(f"{flat[at]:+.2g} to {escape(str(names[at]))}" for at in order)


def _bars(counts: Array) -> str:
    """A histogram as a path of 96 by 40."""
    heights = np.sqrt(counts / max(1, counts.max())) * 38
    wide = 96 / len(counts)
    return "".join(f"M{at * wide:.1f} 39v-{height:.1f}h{wide - 0.6:.1f}V39z" for at, height in enumerate(heights))
