"""Every record's page anew from its results.csv, and the index of them all; trains nothing.

Run: make pages
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from experiments import records
from experiments.activations import measure as activations
from experiments.code_size_by_depth import measure as code_size_by_depth
from experiments.equal_l0 import page as equal_l0
from experiments.exact_vs_fast import measure as exact_vs_fast
from experiments.published_figures import page as published_figures
from experiments.quickstart import measure as quickstart
from experiments.size_and_depth import measure as size_and_depth
from experiments.types import measure as types
from experiments.zoo import page as zoo
from hourglass.claims import Judged, judge, read
from hourglass.claims import page as claims

PAGES: dict[str, Callable[[records.Results], str]] = {
    "quickstart": quickstart.page,
    "code_size_by_depth": code_size_by_depth.page,
    "size_and_depth": size_and_depth.page,
    "published_figures": published_figures.page,
    "types": types.page,
    "equal_l0": equal_l0.page,
    "exact_vs_fast": exact_vs_fast.page,
    "activations": activations.page,
}
"""What makes the page of each record whose page is nothing but its numbers; the zoo's has a person's remarks too."""

INDEX = {
    "quickstart": "quickstart/README.md",
    "the zoo": "zoo/README.md",
    "the zoo, tuned": "zoo/TUNED.md",
    "code size by depth": "code_size_by_depth/README.md",
    "useful codes, by size and depth": "size_and_depth/README.md",
    "published figures": "published_figures/README.md",
    "types": "types/README.md",
    "sparsity at equal L0": "equal_l0/README.md",
    "exact against fast": "exact_vs_fast/README.md",
    "activations": "activations/README.md",
}

CLAIMS = (
    ("claims", "CLAIMS.md", "claims", "What is claimed about autoencoders, and what is so?"),
    ("claims of types", "TYPE_CLAIMS.md", "types", "Does each type do what its paper says?"),
)
"""Pages of `hourglass claim`: what each is called, where it is, where the claims are, and what it asks."""

TEXT = """\
# Records

Each folder holds one question: what was asked, the command that answers it, what it measured, and a verdict. Every
number that was measured is in the `results.csv` beside the page, a row for each arm, seed and metric (of claims:
[claims/results.csv](claims/results.csv), [type_claims/results.csv](type_claims/results.csv)); the page is made of it,
and a test compares the two. `make pages` makes all of them, pictures of claims too, anew without training.

{rows}

How fast all of it is: [benchmarks](../benchmarks/README.md).
"""


def main() -> int:
    """Write every page, and the index."""
    for name, make in PAGES.items():
        folder = records.ROOT / name
        (folder / "README.md").write_text(make(records.read(folder / "results.csv")), encoding="utf-8")
    for results, tuned in (("results.csv", False), ("tuned.csv", True)):
        if (records.ROOT / "zoo" / results).exists():
            zoo.write(records.read(records.ROOT / "zoo" / results), into=records.ROOT / "zoo", tuned=tuned)
    for _, page, folder, _ in CLAIMS:
        path = records.ROOT / page
        claims.write(judged(records.ROOT, page, folder), path, claims.read_page(path))
    (records.ROOT / "README.md").write_text(index(records.ROOT), encoding="utf-8")
    return 0


def judged(root: Path, page: str, folder: str) -> list[Judged]:
    """The claims of a page, with the verdicts of the numbers beside it."""
    given = [read(path) for path in sorted((root / folder).glob("*.yaml"))]
    found = claims.read_values((root / page).with_name(Path(page).stem.lower()) / "results.csv")
    missing = {claim.name: "not measured yet" for claim in given if claim.arms and claim.name not in found}
    return judge(given, found, missing)


def index(root: Path) -> str:
    """The index of the records in a folder: of each page its question, and the first sentence of its verdict."""
    rows = [["record", "question", "verdict"]]
    for name, path in INDEX.items():
        text = (root / path).read_text(encoding="utf-8")
        rows.append([f"[{name}]({path})", _after("Question", text), _first_sentence(_after("Verdict", text))])
    for name, path, _, question in CLAIMS:
        page = (root / path).read_text(encoding="utf-8")
        (said,) = re.findall(r"^\*\*(\d+ claims: .*)\*\*$", page, re.MULTILINE)
        rows.append([f"[{name}]({path})", question, said])
    return TEXT.format(rows=records.table(rows))


def _after(head: str, text: str) -> str:
    """The paragraph that begins with a head, in one line."""
    _, mark, rest = text.partition(f"**{head}.** ")
    if not mark:
        raise ValueError(f"a record must have a paragraph that begins with **{head}.**")
    return " ".join(rest.partition("\n\n")[0].split())


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text, maxsplit=1)[0]


if __name__ == "__main__":
    sys.exit(main())
