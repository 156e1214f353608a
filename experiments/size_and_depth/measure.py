"""Which code is useful? Code size 2 to 256 by depth 0 to 4, on digits and on clothes, five seeds of each.

Run: make size-and-depth
What is finished is not run again. With settings of one's own, elsewhere:
python -m experiments.size_and_depth.measure --into FOLDER data=digits,mnist data.train_size=1000 training.epochs=1
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter, StrMethodFormatter

from experiments import records
from experiments.studies import swept
from hourglass import figures
from hourglass.claims.verdict import ALPHA, bootstrap, holm, paired_p
from hourglass.figures.canvas import COLOURS
from hourglass.sweeps.studies.table import ERROR

HERE = Path(__file__).resolve().parent
NAME = "size_and_depth"
DATA, SIZE, DEPTH = "data", "model.code_size", "model.depth"
ACCURACY, DEAD = "test/linear_accuracy", "fit/dead_units"
FLOOR, OF_PCA, OF_PIXELS = "test/linear_mse", "test/linear_accuracy_pca", "test/linear_accuracy_pixels"
KEPT = (ERROR, FLOOR, ACCURACY, OF_PCA, OF_PIXELS, records.LEARNED, DEAD)
ALL = "all jobs"
WORDS = (
    *("experiment=code_size_by_depth", f"study={NAME}", "callback=[quick,floor,usefulness]"),
    *("data=mnist,fashion_mnist", "model.code_size=2,8,32,128,256", "model.depth=0,1,2,3,4"),
    "seed=0,1,2,3,4",
)

TEXT = """\
# Useful codes, by size and depth

**Question.** Which code size and which depth make a code that a linear classifier can use, and is that what makes a
small error?

**Command.** `make size-and-depth`: the recipe `code_size_by_depth` (8 epochs, batch 256, Adam, BCE, hidden layers that
taper from the image to the code, a linear code; `trainer=fast`: bfloat16 where the hardware has it) with code size
{sizes} and depth 0 to 4 on MNIST and Fashion-MNIST, seeds {seeds}. {took}. Numbers: [results.csv](results.csv).

![Linear probe and error over the code size, a line for each depth, PCA beside them](curves.png)

**Verdict.** {verdict}

A difference counts where the 95 % interval of the paired differences over the seeds (bootstrap) lies on one side of 0
and p < {alpha:g} of the paired t-test, adjusted over all comparisons of this page (Holm). {dead}{probed}
{tables}"""

PROBED = """\
The probe was measured between the commits 5019abe, since which it comes to its minimum, and 592601b, since which it
finds its axes of 10,000 codes: later the pixels of MNIST read 92.5 % ([the zoo](../zoo/README.md))."""
"""Of the numbers that were kept before they said how many samples the probe learned from."""

SECTION = """
## {data}

**Linear probe**, accuracy of a linear classifier that sees the code alone{learned},
means over the seeds; on the pixels {pixels:.1%}. *PCA*: of as many components. ▲ more than depth 0 at the same size,
▼ less; without a mark: undecided.

{probes}

**Test error**, MSE per value, means over the seeds. ▲ a higher error than depth 0, ▼ a lower one.

{errors}
"""


class Place(NamedTuple):
    """A point of the grid."""

    data: str
    size: int
    depth: int

    @property
    def arm(self) -> str:
        """What its jobs are called in results.csv."""
        return f"{self.data}, code size {self.size}, depth {self.depth}"

    @classmethod
    def of(cls, arm: str) -> "Place":
        """The place of an arm."""
        data, size, depth = arm.split(", ")
        return cls(data, int(size.rpartition(" ")[2]), int(depth.rpartition(" ")[2]))


Found = Mapping[Place, Mapping[str, records.Run]]


def main(into: Path, words: Sequence[str], *, only_the_page: bool) -> None:
    """Run what is missing of the sweep, then write numbers, figure and page."""
    if not only_the_page:
        measure(into, words)
    (into / "README.md").write_text(page(records.read(into / "results.csv")), encoding="utf-8")


def measure(into: Path, words: Sequence[str]) -> None:
    """Run what is missing of the sweep, then write results.csv and the figure."""
    table, _, fresh, took = swept(NAME, [*WORDS, *words])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in sorted(table.finished, key=lambda row: int(row.point["seed"])):
        place = Place(row.point[DATA], int(row.point[SIZE]), int(row.point[DEPTH]))
        kept = records.kept(row.metrics, KEPT)
        found.setdefault(place.arm, {})[row.point["seed"]] = kept
    found = _whole(found)
    jobs = sum(map(len, found.values()))
    found = {ALL: {records.NONE: {"jobs": jobs, **(took if fresh == jobs else {})}}, **found}
    into.mkdir(parents=True, exist_ok=True)
    records.write(into / "results.csv", found)
    figures.to_png(draw(_places(found)), into / "curves.png")


def _whole(found: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Code sizes of which every job is finished: the study may hold others, of a sweep that was ended."""
    runs = {Place.of(arm): len(seeds) for arm, seeds in found.items()}
    most, deep = max(runs.values()), {place[::2] for place in runs}
    kept = {
        size for size in {place.size for place in runs} if all(runs.get(Place(d, size, n)) == most for d, n in deep)
    }
    return {arm: seeds for arm, seeds in found.items() if Place.of(arm).size in kept}


def page(results: records.Results) -> str:
    """The page of what was measured."""
    (jobs,) = (metrics for metrics in results[ALL].values())
    found = _places(results)
    took = f"{jobs['jobs']:.0f} jobs"
    if "minutes" in jobs:
        took += f", everything counted {jobs['minutes']:.0f} minutes on {jobs['cores']:.0f} cores"
    probes, errors, over_pca = differences(found)
    dead = max(records.ends(runs, DEAD)[1] for runs in found.values())
    sections = [
        SECTION.format(
            data=_title(data),
            learned=_learned(found, data),
            pixels=_floor(found, data, None, OF_PIXELS),
            probes=_grid(found, data, ACCURACY, OF_PCA, ".1%", probes),
            errors=_grid(found, data, ERROR, FLOOR, ".5f", errors),
        )
        for data in _axis(found, 0)
    ]
    return TEXT.format(
        sizes=_list(_axis(found, 1)),
        seeds=", ".join(records.seeds(results)),
        took=took,
        verdict=verdict(found, probes, errors, over_pca),
        alpha=ALPHA,
        probed=f"\n{said}" if (said := records.older_probe(results, PROBED)) else "",
        dead=f"At most {dead:.0f} units of a code are dead." if dead else "No unit of any code is dead.",
        tables="".join(sections),
    )


def differences(found: Found) -> tuple[dict[Place, int], dict[Place, int], dict[Place, int]]:
    """Signs: against depth 0 at the same size of the probe and the error, and of the probe against PCA's components."""
    margins: list[list[float]] = []
    for metric in (ACCURACY, ERROR):
        for place in (place for place in found if place.depth):
            flat = found[place._replace(depth=0)]
            margins.append([run[metric] - flat[seed][metric] for seed, run in found[place].items()])
    margins += [[run[ACCURACY] - run[OF_PCA] for run in runs.values()] for runs in found.values()]
    p = holm([paired_p(each) for each in margins])
    judged = iter([_sign(each, chance) for each, chance in zip(margins, p, strict=True)])
    deep = [place for place in found if place.depth]
    return (
        {place: next(judged) for place in deep},
        {place: next(judged) for place in deep},
        {place: next(judged) for place in found},
    )


def verdict(
    found: Found,
    probes: Mapping[Place, int],
    errors: Mapping[Place, int],
    over_pca: Mapping[Place, int],
) -> str:
    """What the numbers say, of each data set."""
    said = []
    for data in _axis(found, 0):
        sizes, depths = _axis(found, 1), _axis(found, 2)
        best = max((place for place in found if place.data == data), key=lambda place: _mean(found, place, ACCURACY))
        least = min((place for place in found if place.data == data), key=lambda place: _mean(found, place, ERROR))
        more = [size for size in sizes if any(probes[Place(data, size, depth)] > 0 for depth in depths if depth)]
        less = [size for size in sizes if any(errors[Place(data, size, depth)] < 0 for depth in depths if depth)]
        only = sum(probes[place] > 0 and errors[place] >= 0 for place in probes if place.data == data)
        above = [size for size in sizes if any(over_pca[Place(data, size, depth)] > 0 for depth in depths)]
        said.append(
            f"On {_title(data)} hidden layers of some depth raise the probe at code size {_list(more)} and lower the"
            f" error at {_list(less)}; {only} of {sum(place.data == data for place in probes)} deep nets have a more"
            f" useful code without an error shown to be lower. Some depth is above PCA's components at {_list(above)}."
            f" The highest probe, {_mean(found, best, ACCURACY):.1%}, is that of code size {best.size} and depth"
            f" {best.depth}; the lowest error of a net, {_mean(found, least, ERROR):.5f}, that of {least.size} and"
            f" {least.depth}{_pca(found, least)}."
        )
    return "\n".join(said)


def _pca(found: Found, least: Place) -> str:
    """What PCA of as many components has, where that is less than the lowest error of a net."""
    error = _floor(found, least.data, least.size, FLOOR)
    return f", where PCA has {error:.5f}" if error < _mean(found, least, ERROR) else ""


def draw(found: Found) -> Figure:
    """The probe above and the error below, a column for each data set."""
    data = _axis(found, 0)
    figure = Figure(figsize=(4.3 * len(data), 6.4), dpi=100, layout="constrained")
    panels = figure.subplots(2, len(data), squeeze=False, sharex=True, sharey="row")
    sizes, depths = _axis(found, 1), _axis(found, 2)
    for (row, (metric, pca)), (column, name) in product(
        enumerate(((ACCURACY, OF_PCA), (ERROR, FLOOR))), enumerate(data)
    ):
        axes = panels[row, column]
        floors = [_floor(found, name, size, pca) for size in sizes]
        axes.plot(sizes, floors, "--", color="#777777", linewidth=1.2, label="PCA")
        for number, depth in enumerate(depths):
            runs = [found[Place(name, size, depth)] for size in sizes]
            middle = [records.middle(each, metric) for each in runs]
            ends = [records.ends(each, metric) for each in runs]
            low, high = zip(*ends, strict=True)
            spread = [np.subtract(middle, low), np.subtract(high, middle)]
            axes.errorbar(
                sizes,
                middle,
                spread,
                color=COLOURS[number],
                marker="o",
                markersize=3,
                capsize=2,
                linewidth=1.3,
                label=f"depth {depth}",
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if row == 0:
            axes.set_title(_title(name))
            axes.axhline(
                _floor(found, name, None, OF_PIXELS), color="#777777", linewidth=0.8, linestyle=":", label="pixels"
            )
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        else:
            axes.set_yscale("log")
            axes.set_xlabel("code units")
    panels[0, 0].set_ylabel("accuracy of a linear probe")
    panels[1, 0].set_ylabel("test error, MSE per value")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, loc="outside lower center", ncols=len(names))
    return figure


def _sign(margins: Sequence[float], p: float) -> int:
    """1 or -1 where a difference counts, 0 where it is undecided."""
    low, high = bootstrap(margins)
    return (1 if low > 0 else -1 if high < 0 else 0) if p < ALPHA else 0


def _places(results: records.Results) -> dict[Place, Mapping[str, records.Run]]:
    return {Place.of(arm): runs for arm, runs in sorted(results.items(), key=_order) if arm != ALL}


def _order(item: tuple[str, Mapping[str, records.Run]]) -> tuple[bool, int, int]:
    """Data sets as they came, by size and depth."""
    arm = item[0]
    return (True, *Place.of(arm)[1:]) if arm != ALL else (False, 0, 0)


def _axis(found: Found, at: int) -> list[Any]:
    return list(dict.fromkeys(place[at] for place in found))


def _mean(found: Found, place: Place, metric: str) -> float:
    return records.middle(found[place], metric)


def _floor(found: Found, data: str, size: int | None, metric: str) -> float:
    """What PCA or the pixels have; NaN where the data have no more dimensions than the code has units."""
    values = [
        run[metric]
        for place, runs in found.items()
        if place.data == data and size in (None, place.size)
        for run in runs.values()
        if metric in run
    ]
    return mean(values) if values else float("nan")


def _learned(found: Found, data: str) -> str:
    """From how many of a data set's samples the probe learned."""
    of = {place.arm: runs for place, runs in found.items() if place.data == data}
    return records.learned(of, otherwise=records.OF_MNIST if data in ("mnist", "fashion_mnist") else None)


def _grid(found: Found, data: str, metric: str, pca: str, form: str, marks: Mapping[Place, int]) -> str:
    depths = _axis(found, 2)
    rows = [["code size", *(f"depth {depth}" for depth in depths), "PCA"]]
    for size in _axis(found, 1):
        cells = []
        for depth in depths:
            place = Place(data, size, depth)
            mark = {1: " ▲", -1: " ▼", 0: ""}[marks.get(place, 0)]
            cells.append(f"{_mean(found, place, metric):{form}}{mark}")
        rows.append([str(size), *cells, f"{_floor(found, data, size, pca):{form}}"])
    return records.table(rows)


def _title(data: str) -> str:
    return {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}.get(data, data)


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, values)) or "none"


if __name__ == "__main__":
    parser = records.parser(__doc__)
    parser.add_argument("--into", type=Path, default=HERE, help="where the page and its figure go")
    parser.add_argument("words", nargs="*", help="settings, as hourglass train takes them")
    given = parser.parse_args()
    main(given.into, given.words, only_the_page=given.page)
