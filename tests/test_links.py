"""The pages of the repository: every link and picture leads somewhere, also to a heading."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(page for name in ("docs", "experiments", "benchmarks") for page in ROOT.glob(f"{name}/**/*.md")),
    }
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def links(page: Path) -> Iterator[str]:
    """Where the links and pictures of a page lead, code left out."""
    return iter(LINK.findall(CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))))


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them, where the site and the code host name them alike."""
    found = set()
    for title in re.findall(r"^#+ +(.+?) *$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", title.lower())
        if "--" not in re.sub(r"\s", "-", words) and words.isascii():
            found.add(re.sub(r"\s", "-", words))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, heading = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert not path.startswith("/"), f"{link}: not relative"
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside of the repository"
        assert not heading or heading in anchors(target), f"{link}: no such heading, there are {anchors(target)}"


def test_links_are_found() -> None:
    assert sum(len(list(links(page))) for page in PAGES) > 80
    assert "experiments/zoo/README.md" in set(links(ROOT / "README.md"))
    assert "metrics.md#health" in set(links(ROOT / "docs" / "first_run.md"))
    assert "a-classifier-on-the-code" in anchors(ROOT / "docs" / "types.md")


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        inside = page.relative_to(ROOT / "docs" if page.is_relative_to(ROOT / "docs") else ROOT)
        if page != ROOT / "README.md":
            assert f": {inside.as_posix()}\n" in navigation, f"{inside} is not in mkdocs.yml"
