"""Debian's Chromium, driven by Playwright, and the dashboard that it looks at."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SIZE = {"width": 1600, "height": 900}
WAIT = 90_000
"""Milliseconds after which a page is given up."""


@contextmanager
def dashboard(folder: Path) -> Iterator[str]:
    """`hourglass ui` on the store in a folder; its address."""
    command = [sys.executable, "-c", "from hourglass.tracking import serve; serve(uri=None, port=0)"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[1]
    finally:
        server.terminate()
        server.wait()


@contextmanager
def browser() -> Iterator[Any]:
    """A browser that nobody has used before, each of whose contexts is a person of their own; skips without one."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def visitor(opened: Any) -> Iterator[Any]:
    """A page of a person whose browser holds nothing yet."""
    context = opened.new_context(viewport=SIZE)
    context.set_default_timeout(WAIT)
    yield context.new_page()
    context.close()


def columns(page: Any) -> list[str]:
    """The names of the table's columns that are in sight, from left to right."""
    cells = page.evaluate(
        "[...document.querySelectorAll('.ag-header-cell[col-id]')]"
        ".map(cell => [cell.getBoundingClientRect().left, cell.getAttribute('col-id')])"
    )
    return [name for _, name in sorted(cells)]


def values(page: Any, column: str) -> list[str]:
    """What the rows of the table say in a column, from top to bottom."""
    cells = page.evaluate(
        "column => [...document.querySelectorAll('.ag-cell')].filter(cell => cell.getAttribute('col-id') === column)"
        ".map(cell => [cell.getBoundingClientRect().top, cell.innerText])",
        column,
    )
    return [text.strip().split("\n")[-1] for _, text in sorted(cells)]  # a name stands behind its colour
