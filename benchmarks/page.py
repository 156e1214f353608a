"""What the benchmark measured, as a page: a table per net and the targets, each beside its measured ratio."""

import argparse
import datetime
import platform
import sys
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

NETS = {
    "small": ("784-64-784", 101_200),
    "deep": ("784-512-256-64-256-512-784", 1_100_112),
    "conv": ("convolutional, 16-8-8 channels", 4_385),
}
PEER_NAMES = ("Keras", "pythae", "Lightning + DataLoader")
QUIET = 0.1
"""The share of the cores that other processes may take: above it, contenders whose threads spin collapse."""

Measurement = dict[str, Any]
Round = dict[str, Measurement]


class Target(NamedTuple):
    """A ratio to reach: `ours` over `other`, or over the fastest peer of the sitting."""

    net: str
    ours: str
    other: str
    least: float


BEST_PEER = "the best peer"
TARGETS = (
    Target("small", "Hourglass exact", "bare PyTorch loop", 0.9),
    Target("deep", "Hourglass exact", "bare PyTorch loop", 0.9),
    Target("small", "Hourglass exact", BEST_PEER, 1.5),
    Target("deep", "Hourglass exact", BEST_PEER, 1.0),
    Target("conv", "Hourglass exact", BEST_PEER, 1.0),
    Target("small", "Hourglass fast", "Keras", 3.0),
    Target("deep", "Hourglass fast", "Keras", 2.0),
    Target("conv", "Hourglass fast", "Keras", 1.2),
)


def ratios(rounds: list[Round], ours: str, other: str) -> list[float]:
    """The ratio of steps per second in each round; the best peer is the one with the highest median."""
    if other == BEST_PEER:
        other = max(PEER_NAMES, key=lambda name: median(r[name]["steps_per_second"] for r in rounds))
    return [r[ours]["steps_per_second"] / r[other]["steps_per_second"] for r in rounds]


def spread(values: list[float], digits: int) -> str:
    """Median (smallest to largest)."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(net: str, rounds: list[Round]) -> list[str]:
    """One net's table, in markdown."""
    layers, parameters = NETS[net]
    lines = [
        f"## {net}: {layers}, {parameters:,} parameters",
        "",
        "| | steps/s | of the bare loop | whole process, steps/s | last training loss (after steps) | parameters |",
        "|---|---|---|---|---|---|",
    ]
    for name in rounds[0]:
        last = rounds[-1][name]
        rates = [r[name]["steps_per_second"] for r in rounds]
        whole = [r[name]["steps"] / r[name]["process_seconds"] for r in rounds]
        cells = [
            name,
            spread(rates, 1),
            spread(ratios(rounds, name, "bare PyTorch loop"), 2),
            f"{median(whole):.1f}",
            f"{last['loss']:.4f} ({last['steps']})",
            f"{last['parameters']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def verdicts(results: dict[str, list[Round]], *, others: float) -> list[str]:
    """The targets, each with what was measured; not judged when `others` took too much of the cores."""
    lines = ["## Targets", "", "| net | ratio | target | measured | |", "|---|---|---|---|---|"]
    for net, ours, other, least in TARGETS:
        if net in results:
            values = ratios(results[net], ours, other)
            met = "met" if median(values) >= least else "**not met**"
            if others > QUIET:
                met = f"not judged: other processes took more than {QUIET:.0%} of the cores"
            lines.append(f"| {net} | {ours} / {other} | {least:g} | {spread(values, 2)} | {met} |")
    return [*lines, ""]


def processor() -> str:
    """The processor's name, as Linux knows it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def page(results: dict[str, list[Round]], *, options: argparse.Namespace) -> str:
    """The whole of RESULTS.md."""
    [first, *_] = results.values()
    versions = [first[-1][name]["versions"] for name in first[-1]]
    lines = [
        "# Speed",
        "",
        "Optimizer steps per second on MNIST, batch 256, mean squared error, Adam with learning rate 1e-3. Median over",
        f"{options.rounds} interleaved rounds of at least {options.seconds:g} s of steady state, smallest and largest",
        "in parentheses; ratios are taken within a round. How it is measured, and what is fair about it: README.md.",
        "",
        "- command: `make bench`"
        + (f" (`python benchmarks/bench.py {' '.join(sys.argv[1:])}`)" if sys.argv[1:] else ""),
        f"- date: {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
        f"- machine: {processor()}, {options.cores} cores, {platform.system()}, Python {platform.python_version()}",
        f"- versions: {', '.join(dict.fromkeys(v for v in versions if v))}",
        f"- other processes used {options.others:.0%} of these cores meanwhile",
        "",
    ]
    for net, rounds in results.items():
        lines += table(net, rounds)
    return "\n".join([*lines, *verdicts(results, others=options.others)])
