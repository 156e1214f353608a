"""The page as a file: whole by itself, and safe whatever a name says."""

import math
import re
from pathlib import Path

import pytest

from hourglass.reports.content import Column, Command, Grid, Page, Picture, Section, Sentences
from hourglass.reports.html import html
from hourglass.reports.markdown import write_markdown
from hourglass.system.errors import HourglassError


def page(name: str = "a study") -> Page:
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2])
    grid = Grid(
        caption="jobs",
        columns=[Column(name="noise"), Column(name="test MSE", number=True, bar=True, low_is_good=True)],
        rows=[["none", 0.25], [name, 0.5], ["blur", None]],
    )
    return Page(
        title=name,
        question="What helps?",
        conclusion=["The main thing.", "Another one."],
        sections=[
            Section(title="Numbers", blocks=[grid, Command(text="hourglass train -m seed=0,1")]),
            Section(
                title="Pictures",
                blocks=[
                    Picture(name="curve", figure=figure, says="A curve."),
                    Picture(name="image", figure=Image.new("L", (4, 4)), says="An image."),
                    Sentences(lines=["one", "two"], listed=True),
                ],
            ),
        ],
        foot="The end.",
    )


def test_a_page_needs_nothing_else_and_stores_nothing() -> None:
    text = html(page())
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", text)
    assert addresses
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert "localStorage" not in text
    assert text.index("The main thing.") < text.index("<main")  # conclusion first
    assert 'alt="A curve."' in text
    assert "data:image/svg+xml;base64," in text
    assert 'class="n best" data-n="0.25" style="--b:50%"' in text


def test_numbers_that_are_not_finite_are_told_and_have_no_bar() -> None:
    """As the PSNR of a copy, whose error is 0."""
    column = Column(name="PSNR", number=True, bar=True, low_is_good=False)
    grid = Grid(
        caption="Jobs",
        columns=[column],
        rows=[[20.0], [math.inf], [1.7976931348623157e308], [math.nan], [10.0], [None]],
    )
    found = [(cell["text"], cell["number"], cell["bar"], cell["best"]) for (cell,) in grid.cells]
    assert found == [
        ("20", "20.0", 100, False),
        ("inf", "Infinity", None, True),
        ("inf", "Infinity", None, True),  # as MLflow's stores keep it
        ("nan", "nan", None, False),
        ("10", "10.0", 50, False),
        ("", None, None, False),
    ]


def test_a_name_is_text_and_nothing_else(tmp_path: Path) -> None:
    text = html(page("<img src=x onerror=alert(1)>"))
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
    write_markdown(page("a|b <b>"), tmp_path, vector=False)
    assert r"| a\|b \<b> | 0.5 |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(("vector", "files"), [(False, {"curve.png", "image.png"}), (True, {"curve.svg", "image.png"})])
def test_markdown_has_its_pictures_beside_it(tmp_path: Path, vector: bool, files: set[str]) -> None:
    path = write_markdown(page(), tmp_path / "record", vector=vector)
    text = path.read_text()
    assert "**Question.** What helps?" in text
    assert "**Conclusion.** The main thing." in text
    assert {file.name for file in path.parent.iterdir()} == {"README.md", *files}
    assert all(f"]({name})" in text for name in files)


def test_a_folder_that_can_not_be_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HourglassError, match="can't be written"):
        write_markdown(page(), tmp_path / "file" / "record", vector=False)
