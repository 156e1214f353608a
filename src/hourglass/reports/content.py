"""What a page holds, whatever it becomes: each part knows its words, and pictures say in words what they show."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hourglass.tracking.mlflow_internals import meant


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Text, a paragraph or a line of a list each."""

    kind: ClassVar[str] = "sentences"
    lines: Sequence[str]
    listed: bool = False


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something to be typed."""

    kind: ClassVar[str] = "command"
    text: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure of matplotlib's, which can be SVG, or an image, which is PNG."""

    kind: ClassVar[str] = "picture"
    name: str
    """Of its file, without an ending."""
    figure: Any
    """Matplotlib's `Figure`, a `Picture` of `hourglass.figures` or a PIL image."""
    says: str
    """What is to be seen, for those who don't see it; and the caption."""

    @property
    def has_vector(self) -> bool:
        """Whether it can be SVG."""
        return hasattr(self.figure, "savefig")

    def svg(self) -> bytes:
        """It as SVG, text as outlines, so that it looks the same everywhere."""
        from matplotlib import rc_context

        file = io.BytesIO()
        with rc_context({"svg.hashsalt": self.name}):  # the same file each time
            self.figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    def png(self) -> bytes:
        """It as PNG."""
        from PIL import Image

        file, image = io.BytesIO(), self.figure
        if not isinstance(image, Image.Image):
            if self.has_vector:
                from hourglass.figures.canvas import to_array

                image = Image.fromarray(to_array(self.figure))
            else:
                image = self.figure.to_image()
        image.save(file, "PNG", optimize=True)
        return file.getvalue()

    @property
    def address(self) -> str:
        """It as a data URI."""
        mime, content = ("svg+xml", self.svg()) if self.has_vector else ("png", self.png())
        return f"data:image/{mime};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    number: bool = False
    """Whether it holds numbers, which stand right and sort by size."""
    bar: bool = False
    """Whether a bar shows each number beside the column's largest."""
    low_is_good: bool | None = None
    """Whether the least number, or the largest, is marked; None: neither."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table that can be sorted."""

    kind: ClassVar[str] = "grid"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | float | None]]
    """None where there is nothing."""

    @property
    def cells(self) -> list[list[dict[str, Any]]]:
        """Every cell as it is shown: its text, the number that it sorts by, the length of its bar in per cent."""
        tops, best = {}, {}
        for at, column in enumerate(self.columns):
            numbers = [meant(value) for row in self.rows if isinstance(value := row[at], int | float)]
            numbers = [number for number in numbers if not math.isnan(number)]
            if column.bar:
                tops[at] = max(map(abs, filter(math.isfinite, numbers)), default=0.0) or 1.0
            if column.low_is_good is not None and len(set(numbers)) > 1:
                best[at] = min(numbers) if column.low_is_good else max(numbers)

        def cell(at: int, value: str | float | None) -> dict[str, Any]:
            number = meant(value) if isinstance(value, int | float) else None
            drawn = number if at in tops and number is not None and math.isfinite(number) else None
            return {
                "text": told(value),
                "number": str(number).replace("inf", "Infinity") if number is not None else None,  # as scripts read it
                "bar": None if drawn is None else round(100 * abs(drawn) / tops[at]),
                "best": at in best and number == best[at],
            }

        return [[cell(at, value) for at, value in enumerate(row)] for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Live:
    """A part that a reader can turn: HTML with the data and the scripts that it needs."""

    kind: ClassVar[str] = "live"
    html: str
    says: str
    """What it is, for Markdown."""
    scripts: Sequence[str] = ()
    """Libraries that the page holds once."""


Block = Sentences | Command | Picture | Grid | Live


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page under a heading."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """What a link to it says."""
        return "".join(char if char.isalnum() else "-" for char in self.title.lower()).strip("-")


@dataclass(frozen=True, kw_only=True)
class Page:
    """A report."""

    title: str
    question: str = ""
    conclusion: Sequence[str] = field(default_factory=tuple)
    """The first is the main one."""
    sections: Sequence[Section] = field(default_factory=tuple)
    foot: str = ""


def told(value: str | float | None) -> str:
    """A value as a reader sees it: four digits that count."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    value = meant(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):  # no infinity is one
        return f"{value:,.0f}"
    return f"{value:.4g}"
