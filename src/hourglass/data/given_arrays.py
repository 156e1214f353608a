"""Arrays that a person has in Python, split as those of a file are.

A record can't hold them. It says what they were, by digest, sizes and range. What they are read from: `reading`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack

from hourglass.data import handed_over
from hourglass.data.dataset import Dataset
from hourglass.data.frames import Frame
from hourglass.data.labels import check_labels
from hourglass.data.missing import MISSING
from hourglass.data.own_arrays import Part, arrays_as_dataset
from hourglass.data.paired import paired
from hourglass.data.reading import Arrays
from hourglass.data.scaling import SCALINGS
from hourglass.data.splitting import ImageSplitsAndTest, Splitting
from hourglass.data.tables import Rules, table_dataset
from hourglass.system.checks import check_choice

NOT_KEPT = (
    "arrays that were given in Python are in no record: measure or train on a file, as data=npz data.path=FILE, or call"
    " hourglass.fit on them again"
)
WHERE = "what was given"


class Given(NamedTuple):
    """What a person gave."""

    samples: Arrays
    validation: Arrays | None = None
    test: Arrays | None = None
    target: Arrays | None = None
    """Of the samples: what is to be made of them; None: they themselves."""


def arrays(
    *,
    given: Given | None = None,
    name: str,
    digest: str | None,
    sizes: Mapping[str, int] | None,  # noqa: ARG001 - for the record
    range: Sequence[float] | None,  # noqa: ARG001
    scaling: str,
    missing: str = "refuse",
    **splits: Unpack[ImageSplitsAndTest],
) -> Dataset:
    """Arrays that were given in Python.

    given: the arrays; None: those that a sweep hands to its processes, or as from a record: they aren't there.
    name: what messages and runs call them.
    digest: of the data set, which arrays that were handed over must have; None: not known.
    sizes, range: what a record says of them; not read.
    scaling: of floats, see `hourglass.data.scaling`.
    missing: what becomes of NaN in rows, see `hourglass.data.missing`.
    The other arguments: `Splitting`; an own validation or test set stands in for its share.
    Raises ValueError that names the array.
    """
    splitting = Splitting(**splits)
    check_choice("scaling", scaling, SCALINGS)
    check_choice("missing", missing, MISSING)
    if not name.strip() or not name.isprintable():
        raise ValueError(f"name must be a name, got {name!r}")
    if given is not None:
        return _dataset(given, name, splitting, scaling=scaling, missing=missing)
    parts = handed_over.found()
    if parts is None:
        raise ValueError(NOT_KEPT)
    given = Given(**{part: Arrays(*held) for part, held in parts.items()})
    data = _dataset(given, name, splitting, scaling=scaling, missing=missing)
    if digest not in (None, data.digest):  # a record of others
        raise ValueError(NOT_KEPT)
    return data


def _dataset(given: Given, name: str, splitting: Splitting, *, scaling: str, missing: str) -> Dataset:
    data = _samples(given, name, splitting, scaling=scaling, missing=missing)
    if given.target is None:
        return data
    if given.validation is not None or given.test is not None:
        raise ValueError("target goes with x alone: leave validation and test out, which are set apart of both")
    if len(given.target.x) != len(given.samples.x):
        raise ValueError(f"target must hold one for each of {len(given.samples.x)} samples, got {len(given.target.x)}")
    goals = _samples(Given(given.target), name, splitting, scaling=scaling, missing=missing)
    return paired(data, goals, key="target")


def _samples(given: Given, name: str, splitting: Splitting, *, scaling: str, missing: str) -> Dataset:
    parts = {"x": given.samples, "the validation set": given.validation, "the test set": given.test}
    for key, part in parts.items():
        if part is not None and part.columns != given.samples.columns:
            raise ValueError(f"{key} must have the columns of x, {_listed(given.samples)}, got {_listed(part)}")
    if given.samples.x.dtype == object or (missing != "refuse" and given.samples.x.ndim == 2):
        tables = [None if part is None else as_table(key, part) for key, part in parts.items()]
        rules = Rules(label_column=None, scaling=scaling, missing=missing)
        return table_dataset(name, tables, rules, splitting)
    if missing != "refuse":
        raise ValueError(f"missing must be refuse for samples of shape {given.samples.x.shape[1:]}, got {missing}")
    held = [
        None if part is None else Part(key, part.x, "y" if key == "x" else f"y of {key}", part.y, f" in {WHERE}")
        for key, part in parts.items()
    ]
    return arrays_as_dataset(name, held, splitting, scaling=scaling, columns=given.samples.columns)


def as_table(key: str, part: Arrays) -> Frame:
    """Rows as a table."""
    import pandas as pd

    if part.x.ndim != 2 or part.x.dtype.kind not in "fuO":
        raise ValueError(f"{key} must be rows (N, D) of floats, got {part.x.dtype.name} {part.x.shape}")
    frame = Frame(pd.DataFrame(part.x, columns=part.columns), key)
    frame.named = part.columns is not None
    if part.y is not None:
        frame.given = check_labels(f"y of {key}", part.y, len(part.x), f" in {WHERE}")
    return frame


def _listed(found: Arrays) -> str:
    return "without names" if found.columns is None else ", ".join(found.columns)
