"""The pages opened from disk, in Debian's Chromium: what a reader sees, does and hears.

Screenshots are left in the folder that `HOURGLASS_SCREENSHOTS` names, else in the test's own.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hourglass.commands.main import main

from .conftest import best_runs, thousand

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        driven = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield driven
        driven.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a file; no script may complain, and no request may leave the file."""
    complaints: list[str] = []
    contexts = []

    def open_file(path: Path, *, wide: int = 1280, dark: bool = False) -> Any:
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": wide, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: complaints.append(asked.url) if asked.url.startswith("http") else None)
        page.goto(path.as_uri())
        folder = Path(os.environ.get("HOURGLASS_SCREENSHOTS", tmp_path))
        folder.mkdir(parents=True, exist_ok=True)
        if page.locator("#map-plot").count():
            page.wait_for_selector("#map-plot[data-ready]")
        page.screenshot(path=folder / f"{path.stem}_{scheme}_{wide}.png", full_page=True)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert complaints == []


def faults(page: Any) -> list[str]:
    """What axe finds serious or worse."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['help']}" for each in found if each["impact"] in ("serious", "critical")]


@pytest.mark.usefixtures("in_small")
def test_a_report_is_read_turned_and_asked(tmp_path: Path, opened: Callable[..., Any]) -> None:
    assert main(["report", "small", f"into={tmp_path}/report.html"]) == 0
    for wide, dark in ((1280, False), (1280, True), (400, False)):
        page = opened(tmp_path / "report.html", wide=wide, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert faults(page) == []
    page = opened(tmp_path / "report.html")
    assert page.locator(".main").bounding_box()["y"] < 200  # the conclusion is on the first screen

    # The table sorts, by keyboard too, and keeps the rows of a word.
    head = page.get_by_role("button", name="test MSE")
    head.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    errors = [float(cell) for cell in page.locator("tbody td:nth-child(4)").all_inner_texts()]
    assert errors == sorted(errors, reverse=True)
    assert page.locator("th[aria-sort=descending]").count() == 1

    # The map answers to the pointer, to a number that is typed, and to the lasso.
    plot = page.locator("#map-plot").bounding_box()
    page.locator("#map-plot").scroll_into_view_if_needed()
    page.get_by_label("Sample").fill("7")
    assert page.locator("#map-shown p").first.inner_text().startswith("Sample 7, class ")
    assert page.locator("#map-shown .thumb").count() == 3
    plot = page.locator("#map-plot").bounding_box()
    left, top, wide, high = plot["x"] + 80, plot["y"] + 10, plot["width"] - 160, plot["height"] - 80
    corners = ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))
    page.mouse.move(left, top)
    page.mouse.down()
    for across, down in corners:
        page.mouse.move(left + across * wide, top + down * high, steps=8)
    page.mouse.up()
    page.wait_for_selector("#map-lassoed .thumb")
    assert int(page.locator("#map-lassoed p").inner_text().split()[0]) > 60
    page.get_by_label("Colour by").select_option("error")
    assert page.locator("#map-key").inner_text().startswith("error 0")

    # Cards come in another order.
    page.get_by_label("Order of the cards").select_option("unit")
    assert page.locator(".card h3").all_inner_texts() == [f"Unit {number}" for number in range(1, 10)]


def test_pointing_at_a_code_shows_its_sample(in_small: str, tmp_path: Path, opened: Callable[..., Any]) -> None:
    assert main(["report", best_runs(in_small)[0], f"into={tmp_path}/one.html"]) == 0
    page = opened(tmp_path / "one.html")
    page.locator("#map-plot").scroll_into_view_if_needed()
    place = page.evaluate(
        """() => {
            const view = Object.values(Bokeh.index.roots ?? Bokeh.index)[0];
            const frame = view.frame, data = view.model.renderers[0].data_source.data;
            const box = document.getElementById("map-plot").getBoundingClientRect();
            return [frame.x_scale.compute(data.x[41]) + box.x, frame.y_scale.compute(data.y[41]) + box.y];
        }"""
    )
    page.mouse.move(place[0] - 3, place[1])
    page.mouse.move(*place, steps=3)
    page.wait_for_function("document.getElementById('map-sample').value !== '1'")
    assert "class" in page.locator("#map-shown p").first.inner_text()


def test_a_comparison_is_read(in_small: str, tmp_path: Path, opened: Callable[..., Any]) -> None:
    best, *_, worst = best_runs(in_small)
    assert main(["compare", best, worst, f"into={tmp_path}/both.html"]) == 0
    for wide, dark in ((1280, False), (1280, True), (400, False)):
        page = opened(tmp_path / "both.html", wide=wide, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert faults(page) == []


def test_a_thousand_runs_are_one_page(
    tmp_path: Path, opened: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    uri = thousand(tmp_path)
    assert main(["report", "thousand", f"uri={uri}", f"into={tmp_path}/thousand.html"]) == 0
    assert (tmp_path / "thousand.html").stat().st_size < 5e6
    page = opened(tmp_path / "thousand.html")
    assert page.locator("tbody tr").count() == 1000
    page.get_by_label("Show rows with").fill("failed")
    assert page.locator("p.filter [role=status]").inner_text() == "11 of 1000 rows"
    timing = "performance.timing.loadEventEnd - performance.timing.navigationStart"
    record_property("milliseconds to load", page.evaluate(timing))  # not held: machines differ
