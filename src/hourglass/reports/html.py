"""A report as one HTML file: styles, scripts, pictures and data are in it, and nothing is fetched or stored.

So it opens from disk, from an attachment, and within MLflow's page of a run's files. Colours follow the reader's
choice of dark or light. Everything that a pointer can do a keyboard can.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hourglass.reports.content import Live, Page

if TYPE_CHECKING:
    from jinja2 import Template


def html(page: Page) -> str:
    """The page as the text of one file."""
    blocks = [block for section in page.sections for block in section.blocks]
    scripts = dict.fromkeys(script for block in blocks if isinstance(block, Live) for script in block.scripts)
    return _template().render(page=page, libraries=list(scripts), style=_text("style.css"), script=_text("script.js"))


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(_text("page.html.jinja"))


@cache
def _text(name: str) -> str:
    return (files("hourglass.reports") / "page" / name).read_text(encoding="utf-8")
