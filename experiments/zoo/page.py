"""The page of the zoo: a table of measurements and one of properties, as configured or tuned."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from kinds import TYPES, Type

from hourglass.measures.paired import paired_difference

HERE = Path(__file__).resolve().parent
BEGINS, ENDS = "<!-- the zoo, written by make zoo -->", "<!-- end of the zoo -->"
Found = Mapping[str, Sequence[dict[str, float]]]
"""The metrics of each type's runs, one for each seed in order."""

COLUMNS = {
    "test/mse_over_linear": ("over linear", "{:.2f}"),
    "test/code_active_fraction": ("active", "{:.0%}"),
    "fit/dead_units": ("dead units", "{:.0f}"),
    "test/code_bits": ("bits", "{:.1f}"),
    "test/linear_accuracy": ("linear probe", "{:.1%}"),
    "time/fit_seconds": ("seconds", "{:.0f}"),
}

TEXT = """\
# The zoo{tuned}

**Question.** What does each type of autoencoder make of MNIST, given the same data, batches, optimizer and passes, and
does it do what it is for?

**Command.** `make {target}` (on {cores} cores, one run on each; {budget}; seeds {seeds}). {how}

{table}

Means over the seeds, with the range of the test MSE. *Over linear*: over the error of the best linear code of as many
units on the same input, PCA or, under noise, reduced-rank regression; below 1 is better than any linear code; none for
sparse codes. *Active*: share of the units that are on for a digit, which depends on the kind of code
(docs/metrics.md). *Dead units*: on for no training digit. *Bits*: what a discrete code's symbols carry of a digit.
*Linear probe*: accuracy of a linear classifier that sees only the code and learns from {samples:,} digits; on the
pixels it is {pixels:.1%}. *Seconds*: training on one core, in bfloat16 where the hardware has it, of the fastest seed.

## What each is for, and whether it has it

{properties}

*Against its control*: the difference of the test MSE to that of the type named there, which differs in nothing but what
makes this one, seed by seed with the same batches: its mean and 95 % interval (Student's t, {count} pairs). What counts
as having the property: `experiments/zoo/properties.py`. Of distances from the prior that is at most .04, about that of
draws that are a fifth too wide.

{verdict}
"""

CONFIGURED = """\
Every weight, k, beta and share is the one in conf/,
unless the last column says otherwise; the learning rate is that of all. Looked at on MNIST, with two to eight values
and one seed, were JumpReLU's weight and thresholds, the weights of L1 and contraction, weight and rate of the
discriminator, and the spread of the logits of bits and categories."""

TUNED = "Learning rate and schedule of each type are the best of 12 trials with seed 0, by the validation loss."


def write(
    found: Found, settings: Mapping[str, Sequence[str]] | None, *, cores: int, budget: str, seeds: Sequence[int]
) -> None:
    """The page, as README.md or, of settings that were searched, TUNED.md; its verdict stays as a person wrote it."""
    page = HERE / ("TUNED.md" if settings else "README.md")
    _, _, verdict = page.read_text(encoding="utf-8").partition("**Verdict.**") if page.exists() else ("", "", "")
    pca = found["PCA"][0]
    how = TUNED if settings else CONFIGURED
    text = TEXT.format(
        tuned=", tuned" if settings else "",
        target="zoo-tuned" if settings else "zoo",
        cores=cores,
        budget=budget,
        seeds=", ".join(map(str, seeds)),
        how=how,
        table=_measurements(found, settings),
        samples=int(pca["test/linear_samples"]),
        pixels=pca["test/linear_accuracy_pixels"],
        properties=_properties(found),
        count=len(seeds),
        verdict=f"**Verdict.** {verdict.strip()}",
    )
    page.write_text(text, encoding="utf-8")
    if not settings:
        _into_docs(found)


def _into_docs(found: Found) -> None:
    """The short table of the page of all types, between its two marks."""
    types = HERE.parents[1] / "docs" / "types.md"
    before, mark, rest = types.read_text(encoding="utf-8").partition(BEGINS)
    _, end, after = rest.partition(ENDS)
    if not mark or not end:
        raise SystemExit(f"docs/types.md must hold the marks {BEGINS} and {ENDS}")
    rows = [["type", "code", "test MSE", "linear probe", "what it is for", "has it"]]
    for kind in TYPES:
        runs = found[kind.name]
        error, probe = (mean(run[name] for run in runs) for name in ("test/mse", "test/linear_accuracy"))
        cells = [kind.name, f"{runs[0]['code_size']:.0f}", f"{error:.4f}", f"{probe:.1%}"]
        rows.append([*cells, *_property(kind, found)])
    types.write_text(f"{before}{mark}\n{_table(rows)}\n{end}{after}", encoding="utf-8")


def _measurements(found: Found, settings: Mapping[str, Sequence[str]] | None) -> str:
    heads = ["type", "reference", "code", "test MSE", *(head for head, _ in COLUMNS.values()), "command"]
    rows = [heads]
    for kind in TYPES:
        runs = found[kind.name]
        errors = [run["test/mse"] for run in runs]
        cells = [kind.name, kind.reference, f"{runs[0]['code_size']:.0f}"]
        cells.append(f"{mean(errors):.4f} ({min(errors):.4f} to {max(errors):.4f})")
        for metric, (_, form) in COLUMNS.items():
            values = [run[metric] for run in runs if metric in run]
            # What else ran on the machine can only have made it slower.
            middle = min if metric.startswith("time/") else mean
            cells.append(form.format(middle(values)) if values else "")
        words = [*kind.words, *(settings or {}).get(kind.name, ())]
        rows.append([*cells, f"`{' '.join(words)}`"])
    return _table(rows)


def _properties(found: Found) -> str:
    rows = [["type", "property", "has it", "against its control"]]
    rows += [[kind.name, *_property(kind, found), _against(kind, found)] for kind in TYPES if kind.property is not None]
    return _table(rows)


def _property(kind: Type, found: Found) -> tuple[str, str]:
    """What a type's numbers say of what it is for, and the verdict."""
    if kind.property is None:
        return "", ""
    runs = found[kind.name]
    controls = found[kind.control] if kind.control else [None] * len(runs)
    held = [kind.property.holds(run, control) for run, control in zip(runs, controls, strict=True)]
    verdict = "yes" if all(held) else f"with {sum(held)} of {len(held)} seeds" if any(held) else "**no**"
    return kind.property.says(runs, found[kind.control] if kind.control else ()), verdict


def _against(kind: Type, found: Found) -> str:
    if kind.control is None:
        return ""
    ours, theirs = ([run["test/mse"] for run in found[name]] for name in (kind.name, kind.control))
    return f"{paired_difference(ours, theirs).said('+.4f')}: {kind.control}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])
