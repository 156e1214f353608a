"""A picture laid out in screen pixels: mosaics of images, texts, colour scales and, by `Chart`, plotted numbers.

Drawn by Pillow in the colours and the typeface of matplotlib, whose figures with an Axes for each row of images and
a Text for each label take fifty times as long: two seconds for the pictures of a run, ten times its training in a
sweep of small ones.
"""

import math
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

Array = npt.NDArray[Any]

_POINT = 100 / 72  # pixels, at 100 dots per inch
_HORIZONTAL = {"left": "l", "center": "m", "right": "r"}
_VERTICAL = {"top": "a", "center": "m", "bottom": "d"}


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
        lines = textwrap.wrap(title, max(30, int(width / 8.3)))
        self.top = 12 + 19 * len(lines)
        self.image = Image.new("RGB", (round(width), round(self.top + height)), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.texts: list[str] = []
        self.panels: list[Panel] = []
        if lines:
            self.text(8, 6 - self.top, "\n".join(lines), va="top", size=10)

    def text(
        self, left: float, top: float, text: str, *, ha: str = "left", va: str = "center", size: float = 9
    ) -> None:
        """Text of so many points, anchored at this place."""
        if text:
            anchor = _HORIZONTAL[ha] + _VERTICAL[va]
            font = _font(size)
            self.draw.text((left, self.top + top), text, "black", font, anchor, 2 + size / 5, ha)
            self.texts.append(text)

    def upright(self, left: float, top: float, text: str, *, size: float = 9) -> None:
        """Text that reads upwards, its centre at this place."""
        font = _font(size)
        _, _, width, height = font.getbbox(text)
        label = Image.new("L", (math.ceil(width) + 2, math.ceil(height) + 2), 255)
        ImageDraw.Draw(label).text((0, 0), text, 0, font)
        label = label.transpose(Image.Transpose.ROTATE_90)
        self.image.paste(label, (round(left - label.width / 2), round(self.top + top - label.height / 2)))
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
        canvas = np.full((rows * (height + space), columns * (width + space), channels), np.nan)
        for index, image in enumerate(images):
            down, across = index // columns * (height + space), index % columns * (width + space)
            canvas[down : down + height, across : across + width] = np.moveaxis(image, 0, -1)
        canvas = canvas[: rows * (height + space) - space, : columns * (width + space) - space]
        values = canvas[..., 0] if channels == 1 else ((canvas - low) / (high - low)).clip(0, 1)
        panel = Panel(values, value_range, cmap, self.top + top)
        self.show(panel, left, values.shape[1] * zoom, values.shape[0] * zoom, blank=between)
        return panel

    def show(self, panel: Panel, left: float, width: float, height: float, *, blank: str = "#FFFFFF") -> None:
        """Draw a panel so large, NaN in the colour `blank`."""
        size = (max(1, round(width)), max(1, round(height)))
        shown = Image.fromarray(_colours(panel, blank)).resize(size, Image.Resampling.NEAREST)
        self.image.paste(shown, (round(left), round(panel.top)))
        self.panels.append(panel)

    def bar(self, panel: Panel, left: float, top: float, height: float, *, label: str = "") -> None:
        """The colour scale of a panel, with its two ends as numbers."""
        low, high = panel.limits
        scale = _table(panel.cmap)[::-1, None]
        self.image.paste(
            Image.fromarray(scale).resize((10, round(height)), Image.Resampling.NEAREST),
            (round(left), round(self.top + top)),
        )
        self.text(left + 15, top + 1, f"{high:.2g}")
        self.text(left + 15, top + height - 1, f"{low:.2g}")
        if label:
            self.upright(left + 22, top + height / 2, label)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """(height, width, 3)."""
        return np.array(self.image)


def gap(width: int) -> int:
    """Pixels between images of this width."""
    return max(1, width // 14)


def _colours(panel: Panel, blank: str) -> npt.NDArray[np.uint8]:
    """The pixels (h, w, 3) of a panel."""
    values, (low, high) = panel.values, panel.limits
    if values.ndim == 2:
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = ((values - low) / ((high - low) or 1.0) * 256).clip(0, 255)
        lost = np.isnan(scaled)
        pixels = _table(panel.cmap)[np.where(lost, 0, scaled).astype(np.uint8)]
    else:
        lost = np.isnan(values).any(-1)
        pixels = (np.nan_to_num(values) * 255 + 0.5).astype(np.uint8)
    pixels[lost] = ImageColor.getrgb(blank)
    return pixels


@cache
def _table(cmap: str) -> npt.NDArray[np.uint8]:
    """A colour map as (256, 3)."""
    table: npt.NDArray[np.uint8] = matplotlib.colormaps[cmap](np.arange(256), bytes=True)[:, :3]
    return table


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Matplotlib's typeface, so many points high."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, size * _POINT, layout_engine=ImageFont.Layout.BASIC)
