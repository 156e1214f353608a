"""The page of sparse types at an equal L0, and its picture."""

from typing import Any

from experiments import records
from experiments.equal_l0.training import BUDGET, LEVELS, TYPES, arm, words_of
from hourglass.measures.paired import paired_difference

SELECTED = "winner-take-all"
"""The type that chooses its units while it trains, and not outside."""
SHOWN = {"mse": ".4f", "linear_accuracy": ".1%"}
TEXT = """\
# Sparsity at equal L0

**Question.** With as many units on for a sample, which sparse type loses least, and whose code tells most of the class?

**Command.** `make equal-l0` ({budget}; seeds {seeds}). Numbers: [results.csv](results.csv).

![Test MSE and the linear probe's accuracy over the units that are on, a line for each type](error_and_probe.png)

{table}

*Units on*: of a test sample, on average; `regularizer=target_l0` and the k of k-sparse codes hold those of training
samples. *Probe*: accuracy of a linear classifier that sees the code{learned}.
*Dead*: units that no training sample puts on.
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
        missed=missed(results),
        verdict=verdict(results),
    )


def verdict(results: records.Results) -> str:
    """Which types lose less than L1 with every seed, by how much, at each level where they are as sparse."""
    better: dict[int, dict[str, str]] = {}
    for level in LEVELS:
        base = results.get(arm("L1", level))
        if base is None:
            continue
        better[level] = {}
        for kind in TYPES:
            runs = results.get(arm(kind, level))
            if kind == "L1" or runs is None or not as_sparse(runs, base):
                continue
            difference = paired_difference(records.each(runs, "test/mse"), records.each(base, "test/mse"))
            if difference.high < 0:
                better[level][kind] = f"{kind} {difference.said('+.4f')}"
    always = [kind for kind in TYPES if better and all(kind in found for found in better.values())]
    levels = ", ".join(map(str, better))
    details = "; ".join(
        f"with {level} units on {', '.join(found.values()) if found else 'none'}" for level, found in better.items()
    )
    return (
        f"At each of {levels} units on these lose less than L1: {', '.join(always) if always else 'none'}."
        f" Differences of the test MSE, with intervals below 0, of all that are as sparse: {details}."
    )


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
