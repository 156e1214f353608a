"""The page of the published figures, made of results.csv."""

import csv
from pathlib import Path
from statistics import mean

from published import FIGURES, Figure

RESULTS = Path(__file__).resolve().parent / "results.csv"
COLUMNS = ("figure", "seed", "metric", "value", "published", "tolerance")
Results = dict[tuple[str, int | None], float]
"""What was measured of each figure with each seed; None is the seed of what has none."""

TEXT = """\
# Published figures

**Question.** Does Hourglass, given the architecture, loss, optimizer, batch size and epochs that an author states, find
the number that the author found?

**Command.** `make figures` (half an hour on 2 cores, one run on each; 32-bit, deterministic; what has finished is not
trained again). It writes every number to [results.csv](results.csv) and makes this page of it.

| family | setup | source | published | Hourglass, mean of 3 seeds (lowest to highest) | allowed difference | met |
|---|---|---|---|---|---|---|
{rows}

{sources}

The allowed differences and their reasons were written down before the first run ([published.py](published.py)); a miss
stays a miss. Figures without a seed are computed, not trained. A recipe names what its source leaves open and where it
departs from it. Hourglass starts from Glorot-uniform weights and zero biases, as Keras does. Where the source validates
on the test set, so does Hourglass, and the weights of the last epoch are kept: nothing is chosen by it. Losses of
training are means over the steps of the last epoch, as Keras prints them.

A variational autoencoder of the Keras examples, an hour of training, is [with the types](../types/README.md).

**Verdict.** {verdict}
"""


def read() -> Results:
    """What results.csv holds; nothing where there is none."""
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(row["figure"], int(row["seed"]) if row["seed"] else None): float(row["value"]) for row in rows}


def page(results: Results) -> str:
    """The text of README.md."""
    sources = list(dict.fromkeys(figure.source for figure in FIGURES))
    rows, met = [], 0
    missed: list[str] = []
    left: list[str] = []
    for figure in FIGURES:
        values = [results[figure.key, seed] for seed in figure.seeds if (figure.key, seed) in results]
        found, verdict = f"not run{': needs a GPU' if figure.gpu else ' yet'}", ""
        if len(values) < len(figure.seeds):
            left.append(figure.what)
        elif abs(mean(values) - float(figure.published)) <= figure.tolerance:
            met, found, verdict = met + 1, spread(values, figure.digits), "yes"
        else:
            missed.append(figure.what)
            found, verdict = spread(values, figure.digits), "**no**"
        rows.append(row(figure, f"[{sources.index(figure.source) + 1}]", found, verdict))
    verdict = f"{met} of {met + len(missed)} figures are met."
    if missed:
        verdict += f" Missed: {'; '.join(missed)}."
    if left:
        verdict += f" Not run: {'; '.join(left)}."
    numbered = "\n".join(f"{number}. {source}." for number, source in enumerate(sources, start=1))
    return TEXT.format(rows="\n".join(rows), sources=numbered, verdict=verdict)


def row(figure: Figure, source: str, found: str, verdict: str) -> str:
    """One line of the table."""
    what = figure.what if figure.closed else f"{figure.what} (`{recipe(figure)}`)"
    allowed = f"{f'{figure.tolerance:.5f}'.rstrip('0')}: {figure.why}"
    return f"| {figure.family} | {what} | {source} | {figure.published} | {found} | {allowed} | {verdict} |"


def recipe(figure: Figure) -> str:
    """How it is trained by hand."""
    start = () if figure.before is None else (f"start={figure.before}",)
    return " ".join((f"experiment={figure.name}", *figure.words, *start))


def spread(values: list[float], digits: int) -> str:
    """Mean and range."""
    found = f"{mean(values):.{digits}f}"
    return found if len(values) == 1 else f"{found} ({min(values):.{digits}f} to {max(values):.{digits}f})"
