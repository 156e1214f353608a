"""The page of the published figures, made of results.csv."""

from experiments import records
from experiments.published_figures.published import FIGURES, Figure

TEXT = """\
# Published figures

**Question.** Does Hourglass, given the architecture, loss, optimizer, batch size and epochs that an author states, find
the number that the author found?

**Command.** `make figures` (one run on each core; 32-bit, deterministic; what has finished is not
trained again). Numbers: [results.csv](results.csv){summed}.

{rows}

{sources}

The allowed differences and their reasons were written down before the first run ([published.py](published.py)); a miss
stays a miss. Figures without a seed are computed, not trained. A recipe names what its source leaves open and where it
departs from it. Hourglass starts from Glorot-uniform weights and zero biases, as Keras does. Where the source validates
on the test set, so does Hourglass, and the weights of the last epoch are kept: nothing is chosen by it. Losses of
training are means over the steps of the last epoch, as Keras prints them. Nothing but the number that was published is
kept of a training: not how many units of rectified, tied and sparse codes are dead, either.

A variational autoencoder of the Keras examples, an hour of training, is [with the types](../types/README.md).

**Verdict.** {verdict}
"""
HEAD = [
    *("family", "setup", "source", "published", "Hourglass, mean of 3 seeds (lowest to highest)"),
    *("allowed difference", "met"),
]


def page(results: records.Results) -> str:
    """The text of README.md."""
    sources = list(dict.fromkeys(figure.source for figure in FIGURES))
    rows = [HEAD, *(row(figure, sources.index(figure.source) + 1, results) for figure in FIGURES)]
    measured = [figure for figure in FIGURES if figure.key in results]
    far, left = missed(results), [figure.what for figure in FIGURES if figure not in measured]
    verdict = f"{len(measured) - len(far)} of the {len(measured)} figures that were run are met."
    if far:
        verdict += f" Missed: {'; '.join(figure.what for figure in far)}."
    if left:
        verdict += f" Not run: {'; '.join(left)}."
    summed = [figure.name for figure in measured if "mean" in results[figure.key]]
    return TEXT.format(
        rows=records.table(rows),
        sources="\n".join(f"{number}. {source}." for number, source in enumerate(sources, start=1)),
        summed=f" (only mean and range of\n{', '.join(f'`{name}`' for name in summed)})" if summed else "",
        verdict=verdict,
    )


def missed(results: records.Results) -> list[Figure]:
    """The figures whose mean is farther from the published number than was allowed."""
    return [figure for figure in FIGURES if figure.key in results and not met(figure, results)]


def met(figure: Figure, results: records.Results) -> bool:
    """Whether the mean over the seeds is as near as was allowed."""
    found = records.middle(seeded(figure, results), figure.metric)
    return abs(found - float(figure.published)) <= figure.tolerance


def seeded(figure: Figure, results: records.Results) -> dict[str, records.Run]:
    """The runs of a figure: of its seeds, or what is known of them."""
    runs = results[figure.key]
    return {seed: run for seed, run in runs.items() if figure.metric in run}


def row(figure: Figure, source: int, results: records.Results) -> list[str]:
    """One line of the table."""
    what = figure.what if figure.closed else f"{figure.what} (`{recipe(figure)}`)"
    found, verdict = f"not run{': needs a GPU' if figure.gpu else ' yet'}", ""
    if figure.key in results:
        runs, form = seeded(figure, results), f".{figure.digits}f"
        one = figure.closed
        found = f"{records.middle(runs, figure.metric):{form}}" if one else records.spread(runs, figure.metric, form)
        verdict = "yes" if met(figure, results) else "**no**"
    allowed = f"{f'{figure.tolerance:.5f}'.rstrip('0')}: {figure.why}"
    return [figure.family, what, f"[{source}]", figure.published, found, allowed, verdict]


def recipe(figure: Figure) -> str:
    """How it is trained by hand."""
    start = () if figure.before is None else (f"start={figure.before}",)
    return " ".join((f"experiment={figure.name}", *figure.words, *start))
