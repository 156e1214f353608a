"""A record's numbers: results.csv, a row for each number that was measured, of which its page is made.

    arm,seed,metric,value

The arm is what was trained: a type, a net, a setting. The seed is empty where a number belongs to none (a closed form,
the minutes that all took), and `mean`, `lowest` or `highest` where only these of several runs are known any more.

A record is a module `experiments/NAME/measure.py`, run as `python -m experiments.NAME.measure` from the folder above.
It measures, writes results.csv, and makes README.md of what it reads there; `--page` makes the page alone.
"""

import argparse
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parent
HEAD = ["arm", "seed", "metric", "value"]
NONE = ""
"""The seed of a number that has none."""
SUMMARY = ("mean", "lowest", "highest")
LEARNED = "test/linear_samples"
"""How many samples the linear probe of a run learned from."""
OF_MNIST = 55_000
"""So many of MNIST and Fashion-MNIST, where nothing is taken away: all but the 5,000 of validation. Results that were
kept before they held `LEARNED` don't say so themselves."""

PROBED_BEFORE = """\
The probe was measured before commit 5019abe, since which it comes to its minimum; what that changed in the zoo is
[said there](../zoo/README.md)."""
"""What a page says of the linear probe where its results were kept before they held `LEARNED`."""

Run = Mapping[str, float]
"""Metric to value."""
Results = Mapping[str, Mapping[str, Run]]
"""Arm to seed to metric to value, in the order of the file."""


def write(path: Path, results: Results) -> None:
    """Results as results.csv."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(HEAD)
    for arm, runs in results.items():
        for seed, metrics in runs.items():
            table.writerows([arm, seed, metric, repr(float(value))] for metric, value in metrics.items())
    path.write_text(out.getvalue(), encoding="utf-8")


def read(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What a results.csv holds.

    Raises:
        ValueError: other columns, or a number that is given twice.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if (head := next(rows)) != HEAD:
            raise ValueError(f"{path} must have the columns {','.join(HEAD)}, got {','.join(head)}")
        for arm, seed, metric, value in rows:
            metrics = found.setdefault(arm, {}).setdefault(seed, {})
            if metric in metrics:
                raise ValueError(f"{path} gives {metric} of {arm}, seed {seed}, twice")
            metrics[metric] = float(value)
    return found


def kept(metrics: Run, names: Iterable[str]) -> dict[str, float]:
    """Those metrics of a run that a record keeps."""
    return {name: metrics[name] for name in names if name in metrics}


def earlier(path: Path, mark: str) -> dict[str, dict[str, dict[str, float]]]:
    """The arms of a results.csv, if it is there, whose name ends with a mark: what was measured before and stays."""
    return {arm: runs for arm, runs in read(path).items() if arm.endswith(mark)} if path.exists() else {}


def each(runs: Mapping[str, Run], metric: str) -> list[float]:
    """One metric of all seeds."""
    return [run[metric] for run in runs.values()]


def seeds(results: Results) -> list[str]:
    """The seeds that results have, in order."""
    found = dict.fromkeys(seed for runs in results.values() for seed in runs)
    return [seed for seed in found if seed not in (NONE, *SUMMARY)]


def middle(runs: Mapping[str, Run], metric: str) -> float:
    """The mean over the seeds."""
    return runs["mean"][metric] if "mean" in runs else mean(each(runs, metric))


def ends(runs: Mapping[str, Run], metric: str) -> tuple[float, float]:
    """The lowest and the highest value of the seeds."""
    if "mean" in runs:
        return runs["lowest"][metric], runs["highest"][metric]
    values = each(runs, metric)
    return min(values), max(values)


def spread(runs: Mapping[str, Run], metric: str, form: str) -> str:
    """Mean and range over the seeds, in words."""
    low, high = ends(runs, metric)
    return f"{middle(runs, metric):{form}} ({low:{form}} to {high:{form}})"


def learned(results: Results, *, otherwise: int | None) -> str:
    """From how many samples the linear probe learned, as a relative clause; empty where nobody knows.

    Args:
        results: of a record, or a part of it.
        otherwise: so many where no run says it; None: nobody knows.
    """
    found = {int(run[LEARNED]) for runs in results.values() for run in runs.values() if LEARNED in run}
    found = found or ({otherwise} if otherwise else set())
    if not found:
        return ""
    least, most = min(found), max(found)
    return f" and learned from {least:,}{f' to {most:,}' if most > least else ''} training samples"


def older_probe(results: Results, said: str = PROBED_BEFORE) -> str:
    """What is said of results of an older linear probe; empty where a run says how many samples its probe saw.

    Args:
        results: of a record whose numbers without `LEARNED` are of an older probe.
        said: of which.
    """
    return "" if any(LEARNED in run for runs in results.values() for run in runs.values()) else said


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as Markdown, the first one as heads."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a record."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--page", action="store_true", help="train nothing: make the page of results.csv")
    return found


def only_the_page(description: str | None) -> bool:
    """Whether a command line without anything else asks for the page alone."""
    return bool(parser(description).parse_args().page)
