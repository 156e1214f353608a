"""Axes on a picture: a frame with ticks, and numbers drawn in it as points, bars and lines."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from hourglass.figures.picture import Array, Picture

_SHARP = 3  # lines are drawn so many times as large, else they would have steps
Ticks = Sequence[tuple[float, str]]


class Chart:
    """A frame whose inside spans `x` and `y`, with ticks and names.

    Args:
        picture: it stands on.
        box: left, top, width, height of the frame in pixels.
        x: values at the left and the right end, finite and different.
        y: values at the foot and the top.
        x_ticks: places and labels; None: round numbers.
        y_ticks: the same for y.
        names: of both axes; empty strings leave them out.
    """

    def __init__(
        self,
        picture: Picture,
        box: tuple[float, float, float, float],
        *,
        x: tuple[float, float],
        y: tuple[float, float],
        x_ticks: Ticks | None = None,
        y_ticks: Ticks | None = None,
        names: tuple[str, str] = ("", ""),
    ) -> None:
        self.picture, self.x, self.y = picture, x, y
        left, top, width, height = self.box = tuple(round(side) for side in box)
        right, foot, above = left + width, top + height, picture.top
        draw = picture.draw
        draw.rectangle((left - 1, above + top - 1, right, above + foot), outline="black")
        widest = 0.0
        for place, label in x_ticks if x_ticks is not None else ticks(*x):
            across = float(self.at(place, y[0])[0])
            draw.line((across, above + foot, across, above + foot + 4), fill="black")
            picture.text(across, foot + 6, label, ha="center", va="top")
        for place, label in y_ticks if y_ticks is not None else ticks(*y):
            down = float(self.at(x[0], place)[1])
            draw.line((left - 5, above + down, left - 1, above + down), fill="black")
            picture.text(left - 8, down, label, ha="right")
            widest = max(widest, 8.4 * len(label))
        if names[0]:
            picture.text(left + width / 2, foot + 26, names[0], ha="center", va="top")
        if names[1]:
            picture.upright(max(12, left - 20 - widest), top + height / 2, names[1])

    def at(self, x: float | Array, y: float | Array) -> tuple[Array, Array]:
        """The pixels, right of and below the picture's corner, where these values stand."""
        left, top, width, height = self.box
        (first, last), (low, high) = self.x, self.y
        across = left + (np.asarray(x) - first) / (last - first) * (width - 1)
        return across, top + (high - np.asarray(y)) / (high - low) * (height - 1)

    def points(self, points: Array, colours: Array, *, diameter: float, opacity: float) -> None:
        """Points (N, 2) as discs in colours (N, 3), 0 to 255; later ones lie above."""
        across, down = self.at(points[:, 0], points[:, 1])
        discs(self.picture, across, down, colours, diameter=diameter, opacity=opacity)

    def bars(self, edges: Array, heights: Array, colour: str) -> None:
        """Bars from the foot to heights (n,), between edges (n + 1,)."""
        across, _ = self.at(edges, self.y[0])
        _, down = self.at(self.x[0], heights.clip(self.y[0], self.y[1]))
        above, foot = self.picture.top, self.box[1] + self.box[3]
        for (start, end), y in zip(pairwise(across.round()), down, strict=True):
            if y < foot - 1:
                self.picture.draw.rectangle((start, above + round(y), max(start, end - 1), above + foot - 1), colour)

    def line(self, x: Array, y: Array, colour: str, *, width: float, marked: bool) -> None:
        """A line through points in their order, with a disc at each if `marked`; broken where one isn't finite."""
        left, top, wide, high = self.box
        mask = Image.new("L", (wide * _SHARP, high * _SHARP))
        draw = ImageDraw.Draw(mask)
        across, down = self.at(x, y)
        places = np.stack([across - left, down - top], axis=1) * _SHARP
        for start, end in pairwise(places):
            if np.isfinite([start, end]).all():
                draw.line((*start, *end), 255, round(width * _SHARP))
        for place in places[np.isfinite(places).all(1)] if marked else ():
            draw.circle(tuple(place), 2 * _SHARP, 255)
        self.picture.image.paste(ImageColor.getrgb(colour), (left, self.picture.top + top), mask.reduce(_SHARP))


def discs(picture: Picture, across: Array, down: Array, colours: Array, *, diameter: float, opacity: float) -> None:
    """Discs in colours (N, 3), 0 to 255, on a picture; those beyond its edge are left out."""
    pixels = np.array(picture.image)
    reach = math.ceil(diameter / 2)
    # Each disc is centred on a pixel, of which those on its rim are covered in part.
    x, y = np.rint(across).astype(int), np.rint(down + picture.top).astype(int)
    height, width, _ = pixels.shape
    inside = (x >= reach) & (x < width - reach) & (y >= reach) & (y < height - reach)
    x, y, colours = x[inside], y[inside], colours[inside]
    for right in range(-reach, reach + 1):
        for below in range(-reach, reach + 1):
            cover = opacity * min(1.0, max(0.0, diameter / 2 + 0.5 - math.hypot(right, below)))
            if cover:
                under = pixels[y + below, x + right].astype(float)
                pixels[y + below, x + right] = under + cover * (colours - under)
    picture.image.paste(Image.fromarray(pixels))


def ticks(low: float, high: float, *, most: int = 8, whole: bool = False) -> list[tuple[float, str]]:
    """Round numbers from `low` to `high`, at most about so many, with their labels; `whole`: none between integers."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((power * factor for factor in (1, 2, 5) if power * factor >= raw), power * 10)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(place * step, f"{place * step:.6g}") for place in range(first, last + 1)]


def limits(values: Array, *, margin: float = 0.05) -> tuple[float, float]:
    """Both ends of an axis for these values, with a margin; NaN and infinite ones are left out."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = margin * (high - low) if high > low else 0.05 * abs(high) or 0.5
    return low - room, high + room
