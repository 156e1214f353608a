"""The page of the zoo: a table of measurements and one of properties, as configured or tuned."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from experiments import records
from experiments.zoo.collection import GROUPS, TYPES
from experiments.zoo.kinds import EPOCHS, Type
from experiments.zoo.properties import AS_TRAINED
from hourglass.measures.paired import Difference, paired_difference

DOCS = Path(__file__).resolve().parents[2] / "docs" / "types.md"
BEGINS, ENDS = "<!-- the zoo, written by make zoo -->", "<!-- end of the zoo -->"
REMARKS = "\n**Remarks.**"
"""Begins what a person wrote of the numbers, which stays as it is."""
DATA = ("data=mnist", "trainer=fast")
BATCH = 256
ALL = "all runs"
SEARCHED = 20_000
"""Training digits that a search sees: with all of them the searches would take five hours of two cores."""
COSINE = "schedule=cosine"
Found = Mapping[str, Sequence[records.Run]]
"""The metrics of each type's runs, one for each seed in order."""

TIME = "time/fit_seconds"
COLUMNS = {
    "fit/epochs": ("epochs", "{:.0f}"),
    "test/mse_over_linear": ("over linear", "{:.2f}"),
    "test/code_active_fraction": ("active", "{:.0%}"),
    "fit/dead_units": ("dead units", "{:.0f}"),
    "test/code_bits": ("bits", "{:.1f}"),
    "test/linear_accuracy": ("linear probe", "{:.1%}"),
    TIME: ("seconds", "{:.0f}"),
}
KEPT = (
    *("test/mse", AS_TRAINED, *COLUMNS, "test/linear_accuracy_pixels", "test/linear_samples"),
    *("test/bce", "test/psnr", "test/psnr_gain", "test/ssim", "test/sharpness", "test/explained_variance"),
    *("test/code_l0", "test/code_bits_capacity", "test/code_usage", "test/code_jacobian", "test/class_agreement"),
    *("test/prior_mmd", "test/prior_mmd_null", "test/log_likelihood", "test/loss", "test/kl"),
    *("model/code_size", "model/parameters"),
)
"""The metrics of a run that results.csv holds, beside what its type's property asks for."""

TEXT = """\
# The zoo{tuned}

**Question.** What does each type of autoencoder make of MNIST, given the same data, batches and optimizer, and
{epochs} passes where a step doesn't cost many times that of the others{own}, and does it do what it is for?

**Command.** `make {target}` (on {cores:.0f} cores, one run on each; {budget};
seeds {seeds}). {how}
Numbers: [{numbers}]({numbers}).
{mosaics}
{table}

Means over the seeds, with the range of the test MSE. *Test MSE*: of the test digits. Where the input is corrupted
(*Corrupted inputs*) it is that of what is made of corrupted digits, against the clean ones: it compares with no row
without noise, nor with one under other noise. *Epochs*: passes over the training set, {epochs} unless a step costs many
times that of the others: then **fewer**, which makes no equal terms. *Over linear*: over the error of the best linear
code of as many units on the same input, PCA or, under noise, reduced-rank regression; below 1 is better than any linear
code; none for sparse codes. *Active*: share of the units that are on for a digit, which depends on the kind of code
(docs/metrics.md). *Dead units*: on for no training digit. *Bits*: what a discrete code's symbols carry of a digit.
*Linear probe*: accuracy of a linear classifier that sees only the code and learns from {samples:,.0f} digits; on the
pixels it is {pixels:.1%}.{seconds}
What has `data.binarize=static` sees and restores digits of 0 and 1, of which a Bernoulli likelihood is one: its errors
compare among themselves.

{elsewhere}

## What each is for, and whether it has it

{properties}

*Against its control*: the difference of the test MSE to that of the type named there, which differs in nothing but what
makes this one (and in epochs, where this one has fewer), seed by seed with the same batches: its mean and 95 % interval
(Student's t, {count} pairs); beside a number of the property stands the same of that number. What counts as having the
property: `experiments/zoo/properties.py`. *MMD from the prior*: how far codes are from what new ones are drawn from,
the prior or a sampler; of a type that is for drawing it is at most .04, about that of draws that are a fifth too
wide. *Nats*, where nothing else is said: log-likelihood of a test digit, which compares where data and loss are the
same. Of types that are for something else both are told and decide nothing.{trained}

**Verdict.** {verdict} Of a number that is compared seed by seed, "with every seed" is {count} signs, which
chance alone gives one time in {chance:.0f}: the intervals beside say more.
"""

SECONDS = """ *Seconds*: training on one core, in bfloat16 where the hardware has it, of the fastest seed;
all {trainings} trainings together took {minutes:.0f} minutes of a core."""

MOSAICS = """
![Ten test digits as each type restores them](mosaic.png)

![Digits that each type makes of codes that were drawn](samples.png)
"""

CONFIGURED = """\
Every weight, k, beta and share is the one in conf/, unless the last column says otherwise; the learning rate is that of
all. Looked at on MNIST, with two to eight values and one seed, were JumpReLU's weight and thresholds, the weights of
L1 and contraction, weight and rate of the discriminator, and the spread of the logits of bits and categories; with one
seed, how near the rate has to come to its capacity, how much smaller penalties have to make what they penalise, the
weights of InfoVAE's discrepancy, of the VAE-GAN's features and of the entropies of a lookup-free code, and the beta of
the squared error beside log-cosh, with which both have about the same rate."""

TUNED = f"""\
Learning rate, from 3e-4 to 1e-2, and schedule, constant or cosine, are the best of 12 trials of each type
(`hydra/sweeper=hourglass_optuna`, six of them drawn, the others by TPE) with seed 0 on the first {SEARCHED:,} digits of
its split, by the validation loss of the weights kept, with a discriminator by that loss without its terms; a trial that
is worse than the median of those before it after as many epochs is stopped. With what is found every seed is trained on
all digits, for as many epochs: in more steps than were searched with. All else is as in the zoo
[as configured](README.md). *Tuned less as configured*: the difference of the test MSE, seed by seed, its mean and 95 %
interval (Student's t). *Own loss*: the same of the loss that the type is trained by (`test/loss`), which its search
went by and the error need not follow, in percent of what it was; with a discriminator its terms are in it."""

WITH_TRAINED = """ *MSE as trained*: the test MSE of the code as in training, drawn or selected by the batch, where the
table has that of the code in use."""

ELSEWHERE = """\
Not here, because they need other data: colourisation (`experiment=colourisation`), transcoders and codes of a network's
activations ([activations](../activations/README.md)), whether codes hold one factor each (`data=shapes`,
`experiments/types/`). A classifier on a code is in [types](../types/README.md)."""


def kept_of(kind: Type) -> tuple[str, ...]:
    """The metrics of a type's runs that results.csv holds: those of the tables, and what properties look at."""
    asked = [other.property.metric for other in TYPES if other.property and kind.name in (other.name, other.control)]
    return tuple(dict.fromkeys([*KEPT, *filter(None, asked)]))


def write(results: records.Results, *, into: Path, tuned: bool) -> None:
    """The page as README.md or TUNED.md, and, where it is the project's own, the table of docs/types.md."""
    page = into / ("TUNED.md" if tuned else "README.md")
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    configured = configured_of(into) if tuned else None
    page.write_text(text(results, configured=configured, remarks=remarks(before)), encoding="utf-8")
    if not tuned and into == Path(__file__).resolve().parent:
        DOCS.write_text(in_docs(DOCS.read_text(encoding="utf-8"), results), encoding="utf-8")


def remarks(page: str) -> str:
    """What a person wrote on a page."""
    _, mark, written = page.partition(REMARKS)
    return mark + written


def configured_of(folder: Path) -> records.Results:
    """What was measured as configured, beside what was tuned; empty: nothing."""
    results = folder / "results.csv"
    return records.read(results) if results.exists() else {}


def text(results: records.Results, *, configured: records.Results | None = None, remarks: str) -> str:
    """The page of what was measured.

    Args:
        results: by type and seed.
        configured: of what was tuned, the same as configured; None: the results are as configured.
        remarks: what a person wrote.
    """
    tuned = configured is not None
    found = _by_type(results)
    one = next(iter(found.values()))[0]
    seeds = records.seeds(results)
    budget = (*DATA, f"training.batch_size={BATCH}")
    return (
        TEXT.format(
            tuned=", tuned" if tuned else "",
            own=", with a learning rate and a schedule of its own" if tuned else "",
            target="zoo-tuned" if tuned else "zoo",
            cores=results[ALL][records.NONE]["cores"],
            budget=", ".join(f"`{word}`" for word in budget),
            seeds=", ".join(seeds),
            numbers="tuned.csv" if tuned else "results.csv",
            how=TUNED if tuned else CONFIGURED,
            mosaics="" if tuned else MOSAICS,
            table=_measurements(found, None if configured is None else _by_type(configured)),
            epochs=EPOCHS,
            samples=one["test/linear_samples"],
            pixels=one["test/linear_accuracy_pixels"],
            seconds="" if tuned else _seconds(found),  # searches ran beside
            elsewhere=ELSEWHERE + _missing(found),
            properties=_properties(found),
            count=len(seeds),
            chance=2 ** len(seeds),
            trained=_trained(found),
            verdict=_verdict(found),
        )
        + remarks
    )


def _by_type(results: records.Results) -> Found:
    return {name: list(runs.values()) for name, runs in results.items() if name != ALL}


def in_docs(page: str, results: records.Results) -> str:
    """The page of all types, with the short table between its two marks."""
    found = _by_type(results)
    before, mark, rest = page.partition(BEGINS)
    _, end, after = rest.partition(ENDS)
    if not mark or not end:
        raise SystemExit(f"docs/types.md must hold the marks {BEGINS} and {ENDS}")
    rows = [["type", "code", "test MSE", "linear probe", "what it is for", "has it"]]
    for group, kinds in _grouped(found):
        rows.append([f"**{group}**", *[""] * 5])
        for kind in kinds:
            runs = found[kind.name]
            error, probe = (mean(run[name] for run in runs) for name in ("test/mse", "test/linear_accuracy"))
            cells = [kind.name, f"{runs[0]['model/code_size']:.0f}", f"{error:.4f}", f"{probe:.1%}"]
            rows.append([*cells, *_property(kind, found)])
    return f"{before}{mark}\n{records.table(rows)}\n{end}{after}"


def _grouped(found: Found) -> list[tuple[str, list[Type]]]:
    """The types that were measured, group by group."""
    groups = [(group.name, [kind for kind in group.types if kind.name in found]) for group in GROUPS]
    return [(name, kinds) for name, kinds in groups if kinds]


def _seconds(found: Found) -> str:
    runs = [run for of in found.values() for run in of]
    return SECONDS.format(trainings=len(runs), minutes=sum(run[TIME] for run in runs) / 60)


def _trained(found: Found) -> str:
    """The legend of the error as trained, where a run has it."""
    return WITH_TRAINED if any(AS_TRAINED in run for runs in found.values() for run in runs) else ""


def _missing(found: Found) -> str:
    names = [kind.name for kind in TYPES if kind.name not in found]
    return f"\n\nNot measured yet: {'; '.join(names)}." if names else ""


def _measurements(found: Found, configured: Found | None) -> str:
    changes = [] if configured is None else ["tuned less as configured", "own loss"]
    columns = {metric: column for metric, column in COLUMNS.items() if configured is None or metric != TIME}
    rows = [["type", "reference", "code", "test MSE", *changes, *(head for head, _ in columns.values()), "command"]]
    for group, kinds in _grouped(found):
        rows.append([f"**{group}**", *[""] * (len(rows[0]) - 1)])
        for kind in kinds:
            runs = found[kind.name]
            errors = [run["test/mse"] for run in runs]
            cells = [kind.name, kind.reference, f"{runs[0]['model/code_size']:.0f}"]
            cells.append(f"{mean(errors):.4f} ({min(errors):.4f} to {max(errors):.4f})")
            if configured is not None:
                cells += _changes(kind, runs, configured.get(kind.name, ()))
            for metric, (_, form) in columns.items():
                values = [run[metric] for run in runs if metric in run]
                # What else ran on the machine can only have made it slower.
                middle = min if metric.startswith("time/") else mean
                cell = form.format(middle(values)) if values else ""
                cells.append(f"**{cell}**" if metric == "fit/epochs" and 0 < kind.epochs < EPOCHS else cell)
            words = [kind.words]
            if configured is not None and "optimizer.lr" in runs[0]:
                schedule = "cosine" if runs[0][COSINE] else "constant"
                words += [f"optimizer.lr={runs[0]['optimizer.lr']:.3g}", f"schedule={schedule}"]
            rows.append([*cells, f"`{' '.join(words)}`"])
    return records.table(rows)


def _changes(kind: Type, tuned: Sequence[records.Run], before: Sequence[records.Run]) -> list[str]:
    """What tuning did to the test MSE, and to the loss that is trained, in percent of what it was."""
    if not kind.epochs or len(before) != len(tuned) or len(tuned) < 2:
        return ["", ""]
    error, loss = (
        paired_difference([run[name] for run in tuned], [run[name] for run in before])
        for name in ("test/mse", "test/loss")
    )
    was = abs(mean(run["test/loss"] for run in before))
    return [error.said("+.4f"), Difference(*(end / was for end in loss)).said("+.1%")]


def _properties(found: Found) -> str:
    rows = [["type", "property", "has it", "against its control"]]
    for group, kinds in _grouped(found):
        asked = [[kind.name, *_property(kind, found), _against(kind, found)] for kind in kinds if kind.property]
        rows += [[f"**{group}**", "", "", ""], *asked] if asked else []
    return records.table(rows)


def _held(kind: Type, found: Found) -> list[bool]:
    """Of each seed, whether a type has what it is for; nothing where its control was not measured."""
    if kind.property is None or (kind.control is not None and kind.control not in found):
        return []
    runs = found[kind.name]
    controls = found[kind.control] if kind.control else [None] * len(runs)
    return [kind.property.holds(run, control) for run, control in zip(runs, controls, strict=True)]


def _property(kind: Type, found: Found) -> tuple[str, str]:
    """What a type's numbers say of what it is for, and the verdict."""
    held = _held(kind, found)
    if kind.property is None or not held:
        return "", ""
    verdict = "yes" if all(held) else f"with {sum(held)} of {len(held)} seeds" if any(held) else "**no**"
    return kind.property.told(found[kind.name], found[kind.control] if kind.control else ()), verdict


def _against(kind: Type, found: Found) -> str:
    if kind.control not in found or len(found[kind.name]) < 2:
        return ""
    ours, theirs = ([run["test/mse"] for run in found[name]] for name in (kind.name, kind.control))
    return f"{paired_difference(ours, theirs).said('+.4f')}: {kind.control}"


def _verdict(found: Found) -> str:
    """How many types do what they are for, and which don't."""
    held = {kind.name: of for kind in TYPES if kind.name in found and (of := _held(kind, found))}
    whole = [name for name, of in held.items() if all(of)]
    rest = [
        f"{name} ({f'with {sum(of)} of {len(of)} seeds' if any(of) else 'with no seed'})"
        for name, of in held.items()
        if not all(of)
    ]
    says = f"{len(whole)} of {len(held)} types do what they are for with every seed."
    return f"{says} Not: {'; '.join(rest)}." if rest else says
