"""Reading a study, and recording what it shows at a glance; runs in a process of its own."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hourglass.sweeps.studies.table import ERROR, REFUSED, Row, Table
from hourglass.system.errors import reason
from hourglass.system.passwords import without_passwords
from hourglass.tracking import Run, search_runs
from hourglass.tracking.machine import CONFIG_HASH, machine_tag
from hourglass.tracking.mlflow_internals import LONGEST_TAG, NOTE, PARENT
from hourglass.tracking.recorded import PICTURES

REFUSALS = "study/refused.json"
"""The file of a study that holds the jobs which make no sense."""

REPORT = "report.html"
"""The file of a study's run that holds its report."""


class Request(NamedTuple):
    """What to record."""

    run_id: str
    """Of the study."""
    uri: str
    """Where it is, resolved."""
    pictures: bool
    """Or the table alone."""
    folder: str | None = None
    """Where the pictures are written too, as files; None: nowhere."""


class Recorded(NamedTuple):
    """What was recorded, in a line each."""

    best: str
    """Empty while no job is finished, and of a search, which says its own."""
    missing: str
    """Why there is no mosaic; empty where there is one, or no pictures were asked for."""
    damaged: tuple[str, ...] = ()
    """Jobs that had to be left out of the mosaic, a line each."""
    files: tuple[str, ...] = ()
    """Pictures that were written as files."""


def read(run_id: str, *, uri: str) -> Table:
    """The jobs of a study; of several runs of the same job the latest finished one, else the latest."""
    parent = Run.find(run_id, uri)
    return table_of(parent, jobs_of(parent))


def jobs_of(parent: Run) -> list[Any]:
    """MLflow's records of a study's jobs, one each."""
    children = search_runs(parent.uri, None, f"tags.`{PARENT}` = '{parent.id}' AND tags.kind = 'training'")
    jobs: dict[str, Any] = {}
    for child in sorted(children, key=lambda child: (child.info.status == "FINISHED", child.info.start_time)):
        jobs[machine_tag(child.data.tags, CONFIG_HASH) or child.info.run_id] = child
    return list(jobs.values())


def table_of(parent: Run, jobs: Sequence[Any]) -> Table:
    """The jobs of a study as a table: those that have a run, and those that were refused."""
    prefix = "axis."
    axes = {key.removeprefix(prefix): text.split(", ") for key, text in parent.tags.items() if key.startswith(prefix)}
    known = {machine_tag(job.data.tags, CONFIG_HASH) for job in jobs}
    refused = [
        Row({axis: each["point"].get(axis, "") for axis in axes}, REFUSED, "", {}, None, each["reason"])
        for key, each in read_refused(parent).items()
        if key not in known
    ]
    return Table(name=parent.name, axes=axes, rows=[*(row_of(job, list(axes)) for job in jobs), *refused])


def read_refused(study: Run) -> dict[str, Any]:
    """The jobs of a study that make no sense, by their key: `point`, the value on each axis, and `reason`."""
    if not study.holds(REFUSALS):
        return {}
    return study.read_file(REFUSALS, lambda path: dict(json.loads(path.read_bytes())))


def record_refused(study: Run, jobs: Mapping[str, tuple[Mapping[str, str], str]]) -> None:
    """Add jobs to what `read_refused` finds.

    Args:
        study: its run.
        jobs: by their key the value on each axis, and the reason.
    """
    fresh = {key: {"point": dict(point), "reason": without_passwords(reason)} for key, (point, reason) in jobs.items()}
    study.log_text(json.dumps(read_refused(study) | fresh, indent=1), REFUSALS)


def record(request: Request) -> Recorded:
    """Record the table, the best run and the pictures of a study as it stands, in its run."""
    from hourglass.figures.canvas import to_array, to_png
    from hourglass.sweeps.studies.charts import curves, heat_map
    from hourglass.sweeps.studies.main_effects import main_effects
    from hourglass.sweeps.studies.mosaic import Mosaic, mosaic

    table = read(request.run_id, uri=request.uri)
    run = Run.find(request.run_id, request.uri)
    step, best, images = len(table.finished), table.best, Mosaic(None, "", ())
    run.log_text(table.to_csv(), "study/jobs.csv")
    chosen = run.tags.get("best_trial.run")  # a search has said its best itself, by what it goes by
    if best is not None:
        run.set_tags({"best_run": chosen or best.run_id})
        run.log_metrics({"study/best_test_mse": best.metrics[ERROR]}, step=step)
        run.flush()
    shown: dict[str, str] = {}
    files: list[str] = []
    if request.pictures and step:
        try:
            images = mosaic(table, uri=request.uri)
        except Exception as error:  # as where the data are not here any more: the other pictures need none
            images = Mosaic(None, reason(error), ())
        drawn = {"heat_map": heat_map(table), "curves": curves(table), "mosaic": images.picture}
        if table.further:  # else heat map and curves show them all
            drawn["main_effects"] = main_effects(table)
        for name, figure in drawn.items():
            if figure is not None:
                pixels = to_array(figure)
                run.log_image(pixels, f"study/{name}", step)
                # At step 0, where a grid of images begins, and replaced each time.
                run.log_image(pixels, f"final/{name}", 0)
                shown[name] = run.log_picture(pixels, name)
                if request.folder is not None:
                    files.append(str(Path(request.folder) / f"{name}.png"))
                    Path(request.folder).mkdir(parents=True, exist_ok=True)
                    to_png(figure, Path(files[-1]))
    _describe(run, table, pictures=shown)
    text = (
        ""
        if best is None or chosen
        else f"{table.label(best) or 'the only job'}: {ERROR} {best.metrics[ERROR]:.5f}, run {best.run_id}"
    )
    return Recorded(text, images.missing, images.damaged, tuple(files))


def leave_report(request: Request) -> None:
    """Write the report of a study that has come to its end into its run."""
    from hourglass.reports.html import html
    from hourglass.sweeps.studies.gathering import gather
    from hourglass.sweeps.studies.report import report

    given = gather([request.run_id], uri=request.uri)
    page = report(given, uri=request.uri, figures=request.pictures, models=request.pictures)
    run = Run.find(request.run_id, request.uri)
    run.log_text(html(page), REPORT)
    names = ("heat_map", "curves", "mosaic", "main_effects")
    paths = {name: f"{PICTURES}/{name}.png" for name in names}
    _describe(run, given.table, pictures={name: path for name, path in paths.items() if run.holds(path)})


def _describe(run: Run, table: Table, *, pictures: Mapping[str, str]) -> None:
    """Let the study say on its page what it shows, with the pictures that it holds, and its report."""
    from hourglass.sweeps.studies.description import Place, describe

    place = Place(run.experiment_id, run.id)
    reported = REPORT if run.holds(REPORT) else None
    run.set_tags({NOTE: describe(table, place=place, tags=run.tags, pictures=pictures, report=reported)[:LONGEST_TAG]})


def row_of(run: Any, axes: Sequence[str]) -> Row:
    """One job from MLflow's record of its run: what a key or, for a group, its tag says."""
    params, tags, info = run.data.params, run.data.tags, run.info
    return Row(
        {axis: params.get(axis, tags.get(axis, "")) for axis in axes},
        info.status,
        info.run_id,
        {name: value for name, value in run.data.metrics.items() if name.startswith(("test/", "fit/"))},
        (info.end_time - info.start_time) / 1000 if info.end_time else None,
        tags.get("failure", ""),
        tags.get("health", ""),
    )
