"""The published figures: where each is from, how it is trained, and that a miss is shown."""

from pathlib import Path

from experiments import records
from experiments.published_figures.page import missed, page
from experiments.published_figures.published import FIGURES
from hourglass.configuration.groups import choices

HERE = Path(__file__).resolve().parents[1] / "experiments" / "published_figures"


def test_every_figure_says_where_it_is_from_and_how_it_is_trained() -> None:
    assert len({figure.key for figure in FIGURES}) == len(FIGURES) >= 12
    recipes = choices()["experiment"]
    for figure in FIGURES:
        assert figure.source
        assert figure.why
        assert figure.closed or {figure.name, figure.before or figure.name} <= set(recipes)
    families = " ".join(figure.family for figure in FIGURES)
    for family in ("plain", "deep", "convolutional", "denoising", "sparse", "regularized", "variational", "discrete"):
        assert family in families
    assert {"linear, PCA", "baseline"} <= {figure.family for figure in FIGURES}


def test_what_was_published_and_allowed_when_it_was_measured_is_so_today() -> None:
    results = records.read(HERE / "results.csv")
    assert set(results) <= {figure.key for figure in FIGURES}
    for figure in FIGURES:
        if figure.key not in results:
            continue
        runs = results[figure.key]
        assert (runs[""]["published"], runs[""]["tolerance"]) == (float(figure.published), figure.tolerance)
        measured = tuple(seed for seed, run in runs.items() if figure.metric in run)
        assert measured in (figure.seeds, records.SUMMARY), figure.key


def test_a_miss_and_what_was_not_run_are_shown() -> None:
    first, second = FIGURES[:2]
    results = {first.key: {"": {first.metric: float(first.published) + 2 * first.tolerance}}}
    assert missed(results) == [first]
    text = page(results)
    assert f"0 of the 1 figures that were run are met. Missed: {first.what}. Not run: {second.what}; " in text
    assert "| **no** |" in text
    assert "| not run: needs a GPU |" in text
