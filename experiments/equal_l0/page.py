"""The page of sparse types at an equal L0, and its picture."""

from typing import Any

from experiments import records
from experiments.equal_l0.training import BUDGET, LEVELS, TYPES, arm, words_of
from hourglass.measures.paired import Difference, paired_difference

SELECTED = "winner-take-all"
"""The type that chooses its units while it trains, and not outside."""
UNITS = 256
SHOWN = {"mse": ".4f", "linear_accuracy": ".1%"}
TEXT = """\
# Sparsity at equal L0

**Question.** With as many units on for a sample, which sparse type loses least, and whose code tells most of the class?

**Command.** `make equal-l0` ({budget}; seeds {seeds}). Numbers: [results.csv](results.csv).

![Test MSE and the linear probe's accuracy over the units that are on, a line for each type](error_and_probe.png)

{table}

*Units on*: of a test sample, on average; `regularizer=target_l0` and the k of k-sparse codes hold those of training
samples. *Probe*: accuracy of a linear classifier that sees the code{learned}.
{probed}*Dead*: units that no training sample puts on. k-sparse and batch top-k have `regularizer=revival`, which brings
dead units back; no other type has. {dead}
Winner-take-all keeps a share of each unit's batch while it trains, and whatever is above 0 outside: its units on are
those, as its authors use it, and *as trained* is its error with the share kept. KL's units are sigmoids: each is on in
the upper half of its own range, and one that moves by no more than a hundredth of the way from 0 to 1 is never on.
{missed}

{commands}

**Verdict.** {verdict}
"""


def page(results: records.Results) -> str:
    """The page of what was measured."""
    rows = [["wished", "type", "units on", "test MSE", "as trained", "probe", "dead"]]
    for level in LEVELS:
        for kind in TYPES:
            if (runs := results.get(arm(kind, level))) is not None:
                on, dead = (records.middle(runs, name) for name in ("test/code_l0", "fit/dead_units"))
                error, probe = (records.spread(runs, f"test/{name}", form) for name, form in SHOWN.items())
                selected = "test/mse_as_trained"
                trained = f"{records.middle(runs, selected):.4f}" if selected in next(iter(runs.values())) else ""
                rows.append([str(level), kind, f"{on:.1f}", error, trained, probe, f"{dead:.0f}"])
    commands = records.table(
        [
            ["type", "command, for 16 units on"],
            *([kind, f"`{' '.join(words_of(kind, 16)[len(BUDGET) :])}`"] for kind in TYPES),
        ]
    )
    return TEXT.format(
        budget=", ".join(f"`{word}`" for word in BUDGET),
        seeds=", ".join(records.seeds(results)),
        table=records.table(rows),
        commands=commands,
        learned=records.learned(results, otherwise=records.OF_MNIST),
        probed=f"{said}\n" if (said := records.older_probe(results)) else "",
        dead=dead_codes(results),
        missed=missed(results),
        verdict=f"{verdict(results)}\n\n{verdict_of_probe(results)}",
    )


def against_l1(results: records.Results, metric: str) -> dict[int, dict[str, Difference]]:
    """A metric less L1's, seed by seed, at each level of each type that has at most a tenth more units on than L1."""
    found: dict[int, dict[str, Difference]] = {}
    for level in LEVELS:
        base = results.get(arm("L1", level))
        if base is None:
            continue
        found[level] = {
            kind: paired_difference(records.each(runs, metric), records.each(base, metric))
            for kind in TYPES
            if kind != "L1" and (runs := results.get(arm(kind, level))) is not None and as_sparse(runs, base)
        }
    return found


def verdict(results: records.Results) -> str:
    """Which types lose less than L1, by how much, at each level where they are as sparse."""
    better = {
        level: {kind: f"{kind} {each.said('+.4f')}" for kind, each in found.items() if each.high < 0}
        for level, found in against_l1(results, "test/mse").items()
    }
    always = [kind for kind in TYPES if better and all(kind in found for found in better.values())]
    levels = ", ".join(map(str, better))
    details = "; ".join(
        f"with {level} units on {', '.join(found.values()) if found else 'none'}" for level, found in better.items()
    )
    return (
        f"At each of {levels} units on these lose less than L1: {', '.join(always) if always else 'none'}."
        f" Differences of the test MSE, with intervals below 0, of all that are as sparse: {details}."
    )


def verdict_of_probe(results: records.Results) -> str:
    """Whose code tells more of the class than L1's, and whose less, at each level where they are as sparse."""
    said = []
    for level, found in against_l1(results, "test/linear_accuracy").items():
        decided = [
            f"{kind} {Difference(*(100 * value for value in each)).said('+.1f')}"
            for kind, each in found.items()
            if each.low > 0 or each.high < 0
        ]
        open_ = [kind for kind, each in found.items() if each.low <= 0 <= each.high]
        rest = f"; undecided of {', '.join(open_)}" if open_ else ""
        said.append(f"with {level} units on {', '.join(decided) if decided else 'none'}{rest}")
    return (
        "How much of the class a code tells, in points of the linear probe beside L1, with intervals on one side of 0"
        f" of all that are as sparse: {'. '.join(each[0].upper() + each[1:] for each in said)}."
    )


def dead_codes(results: records.Results) -> str:
    """Which types have more than a tenth of their units dead, in one sentence."""
    said = []
    for kind in TYPES:
        dead = {
            level: count
            for level in LEVELS
            if (runs := results.get(arm(kind, level))) is not None
            and (count := records.middle(runs, "fit/dead_units")) > UNITS / 10
        }
        if dead:
            said.append(f"{kind} ({', '.join(f'{count:.0f} with {level} on' for level, count in dead.items())})")
    return f"More than a tenth of {UNITS} units is dead of {'; '.join(said) if said else 'none'}."


def missed(results: records.Results) -> str:
    """Which types have more than a tenth more or fewer units on than was wished, in one sentence."""
    said = []
    for kind in TYPES:
        off = {
            level: on
            for level in LEVELS
            if (runs := results.get(arm(kind, level))) is not None
            and not level / 1.1 <= (on := records.middle(runs, "test/code_l0")) <= 1.1 * level
        }
        if off:
            said.append(f"{kind} ({', '.join(f'{on:.1f} for {level}' for level, on in off.items())})")
    return f"Off the wish by more than a tenth: {'; '.join(said) if said else 'none'}."


def as_sparse(runs: Any, base: Any) -> bool:
    """Whether at most a tenth more units are on than in another arm."""
    return records.middle(runs, "test/code_l0") <= 1.1 * records.middle(base, "test/code_l0")


def picture(results: records.Results) -> Any:
    """Error and probe over the units that are on, on logarithmic axes where that is a ratio."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    from hourglass.figures.canvas import COLOURS

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for kind, colour in zip(TYPES, COLOURS, strict=False):
        there = [results[arm(kind, level)] for level in LEVELS if arm(kind, level) in results]
        on = [records.middle(runs, "test/code_l0") for runs in there]
        for axes, name in zip(panels, ("test/mse", "test/linear_accuracy"), strict=True):
            values = [records.middle(runs, name) for runs in there]
            low, high = ([records.ends(runs, name)[end] for runs in there] for end in (0, 1))
            axes.fill_between(on, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(on, values, marker="o", color=colour, label=kind)
        if kind == SELECTED:
            values = [records.middle(runs, "test/mse_as_trained") for runs in there]
            panels[0].plot(
                LEVELS[: len(there)], values, marker="o", color=colour, linestyle=":", label=f"{kind}, as trained"
            )
    for axes, name in zip(panels, ("test MSE", "accuracy of the linear probe"), strict=True):
        axes.set_xscale("log", base=2)
        axes.set_xticks([4, 8, 16, 32, 64, 128], ["4", "8", "16", "32", "64", "128"])
        axes.set_xlabel("units on for a test sample, of 256")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    panels[0].set_yscale("log")
    panels[0].yaxis.set_major_locator(FixedLocator([0.005, 0.01, 0.02, 0.04, 0.08]))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_locator(NullLocator())
    panels[1].legend(*panels[0].get_legend_handles_labels(), loc="lower right", frameon=False)  # where no line is
    figure.suptitle("Sparse types at a wished number of units on: mean and range over seeds", fontsize=11)
    return figure
