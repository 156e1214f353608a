"""A picture laid out in screen pixels: mosaics of images, texts, colour scales and, by `Chart`, plotted numbers.

Drawn by Pillow in the colours and the typeface of matplotlib, whose figures with an Axes for each row of images and
a Text for each label take fifty times as long: two seconds for the pictures of a run, ten times its training in a
sweep of small ones.
"""

import math
import textwrap
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

Array = npt.NDArray[Any]

_POINT = 100 / 72  # pixels, at 100 dots per inch
_BACK = {"left": 0.0, "center": 0.5, "right": 1.0}  # of a text's width, from its anchor
_UP = {"top": 0.0, "center": 0.5, "bottom": 1.0}  # of its height
_LEVELS = 255  # colours of a scale; one index is left for what is not drawn


class Panel(NamedTuple):
    """An array as it is shown."""

    values: Array
    """(h, w), or (h, w, 3) of colours from 0 to 1; NaN where nothing is drawn."""
    limits: tuple[float, float]
    """The ends of the colour scale."""
    cmap: str
    top: float
    """Pixels from the picture's upper edge."""


class Picture:
    """Pixels from the top left corner below a title; white, 100 dots per inch.

    `texts` and `panels` hold what it says and shows so far.

    Args:
        width: of the whole picture, at least 440 pixels: else a title would have more lines than words.
        height: of what stands below the title.
        title: broken into lines where it doesn't fit.
    """

    def __init__(self, *, width: float, height: float, title: str) -> None:
        width = max(width, 440.0)
        lines = textwrap.wrap(title, max(30, int(width / 9.2)))
        self.top = 12 + 21 * len(lines)
        self.image = Image.new("RGB", (round(width), round(self.top + height)), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.texts: list[str] = []
        self.panels: list[Panel] = []
        if lines:
            self.text(8, 6 - self.top, "\n".join(lines), va="top", size=11)

    def text(
        self, left: float, top: float, text: str, *, ha: str = "left", va: str = "center", size: float = 10.5
    ) -> None:
        """Text of so many points, anchored at this place."""
        lines = [_written(line, size) for line in text.split("\n")]
        pitch = lines[0].height + 1
        y = self.top + top - _UP[va] * (pitch * len(lines) - 1)
        for number, line in enumerate(lines):
            self.image.paste("black", (round(left - _BACK[ha] * line.width), round(y + number * pitch)), line)
        if text:
            self.texts.append(text)

    def upright(self, left: float, top: float, text: str, *, size: float = 10.5) -> None:
        """Text that reads upwards, its centre at this place."""
        line = _written(text, size).transpose(Image.Transpose.ROTATE_90)
        self.image.paste("black", (round(left - line.width / 2), round(self.top + top - line.height / 2)), line)
        self.texts.append(text)

    def mosaic(
        self,
        left: float,
        top: float,
        images: Array,
        *,
        columns: int,
        value_range: tuple[float, float],
        zoom: float,
        cmap: str = "gray",
        between: str = "#FFFFFF",
        space: int | None = None,
    ) -> Panel:
        """Images (n, C, H, W), with the colour `between` around them and where a value is NaN.

        C = 1 on a colour map over `value_range`, C = 3 as colours over `value_range`; `zoom` screen pixels for each
        of theirs, of which `space` lie between two images (None: as many as `gap` says).
        """
        low, high = value_range
        count, channels, height, width = images.shape
        space = gap(width) if space is None else space
        rows = math.ceil(count / columns)
        cells = np.full((rows * columns, channels, height + space, width + space), np.nan)
        cells[:count, :, :height, :width] = images
        canvas = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 3, 1, 4, 2)
        canvas = canvas.reshape(rows * (height + space), columns * (width + space), channels)
        canvas = canvas[: rows * (height + space) - space, : columns * (width + space) - space]
        values = canvas[..., 0] if channels == 1 else ((canvas - low) / (high - low)).clip(0, 1)
        panel = Panel(values, value_range, cmap, self.top + top)
        self.show(panel, left, values.shape[1] * zoom, values.shape[0] * zoom, blank=between)
        return panel

    def show(self, panel: Panel, left: float, width: float, height: float, *, blank: str = "#FFFFFF") -> None:
        """Draw a panel so large, NaN in the colour `blank`."""
        size = (max(1, round(width)), max(1, round(height)))
        shown = _drawn(panel, blank).resize(size, Image.Resampling.NEAREST)
        self.image.paste(shown, (round(left), round(panel.top)))
        self.panels.append(panel)

    def bar(self, panel: Panel, left: float, top: float, height: float, *, label: str = "") -> None:
        """The colour scale of a panel, with its two ends as numbers."""
        low, high = panel.limits
        scale = Image.fromarray(colours(panel.cmap)[::-1, None])
        scale = scale.resize((10, round(height)), Image.Resampling.NEAREST)
        self.image.paste(scale, (round(left), round(self.top + top)))
        self.text(left + 15, top + 1, f"{high:.2g}")
        self.text(left + 15, top + height - 1, f"{low:.2g}")
        if label:
            self.upright(left + 22, top + height / 2, label)

    def to_image(self, *, heading: str = "") -> Image.Image:
        """Grey if there is no colour in it, which halves the time of writing it.

        Args:
            heading: what it is of, in lines above the title.
        """
        image = self.image
        if lines := textwrap.wrap(heading, max(30, int(image.width / 9.2))):
            above = 4 + 21 * len(lines)
            image = Image.new("RGB", (image.width, image.height + above), "white")
            image.paste(self.image, (0, above))
            for number, line in enumerate(lines):
                image.paste("black", (8, 6 + 21 * number), _written(line, 11))
        red, green, blue = image.split()
        return red if red.tobytes() == green.tobytes() == blue.tobytes() else image


def gap(width: int) -> int:
    """Pixels between images of this width."""
    return max(1, width // 14)


def levels(values: Array, limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Places on a scale of 255 colours; 255 where a value is NaN."""
    low, high = limits
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = ((values - low) / ((high - low) or 1.0) * _LEVELS).clip(0, _LEVELS - 1)
    places: npt.NDArray[np.uint8] = np.nan_to_num(scaled, copy=False, nan=_LEVELS).astype(np.uint8)
    return places


@cache
def colours(cmap: str) -> npt.NDArray[np.uint8]:
    """The 255 colours of a matplotlib scale, (255, 3)."""
    import matplotlib

    table: npt.NDArray[np.uint8] = matplotlib.colormaps[cmap](np.linspace(0, 1, _LEVELS), bytes=True)[:, :3]
    return table


def _drawn(panel: Panel, blank: str) -> Image.Image:
    """A panel with a pixel for each of its values."""
    if panel.values.ndim == 2:
        image = Image.fromarray(levels(panel.values, panel.limits))
        image.putpalette(colours(panel.cmap).tobytes() + bytes(ImageColor.getrgb(blank)))
        return image
    pixels = (np.nan_to_num(panel.values) * 255 + 0.5).astype(np.uint8)
    pixels[np.isnan(panel.values).any(-1)] = ImageColor.getrgb(blank)
    return Image.fromarray(pixels)


@lru_cache(1000)
def _written(line: str, size: float) -> Image.Image:
    """A line of text as a mask.

    Kept, for the pictures of all runs say much the same; and of glyphs that are kept, since FreeType takes most of a
    picture's time to make them.
    """
    glyphs = [_glyph(character, size) for character in line or " "]
    mask = Image.new("L", (sum(advance for _, advance in glyphs) + 2, glyphs[0][0].height))
    left = 0
    for glyph, advance in glyphs:
        mask.paste(255, (left, 0), glyph)
        left += advance
    return mask


@cache
def _glyph(character: str, size: float) -> tuple[Image.Image, int]:
    """A character as a mask, with a pixel of room on both sides, and the way to the next."""
    font = _font(size)
    advance = round(font.getlength(character))
    mask = Image.new("L", (advance + 2, sum(font.getmetrics())))
    ImageDraw.Draw(mask).text((1, 0), character, 255, font)
    return mask, advance


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Matplotlib's typeface, so many points high."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, size * _POINT, layout_engine=ImageFont.Layout.BASIC)
