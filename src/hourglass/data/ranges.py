"""Which values a model knows, and what is too far from them.

A model knows the range [low, high] of its training data, of width w = high - low. Given 0 to 255 where it knows 0 to 1,
it answers all the same, and wrong. So what a model is given, or measured on, is compared with that range:

    images, and rows in exactly [0, 1]    at most w / 10 beyond it: resampling overshoots an edge by 9 % (Gibbs)
    images of no usual range              at most w beyond it: a training set need not hold the brightest pixel there is
    other rows                            nothing keeps a column from new extremes, so beyond w there is a warning;
                                          refused is a column whose median lies beyond 10 w: that is another unit

Training images that lie in one of the `USUAL` ranges and fill half of it or more stand for that range: the pixels of a
sample seldom reach both ends of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hourglass.data.dataset import Scaling
from hourglass.system.errors import HourglassError

USUAL = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
OVERSHOOT, EXTREME, OTHER_UNIT = 0.1, 1.0, 10.0
"""Widths beyond the range: allowed where it has ends, allowed where it has none, and no accident any more."""
SLIVER = 0.02
"""Images that fill less of the range draw a warning: 0 to 1 where 0 to 255 is known looks black to the model."""

ANY = "any"
TAKE_ANY = f"say range={ANY} to take them as they are"
ADVICE = f"say range=LOW,HIGH to have values of that range scaled, or range={ANY} to take them as they are"
GREY = (0.0, 255.0)

Range = tuple[float, float]


class Verdict(NamedTuple):
    """What is to be said of values, if anything."""

    refusal: str | None
    warning: str | None


def usual(known: Range) -> Range | None:
    """The usual range that training data of the range `known` stand for, None where there is none."""
    low, high = known
    inside = [each for each in USUAL if each[0] <= low and high <= each[1]]
    return next((each for each in inside if high - low >= (each[1] - each[0]) / 2), None)


def moved(x: Tensor, given: Range, known: Range) -> Tensor:
    """Values of the range `given` in the range that training data of the range `known` stand for."""
    low, high = target = usual(known) or known
    return x if given == target else (x - given[0]) / (given[1] - given[0]) * (high - low) + low


def read_range(value: str | Sequence[float] | None) -> Range | str | None:
    """What a person says of the range of values: `any`, or two numbers, as `0,255` or (0, 255); None says nothing.

    Raises HourglassError for anything else.
    """
    if value is None or value == ANY:
        return value if value is None else ANY
    try:
        low, high = (float(bound) for bound in (value.split(",") if isinstance(value, str) else value))
    except (ValueError, TypeError):
        low = high = 0.0
    if not -torch.inf < low < high < torch.inf:
        raise HourglassError(f"range must be LOW,HIGH with LOW below HIGH, as 0,255, or {ANY}, got {value!r}")
    return low, high


def compare(
    x: Tensor, known: Range, *, scaling: Scaling | None = None, columns: Sequence[str] | None = None
) -> Verdict:
    """Compare values as a model sees them, (N, *shape) and finite, with the range of its training data.

    scaling: of the table, where its rows were scaled. columns: their names, where they have any.
    """
    if not len(x):
        return Verdict(None, None)
    image = x.ndim == 4
    x = x.flatten(1) if x.ndim == 3 else x  # of signals every value is a column
    low, high = ends = (usual(known) if image else None) or known
    width = high - low
    lowest, highest = (float(bound) for bound in x.aminmax())
    excess = max(low - lowest, highest - high)
    if image or (scaling is None and known == (0.0, 1.0)):
        allowed = OVERSHOOT if ends in USUAL else EXTREME
        scaled = "" if scaling is None else ", scaled as the training data's,"
        told = f"values{scaled} from {lowest:g} to {highest:g}, the model was trained on data from {known[0]:g} to"
        told += f" {known[1]:g}"
        if excess > allowed * width:
            return Verdict(told, None)
        return Verdict(None, told if image and 0 < highest - lowest < SLIVER * width else None)
    if excess <= EXTREME * width:
        return Verdict(None, None)
    median, extremes = x.median(0).values, (x.amin(0), x.amax(0))
    refused = _furthest("half of its values", (median, median), known, OTHER_UNIT * width, scaling, columns)
    return Verdict(refused, _furthest("one of its values", extremes, known, EXTREME * width, scaling, columns))


def _furthest(
    what: str,
    spans: tuple[Tensor, Tensor],
    known: Range,
    allowed: float,
    scaling: Scaling | None,
    columns: Sequence[str] | None,
) -> str | None:
    """The column that is furthest outside, in the table's own units; None where none is further than allowed."""
    below, above = known[0] - spans[0], spans[1] - known[1]
    outside = below.maximum(above)
    worst = int(outside.argmax())
    if float(outside[worst]) <= allowed:
        return None
    value = spans[0] if float(below[worst]) > float(above[worst]) else spans[1]
    rows = torch.stack([value, torch.full_like(value, known[0]), torch.full_like(value, known[1])])
    found, low, high = (rows if scaling is None else scaling.undo(rows))[:, worst].tolist()
    name = columns[worst] if columns else worst
    side = "below" if found < low else "above"
    return f"column {name} with {what} at {found:g} or {side}, the model was trained on data from {low:g} to {high:g}"
