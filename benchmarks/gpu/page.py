"""What `gpu_check.py` measured, as a page."""

from collections.abc import Callable, Sequence
from typing import Any

Found = dict[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table in markdown."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows),
        "",
    ]


def ends(found: Sequence[Found]) -> list[str]:
    """How processes ended that did not come to their end."""
    lines = [f"- {each['ended']}" for each in found if "ended" in each]
    return [*lines, ""] if lines else []


def tests(found: Sequence[Found]) -> list[str]:
    """How many passed, and which didn't."""
    head = ("passed", "failed", "error", "skipped")
    rows = [[each[word] for word in head] for each in found if "passed" in each]
    bad = [f"- not passed: `{test}`" for each in found for test in each.get("which", [])]
    return [*table(head, rows), *bad, *([""] if bad else []), *ends(found)]


def single(found: Sequence[Found]) -> list[str]:
    """Steps per second, and over the bare loop of the same net."""
    bare = {each["net"]: each["steps_per_second"] for each in found if each.get("name") == "bare loop" and _timed(each)}
    rows = [
        (
            each["net"],
            each["name"],
            f"{each['steps_per_second']:.0f}",
            f"{each['steps_per_second'] / bare[each['net']]:.2f}",
        )
        for each in found
        if _timed(each)
    ]
    return [*table(("net", "", "steps/s", "of the bare loop"), rows), *ends(found)]


def _timed(each: Found) -> bool:
    return "steps_per_second" in each


def stacks(found: Sequence[Found]) -> list[str]:
    """Model-steps per second by size, and over one alone."""
    rows = []
    for each in found:
        if "size" not in each:
            continue
        cells = (each["failed"], "", "") if "failed" in each else _rates(each)
        rows.append((each["model"], each["way"], each["size"], *cells))
    head = ("net", "way", "stack", "model-steps/s", "over one alone", "first chunk, s")
    return [*table(head, rows), *ends(found)]


def _rates(each: Found) -> tuple[str, ...]:
    return f"{each['rate']:.0f}", f"{each['rate'] / each['alone']:.2f}", f"{each['first']:.1f}"


def sweeps(found: Sequence[Found]) -> list[str]:
    """Seconds for the jobs, everything counted."""
    rows = [
        (
            each["name"],
            f"{each['finished']} of {each['jobs']}",
            f"{each['seconds']:.1f}",
            "" if each["how"] == "whole" else each["how"],
        )
        for each in found
        if "jobs" in each
    ]
    return [*table(("", "jobs done", "seconds", ""), rows), *ends(found)]


def memory(found: Sequence[Found]) -> list[str]:
    """Predicted and held."""
    rows = []
    for model in dict.fromkeys(each["model"] for each in found if "model" in each):
        of = [each for each in found if each.get("model") == model]
        said = [each["predicted"] for each in of if "predicted" in each]
        held = max((each["holds"] for each in of if "holds" in each), default=0)
        refused = min((each["refuses"] for each in of if "refuses" in each), default=None)
        rows.append((model, said[0] if said else "", held, "none tried" if refused is None else refused))
    head = ("net", "predicted, with a fifth left free", "held", "the smallest that was refused")
    return [*table(head, rows), *ends(found)]


PARTS: dict[str, tuple[str, Callable[[Sequence[Found]], list[str]]]] = {
    "tests": ("Tests marked `gpu`", tests),
    "stacks": ("Stacks, as they are and as CUDA graphs", stacks),
    "single": ("Single runs against a bare PyTorch loop", single),
    "sweeps": ("Many jobs as a sweep, and one after another", sweeps),
    "slots": ("Single jobs by `sweep.slots_per_gpu`", sweeps),
    "memory": ("The largest stack, in 6 GiB of the card's memory", memory),
    "compiled": ("Stacks compiled, and compiled and captured (both)", stacks),
}


def page(results: Found) -> str:
    """The whole of RESULTS.md, as far as it was measured."""
    lines = [
        "# On a GPU",
        "",
        "Random 28x28 images, batch 256, Adam; dense is 784-64-784, conv has 16-8-8 channels. A model-step is one",
        "optimizer step of one model; a ratio is one to the steps of a single model of the same minute, launched",
        "one by one from Python. How: ../README.md.",
        "",
        f"- card: {results['card']}; driver {results['driver'] or 'none'}",
        f"- torch {results['torch']}, CUDA {results['cuda']}, Python {results['python']}",
        "",
    ]
    for name, section in results["sections"].items():
        title, shown = PARTS[name]
        how = f"`{section['command']}`, {section['date']}, {section['seconds']:.0f} s"
        lines += [f"## {title}", "", how, "", *shown(section["found"])]
    missing = [PARTS[name][0] for name in PARTS if name not in results["sections"]]
    return "\n".join([*lines, *(["Not measured yet: " + "; ".join(missing) + ".", ""] if missing else [])])
