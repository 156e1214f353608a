"""Runs beside each other: what differs in their configuration, in numbers, on the same images, and in their units.

Whether two numbers differ is a question to chance: a run's siblings, the runs of its study that have another seed and
nothing else, give the range of each number. Runs of the same seed see the same batches in the same order, so that two
settings are compared seed by seed: a difference is clear where the 95 % interval of the paired differences doesn't hold
0 (`hourglass.measures.paired`). Where it does no difference is shown, and no equality either.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hourglass.configuration.identity import UNNAMED
from hourglass.figures.grid import zoom_of
from hourglass.figures.picture import Picture as Drawn
from hourglass.figures.picture import gap
from hourglass.measures.health import leaves_rounding
from hourglass.measures.images import SSIM_WINDOW
from hourglass.measures.paired import Difference, paired_difference
from hourglass.reports.content import Block, Column, Grid, Page, Picture, Section, Sentences, told
from hourglass.reports.differences import differences
from hourglass.reports.inside import Inside
from hourglass.reports.units import unit_cards
from hourglass.system.errors import HourglassError, reason
from hourglass.tracking import search_runs
from hourglass.tracking.mlflow_internals import PARENT, meant

_ERROR, _SSIM = "test/mse", "test/ssim"
_NUMBERS = (
    *(_ERROR, "test/mse_as_trained", "test/mse_over_linear", "test/psnr", _SSIM, "test/code_active_fraction"),
    *("fit/dead_units", "test/linear_accuracy", "test/linear_samples", "test/knn_accuracy", "model/parameters"),
    *("model/code_size", "time/fit_seconds"),
)
_NAMES = {_SSIM: f"{_SSIM}, {SSIM_WINDOW}"}
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

    def by_seed(self, metric: str) -> dict[str, float]:
        """The finite values over the siblings, by their seed; the run itself for its own."""
        found = {}
        for each in (*self.siblings, self.record):
            value = meant(each.data.metrics.get(metric, math.nan))
            if math.isfinite(value):
                found[each.data.params.get("seed", "")] = value
        return found


class Paired(NamedTuple):
    """Two settings, seed by seed."""

    difference: Difference
    seeds: int
    is_same: bool
    """Whether the two have the same number for each seed."""
    base: float
    """The mean of the one that the other is held against, over the same seeds."""


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
    """Metrics, and by how much those of the others differ from the first run's, seed by seed."""
    first, *others = compared
    columns = [Column(name="metric")]
    for side in compared:
        columns += [Column(name=side.name[0], number=True), Column(name="over seeds")]
        columns += [Column(name="against A")] if side is not first else []
    rows: list[list[str | float | None]] = []
    for metric in _NUMBERS:
        if not any(metric in side.record.data.metrics for side in compared):
            continue
        row: list[str | float | None] = [_NAMES.get(metric, metric)]
        for side in (first, *others):
            value, span = side.record.data.metrics.get(metric), side.range(metric)
            row += [value, f"{told(span[0])} to {told(span[1])}" if span else "one seed"]
            row += [_against(first, side, metric)] if side is not first else []
        rows.append(row)
    seeds = ", ".join(f"{side.name[0]} {len(side.siblings)}" for side in compared)
    caption = (
        f"Numbers, and their range over the seeds of the same setting ({seeds}). Against A: the mean difference of the"
        " seeds that both have, with its 95 % interval; of twenty lines one may look clear by chance."
    )
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
    return [f"{side.name} {_said(compared[0], side)}." for side in compared[1:]]


def _said(first: Side, side: Side) -> str:
    """How the test error of a run stands to the first one's."""
    here, there = (meant(each.record.data.metrics.get(_ERROR, math.nan)) for each in (side, first))
    if not (math.isfinite(here) and math.isfinite(there)):
        return "has no test error to compare" if not math.isfinite(here) else "has none of A's to be compared with"
    if leaves_rounding(first.record.data.metrics, beside=here):
        return f"has a test MSE of {told(here)}, and that of A is rounding, {told(there)}: nothing is a multiple of it"
    if _setting(side.record) == _setting(first.record):
        return f"has {_share(here - there, there)} test MSE than A, of the same setting: seeds differ by that"
    pairs = paired(first, side, _ERROR)
    if pairs is None:
        why = f"{_unpaired(first, side, _ERROR)} can't tell whether others would say the same"
        return f"has {_share(here - there, there)} test MSE than A: {why}"
    if pairs.is_same:
        return f"has the test MSE of A at each of {pairs.seeds} seeds"
    mean, low, high = (each / pairs.base for each in pairs.difference)
    interval = f"95 % interval {low:+.1%} to {high:+.1%} over {pairs.seeds} seeds"
    if low <= 0 <= high:
        return f"shows no difference from A in test MSE: {mean:+.1%}, {interval}, which holds 0"
    return f"has {_share(pairs.difference.mean, pairs.base)} test MSE than A, {interval}"


def _share(difference: float, base: float) -> str:
    return f"{abs(difference) / base:.1%} {'more' if difference > 0 else 'less'}"


def paired(first: Side, side: Side, metric: str) -> Paired | None:
    """A run's setting less the first one's over the seeds that both have; None with fewer than two such seeds."""
    ours, theirs = side.by_seed(metric), first.by_seed(metric)
    seeds = [seed for seed in ours if seed in theirs]
    if len(seeds) < 2:
        return None
    here, there = ([values[seed] for seed in seeds] for values in (ours, theirs))
    return Paired(paired_difference(here, there), len(seeds), here == there, sum(there) / len(seeds))


def _unpaired(first: Side, side: Side, metric: str) -> str:
    """What is there in place of pairs."""
    many = min(len(each.by_seed(metric)) for each in (first, side)) > 1
    return "seeds that the two don't share" if many else "one seed"


def _against(first: Side, side: Side, metric: str) -> str:
    """The difference, and whether it is more than seeds do."""
    here, there = (meant(each.record.data.metrics.get(metric, math.nan)) for each in (side, first))
    if not (math.isfinite(here) and math.isfinite(there)):
        return ""
    if _setting(side.record) == _setting(first.record):
        return f"{here - there:+.3g}, same setting"
    pairs = paired(first, side, metric)
    if pairs is None:
        return f"{here - there:+.3g}, {_unpaired(first, side, metric)}"
    if pairs.is_same:
        return "the same at each seed"
    if pairs.difference.low == pairs.difference.high:  # as of sizes, which know no chance
        return f"{pairs.difference.mean:+.3g} at each seed"
    clear = not pairs.difference.low <= 0 <= pairs.difference.high
    return f"{pairs.difference.said('+.3g')}, {'clear' if clear else 'no difference shown'}"


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
