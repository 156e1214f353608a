"""From the first page to an insight, in a real browser: a real small sweep, the real `hourglass ui`, clicks counted.

What was seen is kept in `build/screenshots`.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.driving import browser, columns, dashboard, values, visitor

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SEEN = Path(__file__).resolve().parents[2] / "build" / "screenshots"
COMMON = ["data=digits", "training.epochs=15", "sweep.workers=2"]
SWEEP = [*COMMON, "optimizer.lr=0.01", "model.code_size=2,4,16,0", "noise=none,masking", "seed=0,1"]  # 0 is refused
LOST = [
    *COMMON,
    "data.train_size=200",
    "loss=mse",
    "model.output_activation=linear",
    "optimizer.lr=0.01,1e30",
    "study=how fast may it learn",
]  # one diverges


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for words in (LOST, SWEEP):
        command = [sys.executable, "-m", "hourglass", "train", "-m", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 1, done.stderr
        said = done.stdout + done.stderr
        assert "page     http://127.0.0.1:5000/#/experiments/1/runs/" in said
        pictures = [line.split()[-1] for line in said.splitlines() if "picture  " in line]
        assert pictures
        assert all((folder / path).is_file() for path in pictures), pictures
    return folder


@pytest.fixture(scope="module")
def address(store: Path) -> Iterator[str]:
    with dashboard(store) as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The first page, as it is when everything stands."""
    with visitor(chromium) as opened:
        opened.goto(address)
        opened.get_by_text("digits: code_size, noise, seed").first.wait_for()
        opened.wait_for_function("document.querySelectorAll('.ag-center-cols-container .ag-row').length > 10")
        opened.wait_for_timeout(1000)
        yield opened


def shot(page: Any, name: str) -> None:
    SEEN.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(1000)
    page.screenshot(path=SEEN / f"{name}.png")


def pictures(page: Any, part: str, *, least: int = 1) -> list[int]:
    """The widths of the pictures in sight whose address has this part, once so many are there."""
    page.wait_for_function(
        "([part, least]) => [...document.images].filter(image => image.src.includes(part) && image.naturalWidth > 0)"
        ".length >= least",
        arg=[part, least],
    )
    found = page.evaluate(
        "part => [...document.images].filter(i => i.src.includes(part)).map(i => i.naturalWidth)", part
    )
    return [int(width) for width in found]


def beside(page: Any) -> None:
    """What stands beside a description is not pushed out of the page."""
    right = page.get_by_role("heading", name="About this run").evaluate(
        "heading => heading.parentElement.getBoundingClientRect().right"
    )
    assert right <= page.viewport_size["width"]


def test_the_first_page_has_the_columns_that_matter_and_the_best_run_on_top(page: Any) -> None:
    shot(page, "first_page")
    found = columns(page)
    main = ["params.`model.code_size`", "params.`seed`", "tags.`noise`", "metrics.`test/mse`"]
    assert [name for name in found if name in main] == main
    assert "attributes.`Run Name`" in found
    errors = [float(text.rstrip("…")) for text in values(page, "metrics.`test/mse`") if text != "-"]
    assert len(errors) >= 12
    assert errors == sorted(errors)
    names = values(page, "attributes.`Run Name`")
    assert names[0].startswith("vanilla digits: code_size")  # the latest study is pinned, the best run below it
    assert any(name.startswith(("16 no noise d0", "16 masking d0")) for name in names[2:4]), names


def test_one_click_to_the_best_setting(page: Any) -> None:
    page.get_by_role("link", name="16 no noise d0").first.click()
    page.get_by_role("heading", name="About this run").wait_for()
    page.get_by_text("Description").first.wait_for()
    assert pictures(page, "reconstructions.png")[0] <= 860
    shot(page, "run")
    said = page.locator("body").inner_text()
    assert "16 no noise d0" in said
    assert "PSNR" in said
    beside(page)


def test_two_clicks_to_what_all_models_reconstruct_and_one_to_sparsity(page: Any) -> None:
    page.get_by_role("link", name="vanilla digits: code_size").first.click()
    page.get_by_role("heading", name="About this run").wait_for()
    page.get_by_text("Best: code size 16").wait_for()
    assert "active units" in page.locator("p", has_text="Best: code size 16").first.inner_text()
    shot(page, "study")
    beside(page)
    page.get_by_text("Show more").first.click()
    for name in ("mosaic", "curves", "heat_map"):
        assert 400 < pictures(page, f"{name}.png")[0] <= 860
    said = page.locator("body").inner_text()
    assert "12 of 16 jobs finished, 4 refused" in said
    assert "refused: model.code_size=0" in said
    assert "code_size" in said
    assert "hourglass train -m data=digits" in said
    page.locator("img[src*='mosaic']").first.scroll_into_view_if_needed()
    shot(page, "study_mosaic")
    beside(page)


def test_a_failed_job_says_why(page: Any) -> None:
    page.get_by_role("link", name="how fast may it learn").first.click()
    page.get_by_role("heading", name="About this run").wait_for()
    page.get_by_text("Show more").first.click()
    said = page.locator("body").inner_text()
    assert "1 of 2 jobs finished, 1 failed" in said
    assert "failed: optimizer.lr=1" in said


def test_the_charts_begin_with_the_final_pictures(page: Any) -> None:
    page.locator("label", has=page.locator("input[value=CHART]")).click()
    assert len(pictures(page, "final~", least=6)) >= 6
    shot(page, "grid")


def test_what_a_person_changes_stays(page: Any, address: str) -> None:
    page.get_by_test_id("sort-header-seed").click()
    page.wait_for_url("**/*orderByKey=params.*")
    page.wait_for_timeout(1000)
    page.goto("about:blank")
    page.goto(address)
    page.get_by_text("digits: code_size, noise, seed").first.wait_for()
    page.wait_for_timeout(1000)
    assert "orderByKey=params.%60seed%60" in page.url
