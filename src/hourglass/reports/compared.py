"""Runs beside each other: what differs in their configuration, in numbers, on the same images, and in their units.

Whether two numbers differ is a question to chance: a run's siblings, the runs of its study that have another seed and
nothing else, give the range of each number. Where two ranges don't meet the difference is more than that of seeds.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hourglass.configuration.identity import UNNAMED
from hourglass.figures.grid import zoom_of
from hourglass.figures.picture import Picture as Drawn
from hourglass.figures.picture import gap
from hourglass.reports.content import Block, Column, Grid, Page, Picture, Section, Sentences, told
from hourglass.reports.differences import differences
from hourglass.reports.inside import Inside
from hourglass.reports.units import unit_cards
from hourglass.system.errors import HourglassError, reason
from hourglass.tracking import search_runs
from hourglass.tracking.mlflow_internals import PARENT

_NUMBERS = (
    *("test/mse", "test/mse_over_linear", "test/psnr", "test/ssim", "test/code_active_fraction", "fit/dead_units"),
    *("test/linear_accuracy", "test/knn_accuracy", "model/parameters", "model/code_size", "time/fit_seconds"),
)
_COUNT = 10


class Side(NamedTuple):
    """One of the runs that are compared."""

    name: str
    record: Any
    """MLflow's."""
    siblings: list[Any]
    """Records of the runs that differ from it in the seed alone, itself among them."""

    def range(self, metric: str) -> tuple[float, float] | None:
        """The least and the largest value over the siblings; None with fewer than two."""
        values = [each.data.metrics[metric] for each in self.siblings if metric in each.data.metrics]
        return (min(values), max(values)) if len(values) > 1 else None


def sides(records: Sequence[Any], *, uri: str) -> list[Side]:
    """The runs with their siblings.

    Args:
        records: MLflow's, of two runs or more.
        uri: where they are, resolved.

    Raises:
        HourglassError: fewer than two.
    """
    if len(records) < 2:
        raise HourglassError(f"compare takes two different runs or more, got {len(records)}")
    found = []
    for at, record in enumerate(records):
        parent = record.data.tags.get(PARENT)
        known = [record]
        if parent:
            condition = f"tags.`{PARENT}` = '{parent}' AND tags.kind = 'training' AND attributes.status = 'FINISHED'"
            known = [each for each in search_runs(uri, None, condition) if _setting(each) == _setting(record)]
        found.append(Side(f"{chr(65 + at % 26)}: {record.info.run_name}", record, known))
    return found


def configuration(compared: Sequence[Side]) -> Grid:
    """What differs, a line for each key."""
    found = differences([side.record for side in compared])
    return Grid(
        caption="What differs in configuration; all else is the same." if found else "The configurations are the same.",
        columns=[Column(name="key"), *(Column(name=side.name) for side in compared)],
        rows=[[key, *values] for key, values in found.items()],
    )


def numbers(compared: Sequence[Side]) -> Grid:
    """Metrics, and whether what differs from the first run is more than what seeds do."""
    first, *others = compared
    columns = [Column(name="metric")]
    for side in compared:
        columns += [Column(name=side.name[0], number=True), Column(name="over seeds")]
        columns += [Column(name="against A")] if side is not first else []
    rows: list[list[str | float | None]] = []
    for metric in _NUMBERS:
        if not any(metric in side.record.data.metrics for side in compared):
            continue
        row: list[str | float | None] = [metric]
        for side in (first, *others):
            value, span = side.record.data.metrics.get(metric), side.range(metric)
            row += [value, f"{told(span[0])} to {told(span[1])}" if span else "one seed"]
            row += [_against(first, side, metric)] if side is not first else []
        rows.append(row)
    seeds = ", ".join(f"{side.name[0]} {len(side.siblings)}" for side in compared)
    caption = f"Numbers, and their range over the seeds of the same setting ({seeds})."
    return Grid(caption=caption, columns=columns, rows=rows)


def comparison(compared: Sequence[Side], *, uri: str) -> Page:
    """The page.

    Args:
        compared: the runs.
        uri: where they are, resolved.
    """
    images: list[Block]
    units: list[Section] = []
    try:
        looked = [Inside.of(side.record.info.run_id, uri=uri) for side in compared]
        images = [_images(compared, looked)]
        for side, inside in zip(compared, looked, strict=True):
            letter = side.name[0]
            cards = unit_cards(inside, anchor=f"units-{letter}")
            units.append(Section(title=f"Units of {letter}", blocks=[Sentences(lines=[side.name]), *cards]))
    except Exception as error:  # the configurations and numbers are there all the same
        images = [Sentences(lines=[f"The models are not compared: {reason(error)}"])]
    return Page(
        title=" against ".join(side.name for side in compared),
        conclusion=conclusion(compared),
        sections=[
            Section(title="Configuration", blocks=[configuration(compared)]),
            Section(title="Numbers", blocks=[numbers(compared)]),
            Section(title="The same images", blocks=images),
            *units,
        ],
        foot=", ".join(f"{side.name[0]} is run {side.record.info.run_id}" for side in compared),
    )


def conclusion(compared: Sequence[Side]) -> list[str]:
    """The main sentence for each run after the first."""
    first, lines = compared[0], []
    for side in compared[1:]:
        here, there = (each.record.data.metrics.get("test/mse") for each in (side, first))
        if here is None or there is None:
            lines.append(f"{side.name}: no test error to compare.")
            continue
        more = "more" if here > there else "less"
        much = f"{abs(here - there) / there:.1%} {more} test MSE than A" if there else f"test MSE {told(here)}"
        lines.append(f"{side.name} has {much}: {_chance(first, side)}.")
    return lines


def _chance(first: Side, side: Side) -> str:
    said = _against(first, side, "test/mse")
    if said.endswith("clear"):
        return "more than seeds do"
    return "no more than seeds do" if said.endswith("within seeds") else "what seeds do is not known, there is one"


def _against(first: Side, side: Side, metric: str) -> str:
    """The difference, and whether the ranges over the seeds meet."""
    here, there = (each.record.data.metrics.get(metric) for each in (side, first))
    if here is None or there is None:
        return ""
    said = f"{here - there:+.3g}"
    one, other = side.range(metric), first.range(metric)
    if one is None or other is None:
        return said
    return f"{said}, {'within seeds' if one[0] <= other[1] and other[0] <= one[1] else 'clear'}"


def _images(compared: Sequence[Side], looked: Sequence[Inside]) -> Block:
    """The same test images in rows, with one scale for all errors."""
    first = looked[0]
    if any(inside.data.digest != first.data.digest for inside in looked):
        return Sentences(lines=["The runs have different data, so that no image is the same."])
    if not first.is_image:
        return Sentences(lines=[f"Samples of shape {first.data.shape} are no images."])
    count = min(_COUNT, len(first.x))
    x = first.x[:count].double().numpy()
    outputs = [inside.reconstruction[:count].double().numpy() for inside in looked]
    errors = [np.abs(x - output).mean(1, keepdims=True) for output in outputs]
    top = max(float(error.max()) for error in errors) or 1.0
    zoom = zoom_of(x.shape[3])
    wide, high = (count * (x.shape[3] + gap(x.shape[3]))) * zoom, x.shape[2] * zoom
    left, step = 170, high + 8
    picture = Drawn(width=left + wide + 60, height=(1 + 2 * len(looked)) * step + 8, title="")
    rows = [("original", x, False)]
    for side, output, error in zip(compared, outputs, errors, strict=True):
        rows += [(f"{side.name[0]} output", output, False), (f"{side.name[0]} absolute error", error, True)]
    for line, (name, images, is_error) in enumerate(rows):
        y = line * step
        panel = picture.mosaic(
            left,
            y,
            images,
            columns=count,
            value_range=(0, top) if is_error else first.data.range,
            zoom=zoom,
            cmap="magma" if is_error else "gray",
        )
        picture.text(left - 10, y + high / 2, name, ha="right", size=10)
        if is_error:
            picture.bar(panel, left + wide + 4, y, high)
    says = f"The first {count} test images as each run reconstructs them; all errors on one scale, 0 to {top:.2g}."
    return Picture(name="images", figure=picture, says=says)


def _setting(record: Any) -> dict[str, str]:
    """What a run was asked to compute, but for the seed."""
    leave = {*UNNAMED, "seed", "name", "study", "tracking", "sweep"}
    return {key: value for key, value in record.data.params.items() if key.partition(".")[0] not in leave}
