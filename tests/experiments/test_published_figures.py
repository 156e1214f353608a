"""The page of the published figures is what its numbers say, and its numbers are of the figures in the table."""

import csv
import runpy
from pathlib import Path
from typing import Any

import pytest

from hourglass.configuration.groups import choices

HERE = Path(__file__).resolve().parents[2] / "experiments" / "published_figures"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of page.py, which another record has too."""
    monkeypatch.syspath_prepend(str(HERE))
    return runpy.run_path(str(HERE / "page.py"))


def test_the_page_is_made_of_the_numbers(page: dict[str, Any]) -> None:
    assert (HERE / "README.md").read_text(encoding="utf-8") == page["page"](page["read"]())


def test_the_numbers_are_of_the_figures_each_with_all_seeds_or_none(page: dict[str, Any]) -> None:
    with (HERE / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == page["COLUMNS"]
    figures = {figure.key: figure for figure in page["FIGURES"]}
    assert len(figures) == len(page["FIGURES"]) >= 12
    for key, figure in figures.items():
        of_it = [row for row in rows if row["figure"] == key]
        seeds = ["" if seed is None else str(seed) for seed in figure.seeds]
        assert [row["seed"] for row in of_it] in ([], seeds), key
        stated = {(row["metric"], row["published"], float(row["tolerance"])) for row in of_it}
        assert stated <= {(figure.metric, figure.published, figure.tolerance)}, key
    assert {row["figure"] for row in rows} <= set(figures)


def test_every_figure_says_where_it_is_from_and_how_it_is_trained(page: dict[str, Any]) -> None:
    recipes = choices()["experiment"]
    for figure in page["FIGURES"]:
        assert figure.source
        assert figure.why
        assert figure.closed or {figure.name, figure.before or figure.name} <= set(recipes)
    families = " ".join(figure.family for figure in page["FIGURES"])
    for family in ("plain", "deep", "convolutional", "denoising", "sparse", "regularized", "variational", "discrete"):
        assert family in families


def test_a_miss_and_what_was_not_run_are_shown(page: dict[str, Any]) -> None:
    first, second = page["FIGURES"][:2]
    text = page["page"]({(first.key, None): float(first.published) + 2 * first.tolerance})
    assert "0 of 1 figures are met." in text
    assert f"Missed: {first.what}." in text
    assert "| **no** |" in text
    assert f"Not run: {second.what}; " in text
    assert "not run: needs a GPU" in text
