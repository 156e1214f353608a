"""Reports, comparisons and lists of a real study, by the commands that a person types."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hourglass.commands.main import main
from hourglass.reports.code_map import code_map
from hourglass.reports.content import Grid, Live
from hourglass.reports.inside import Inside
from hourglass.reports.model import model_sections
from hourglass.reports.units import unit_cards
from hourglass.sweeps.studies.gathering import gather
from hourglass.sweeps.studies.report import report
from hourglass.tracking import Run, search_runs

from .conftest import best_runs


def test_a_sweep_leaves_its_report(in_small: str) -> None:
    (study,) = search_runs(in_small, None, "tags.kind = 'study'")
    text = Run.find(study.info.run_id, in_small).artifact("report.html").read_text(encoding="utf-8")
    assert "<h1>small</h1>" in text
    assert re.search(r'<p class="main">Best: code size 9, noise none, with a test MSE of', text)
    assert re.search(r"<li>Code size: 9 is best .* over 2 seeds\), .*; 2 of 2 seeds agree\.</li>", text)
    assert text.count("<tr><td") == 8
    assert "No job failed." in text
    assert "<figure>" not in text  # callback=quick: no pictures


def test_each_job_stands_with_the_verdict_on_its_run(in_small: str) -> None:
    (study,) = search_runs(in_small, None, "tags.kind = 'study'")
    text = Run.find(study.info.run_id, in_small).artifact("report.html").read_text(encoding="utf-8")
    given = gather([study.info.run_id], uri=in_small)
    sections = {each.title: each for each in report(given, uri=in_small, figures=False, models=False).sections}
    (grid,) = sections["Jobs"].blocks
    assert isinstance(grid, Grid)
    names = [column.name for column in grid.columns]
    verdict, run = names.index("verdict"), names.index("run")
    said = {row[run]: row[verdict] for row in grid.rows}
    health = {job.info.run_id[:8]: job.data.tags["health"] for job in given.jobs}
    assert said == health
    assert set(health.values()) != {"ok"}  # two epochs are too few
    assert all(f"<td>{each}</td>" in text for each in health.values())


@pytest.mark.usefixtures("in_small")
def test_the_command_writes_page_markdown_and_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"into={tmp_path}/page.html", f"markdown={tmp_path}/md", f"figures={tmp_path}/svg"]
    assert main(["report", "small", *words]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for title in ("Error over the settings", "The same images", "Map of the code", "Units of the code"):
        assert f">{title}</h2>" in text
    assert len(text) < 5e6
    assert {file.name for file in (tmp_path / "md").iterdir()} >= {"README.md", "heat_map.png", "mosaic.png"}
    assert {file.name for file in (tmp_path / "svg").iterdir()} >= {"heat_map.svg", "curves.svg", "main_effects.svg"}
    assert "Code size: 9 is best" in capsys.readouterr().out


def test_runs_of_one_or_several(in_small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, *_, worst = best_runs(in_small)
    assert main(["report", best[:8], f"into={tmp_path}/one.html", "models=false"]) == 0
    assert capsys.readouterr().out.startswith("  Test MSE 0.")
    assert main(["report", best, worst, f"into={tmp_path}/two.html", "models=false"]) == 0
    text = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert "Varied: code size (model.code_size) 9, 2; noise none, masking" in text.replace("2, 9", "9, 2")
    assert text.count("<tr><td") == 2  # no grid was meant


def test_compared_runs_say_what_differs_and_whether_seeds_would(
    in_small: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, *_, worst = best_runs(in_small)
    assert main(["compare", best, worst, f"into={tmp_path}/both.html"]) == 0
    said = capsys.readouterr().out
    differing = said.partition("What differs")[2].partition("Numbers")[0]
    keys = [line.split()[0] for line in differing.strip().splitlines()[2:] if line]
    assert keys[0] == "model.code_size"
    assert set(keys) - {"seed"} == {"model.code_size", "noise"}  # and nothing below the choice of noise
    assert re.search(r"^test/mse .* clear$", said, re.MULTILINE)
    assert re.search(r"more test MSE than A, 95 % interval \+.*% to \+.*% over 2 seeds\.$", said, re.MULTILINE)
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "all errors on one scale" in text
    assert 'id="units-A"' in text
    assert 'id="units-B"' in text


def test_runs_are_listed_with_filters(in_small: str, capsys: pytest.CaptureFixture[str]) -> None:
    def listed(*words: str) -> list[str]:
        assert main(["runs", *words]) == 0
        return capsys.readouterr().out.splitlines()

    head, only = listed()
    assert head.split()[:3] == ["name", "id", "kind"]
    assert only.startswith("small ")
    assert len(listed("kind=training")) == 9
    found = listed("noise=none", "model.code_size=9", "sort=error")
    assert len(found) == 3
    assert best_runs(in_small)[0][:8] in found[1]
    assert listed("nowhere") == ["no run is like that"]
    assert listed("kind=training", "limit=2")[-1] == "and 6 more: limit=8 shows all"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "small", "map=umap"], "report: map must be one of pca, tsne, got 'umap'"),
        (["report", "small", "inot=x"], "report takes into=, markdown=, figures=, map=, models=, uri=, got inot=x"),
        (["report", "small", "into="], "report: into must have a value, got none"),
        (["report", "unknown"], "run 'unknown' is not in"),
        (["compare", "small", "small"], "compare takes trainings, run small"),
        (["runs", "kind=job"], "runs: kind must be one of study, training, evaluation, got 'job'"),
        (["runs", "limit=0"], "runs: limit must be at least 1, got '0'"),
    ],
)
@pytest.mark.usefixtures("in_small")
def test_mistakes(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    found = capsys.readouterr().err
    assert found.startswith(f"hourglass: {said}")
    assert found.count("\n") == 1


def test_cards_hold_what_the_code_does(in_small: str) -> None:
    inside = Inside.of(best_runs(in_small)[0], uri=in_small)
    assert len(inside.code) == len(inside.errors) == 180  # the test set of digits
    added = inside.added(np.array([3]))
    low, high = np.quantile(inside.code[:, 3].numpy(), [0.05, 0.95])
    moved = inside.code.mean(0, keepdim=True).repeat(2, 1)
    moved[0, 3], moved[1, 3] = low, high
    both = inside.trained.model.decode(moved).detach().numpy()
    np.testing.assert_allclose(added[0], both[1] - both[0], atol=1e-5)
    words, _, live = unit_cards(inside)
    assert words.lines[0].startswith("9 units, numbered from 1 as in every picture; 0 never on")  # type: ignore[union-attr]
    assert isinstance(live, Live)
    assert sorted(map(int, re.findall(r'data-unit="(\d+)"', live.html))) == list(range(1, 10))
    assert inside.place(0) == ""  # of a dense code


def test_a_map_has_its_points_and_their_colours(in_small: str) -> None:
    sections = model_sections(best_runs(in_small)[0], uri=in_small, code_map="pca", label="")
    live = next(block for block in sections[0].blocks if isinstance(block, Live))
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', live.html)[1])  # type: ignore[index]
    assert list(data["shades"])[:2] == ["class", "error"]
    assert "unit 9" in data["shades"]
    assert {len(levels) for levels in data["shades"].values()} == {180}
    assert data["sheet"].startswith("data:image/webp;base64,")


def test_a_model_that_is_gone_costs_its_part_of_the_report(in_small: str) -> None:
    best = best_runs(in_small)[0]
    file = Run.find(best, in_small).artifact("weights.safetensors")
    content = file.read_bytes()
    try:
        file.write_bytes(content[:50])
        (section,) = model_sections(best, uri=in_small, code_map="pca", label="")
        assert "Not drawn: " in section.blocks[0].lines[0]  # type: ignore[union-attr]
    finally:
        file.write_bytes(content)


def test_classes_are_called_by_their_names(in_small: str) -> None:
    inside = Inside.of(best_runs(in_small)[0], uri=in_small)
    names = tuple(f"<name {digit}>" for digit in range(10))
    inside.data = replace(inside.data, classes=names)
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', code_map(inside, method="pca").html)[1])  # type: ignore[index]
    assert data["names"] == list(names)
    assert data["class"][0] == names[int(inside.y[0])]  # type: ignore[index]
    (*_, live) = unit_cards(inside)
    assert "&lt;name 3&gt;" in live.html  # type: ignore[union-attr]
