"""A study, or some runs, as a report: what was asked, what came out, and everything that a reader may want to check."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from hourglass.configuration.groups import choices
from hourglass.reports.content import Block, Column, Command, Grid, Page, Picture, Section, Sentences
from hourglass.reports.model import model_sections
from hourglass.sweeps.studies.charts import curves, digits, heat_map
from hourglass.sweeps.studies.conclusions import counts, effects, overall, short
from hourglass.sweeps.studies.learning import learning_curves
from hourglass.sweeps.studies.main_effects import main_effects
from hourglass.sweeps.studies.mosaic import mosaic
from hourglass.sweeps.studies.searched import conclusion as searched
from hourglass.sweeps.studies.searched import section as search_section
from hourglass.sweeps.studies.table import DEAD, ERROR, LEARNED, PROBE, SPARSITY, Table, in_words
from hourglass.tracking import Run
from hourglass.tracking.machine import GIT_DIRTY, GIT_SHA, machine_tag

_SHOWN = (
    (ERROR, "test MSE", True),
    ("test/mse_as_trained", "test MSE as trained", True),
    ("test/mse_over_linear", "over linear floor", True),
    ("test/psnr", "PSNR in dB", False),
    (SPARSITY, "active units, share", None),
    (DEAD, "dead units", None),
    (PROBE, "linear probe", False),
    (LEARNED, "probe's samples", None),
)
_KINDS = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "were ended", "RUNNING": "are running"}


class Given(NamedTuple):
    """What is reported on."""

    table: Table
    tags: Mapping[str, str]
    """Of the study's run; of the run where there is one; else none."""
    jobs: Sequence[Any]
    """MLflow's records of the runs."""
    study: Run | None


def report(given: Given, *, uri: str, figures: bool = True, models: bool = True, code_map: str = "pca") -> Page:
    """The page of a study or of runs.

    Args:
        given: what is reported on.
        uri: where its runs are, resolved.
        figures: whether heat map and curves are drawn.
        models: whether models are loaded, for the mosaic, the map of the code and its units.
        code_map: `pca` or `tsne`.
    """
    table, best = given.table, given.table.best
    search = None if given.study is None else search_section(given.study)
    sections = [Section(title="What was run", blocks=[Sentences(lines=_run(given))])]
    sections.append(Section(title="Jobs" if len(table.rows) > 1 else "Numbers", blocks=[_jobs(table)]))
    if figures:
        sections.append(Section(title="Error over the settings", blocks=_figures(table, uri=uri)))
    if search is not None:
        sections.append(search)
    if models and table.finished:
        sections.append(Section(title="The same images", blocks=_images(given, uri=uri)))
        if best is not None:
            sections += model_sections(best.run_id, uri=uri, code_map=code_map, label=table.label(best))
    sections.append(Section(title="Failures", blocks=[_failures(table)]))
    sections.append(Section(title="Command and versions", blocks=_origin(given)))
    found = [overall(table), *(effect.sentence for effect in effects(table))]
    if search is not None:  # what the search chose comes first, by its own measure, not by the test set
        found = [*searched(given.study), *found]  # type: ignore[arg-type]
    return Page(
        title=table.name,
        question=_question(given),
        conclusion=[line[:1].upper() + line[1:] for line in found],
        sections=[section for section in sections if section.blocks],
        foot=f"Written by Hourglass {version('hourglass')} on {time.strftime('%Y-%m-%d %H:%M')}.",
    )


def _question(given: Given) -> str:
    recipe = given.tags.get("study", given.table.name)
    known = given.tags.get("question") or choices().get("experiment", {}).get(recipe)
    if known:
        return known
    names = [in_words(axis) for axis in given.table.settings]
    return f"What do {_and(names)} change?" if len(names) > 1 else f"What does {names[0]} change?" if names else ""


def _run(given: Given) -> list[str]:
    table, states = given.table, counts(given.table)
    said = [f"{number} {_KINDS.get(state, 'were refused or not started')}" for state, number in states.items()]
    one = len(table.rows) == 1
    lines = [f"{'One job' if one else f'{len(table.rows)} jobs'}: {', '.join(said)}."]
    if table.values:
        many = [f"{_named(axis)} {_some(values)}" for axis, values in table.values.items()]
        lines.append(f"{'Searched' if table.scattered else 'Varied'}: {'; '.join(many)}.")
    if given.jobs:
        job = given.jobs[0].data
        same = {
            "data": job.tags.get("data"),
            "model": job.tags.get("model"),
            "bottleneck": job.tags.get("bottleneck"),
            "noise": job.tags.get("noise"),
            "loss": job.tags.get("loss"),
            "epochs": job.params.get("training.epochs"),
            "batch": job.params.get("training.batch_size"),
            "learning rate": job.params.get("optimizer.lr"),
        }
        varied = {key for axis in table.values for key in (axis, in_words(axis))}
        varied |= {"learning rate"} if "optimizer.lr" in table.values else set()
        lines.append(f"The same for all: {', '.join(f'{k} {v}' for k, v in same.items() if v and k not in varied)}.")
    seconds = sum(row.seconds or 0.0 for row in table.rows)
    lines.append(f"All trainings together took {seconds / 60:.1f} minutes.")
    return lines


def _jobs(table: Table) -> Grid:
    metrics = [each for each in _SHOWN if any(each[0] in row.metrics for row in table.rows)]
    axes = [Column(name=in_words(axis), number=table.is_numeric(axis)) for axis in table.values]
    columns = [
        *axes,
        *(Column(name=name, number=True, bar=key != LEARNED, low_is_good=low) for key, name, low in metrics),
        Column(name="seconds", number=True),
        *(Column(name=name) for name in ("status", "verdict", "run")),
    ]
    rows = sorted(table.rows, key=lambda row: row.metrics.get(ERROR, float("inf")))
    return Grid(
        caption="A line for each job, least test error first; a click on a head sorts. Best numbers are bold.",
        columns=columns,
        rows=[
            [
                *(float(row.point[a]) if table.is_numeric(a) else row.point[a] for a in table.values),
                *(row.metrics.get(name) for name, _, _ in metrics),
                None if row.seconds is None else round(row.seconds, 1),
                row.status.lower(),
                row.health,
                row.run_id[:8],
            ]
            for row in rows
        ],
    )


def _figures(table: Table, *, uri: str) -> list[Block]:
    if not table.finished:
        return []
    averaged = f", means over {_and([in_words(axis) for axis in table.averaged])}" if table.averaged else ""
    shown = _and([in_words(axis) for axis in table.shown])
    blocks: list[Block] = []
    for name, figure, says in (
        ("heat_map", heat_map(table), f"Test MSE per value over {shown}{averaged}."),
        ("curves", curves(table), f"Test metrics over {shown}{averaged}; bars reach over the seeds alone."),
        ("main_effects", main_effects(table), "Each setting alone, means over the others, on one scale."),
        ("learning", learning_curves(table, uri=uri), "How the best of them learned: error over the steps."),
    ):
        if figure is not None:
            told = _numbers(table) if name == "curves" else ""
            blocks.append(Picture(name=name, figure=figure, says=says + told))
    return blocks


def _numbers(table: Table) -> str:
    """The means over the first axis, for those who don't see the curve."""
    means = {value: spread.mean for (value,), spread in table.over_seeds(ERROR, table.shown[:1]).items()}
    ordered = [value for value in table.values[table.shown[0]] if value in means]
    return f" Mean test MSE: {', '.join(f'{digits(means[value])} at {value}' for value in ordered[:12])}."


def _images(given: Given, *, uri: str) -> list[Block]:
    table = given.table
    if table.shown:
        found = mosaic(table, uri=uri)
        lines = [found.missing and f"No mosaic: {found.missing}.", *found.damaged]
        told: list[Block] = [Sentences(lines=[line for line in lines if line])] if any(lines) else []
        if found.picture is not None:
            says = (
                "The first test images as each model reconstructs them, and as the best linear code of as many units"
                " does: PCA, or reduced-rank regression where there is noise."
            )
            told.insert(0, Picture(name="mosaic", figure=found.picture, says=says))
        return told
    pictures = Run.find(table.finished[0].run_id, uri).pictures()
    return [
        Picture(name=key.rpartition("/")[2], figure=pictures[key], says=says)
        for key, says in (
            ("final/reconstructions", "Test images, what the model saw, what it made of them, and the error."),
            ("worst", "The worst reconstructions of the test samples."),
        )
        if key in pictures
    ]


def _failures(table: Table) -> Block:
    failed = [row for row in table.rows if row.status in ("FAILED", "KILLED") or row.failure]
    unrun = sum(row.status == "NOT RUN" for row in table.rows)
    lines = [f"{table.label(row) or row.run_id}: {row.failure or row.status.lower()}" for row in failed[:200]]
    if len(failed) > 200:
        lines.append(f"and {len(failed) - 200} more")
    if unrun:
        lines.append(f"{unrun} jobs were refused before they began, or not started")
    return Sentences(lines=lines or ["No job failed."], listed=bool(lines))


def _origin(given: Given) -> list[Block]:
    tags = [job.data.tags for job in given.jobs] or [given.tags]
    blocks: list[Block] = [Command(text=given.tags.get("command") or _command(given))]
    versions = sorted({_version(each) for each in tags} - {""})
    dirty = " (with changes)" if any(machine_tag(each, GIT_DIRTY) == "true" for each in tags) else ""
    lines = [f"Hourglass {' and '.join(versions)}{dirty}" if versions else "The version was not recorded"]
    for name in ("torch", "pytorch-lightning", "mlflow", "hydra-core", "optuna"):
        lines.append(f"{name} {version(name)} (where this page was written)")
    return [*blocks, Sentences(lines=lines, listed=True)]


def _version(tags: Mapping[str, str]) -> str:
    return " ".join(filter(None, (tags.get("hourglass_version", ""), (machine_tag(tags, GIT_SHA) or "")[:10])))


def _command(given: Given) -> str:
    """As far as the record says it: the axes, and the choices that all share."""
    table = given.table
    words = ["hourglass", "train", *(["-m"] if len(table.rows) > 1 else [])]
    if given.jobs:
        job = given.jobs[0].data
        words += [f"{group}={job.tags[group]}" for group in ("data", "model", "noise") if job.tags.get(group)]
        words += [f"training.epochs={job.params['training.epochs']}"] if "training.epochs" in job.params else []
    words = [word for word in words if word.partition("=")[0] not in table.values]
    words += [f"{axis}={','.join(values)}" for axis, values in table.values.items()]
    return f"{' '.join(words)}\n# put together from the record, which lacks the command itself"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _some(values: Sequence[str]) -> str:
    if len(values) <= 12 and max(map(len, values)) <= 12:
        return ", ".join(values)
    return f"{short(values[0])} to {short(values[-1])}, {len(values)} values"


def _named(axis: str) -> str:
    return axis if axis == in_words(axis) else f"{in_words(axis)} ({axis})"
