"""Tables, from whatever file: which columns are used, as what, and what becomes of missing entries.

    numbers      a column of numbers is a column
    categories   a column of names is as many columns as there are names: 1 for the one that it is, 0 for the others
    dates        are neither: refused by name
    missing      see `hourglass.data.missing`

What is shared by all that hold tables stands here; how each is read, in `own_tables` (csv) and `frames`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
import torch

from hourglass.data.columns import Table, categories_of, columns_of, encoded, few, name_of
from hourglass.data.dataset import Category, Dataset, Split
from hourglass.data.labels import Labels, as_classes, known_classes
from hourglass.data.labels import told as classes_told
from hourglass.data.missing import MISSING
from hourglass.data.scaling import SCALINGS
from hourglass.data.splitting import SplitsAndTest, Splitting
from hourglass.system.checks import check_choice

LEFT_OUT = ", which losses and errors leave out"
"""What a note says of missing entries that nothing is measured on."""


class _Required(SplitsAndTest):
    label_column: str | int | None
    scaling: str


class TableKeys(_Required, total=False):
    """The choices that every source of a table takes, as `**keys: Unpack[TableKeys]`; see `Rules` and `Splitting`."""

    columns: Sequence[str | int] | None
    exclude: Sequence[str | int] | None
    categorical: Sequence[str | int] | None
    missing: str


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is made of a table; names of columns, or their positions from 0.

    label_column: holds the labels; None: there are none.
    columns: those that are used, in that order; None: all.
    exclude: those that are not.
    categorical: those that are categories, whatever they hold; None: those that hold texts.
    missing: see `hourglass.data.missing`.
    scaling: of the numbers, see `hourglass.data.scaling`.
    """

    label_column: str | int | None
    scaling: str
    columns: Sequence[str | int] | None = None
    exclude: Sequence[str | int] | None = None
    categorical: Sequence[str | int] | None = None
    missing: str = "refuse"

    def __post_init__(self) -> None:
        check_choice("scaling", self.scaling, SCALINGS)
        check_choice("missing", self.missing, MISSING)
        if self.columns is not None and not self.columns:
            raise ValueError("columns must name one or more, or be null for all, got []")

    @classmethod
    def of(cls, keys: TableKeys) -> tuple[Self, Splitting]:
        """The rules and the splitting of what a source was given."""
        own = {key: value for key, value in keys.items() if key in cls.__dataclass_fields__}
        others = {key: value for key, value in keys.items() if key not in own}
        return cls(**cast(Any, own)), Splitting(**cast(Any, others))

    def chosen(self, table: Table, *, further: bool = False) -> list[str]:
        """The names of the columns that a model gets. Raises ValueError for one that isn't there.

        further: whether it is one more table, where what is excluded need not be there.
        """
        label = self.label(table)
        excluded = [each for each in self.exclude or () if not further or type(each) is int or each in table.names]
        out = {name_of("exclude", each, table) for each in excluded}
        if self.columns is None:
            found = [name for name in table.names if name != label and name not in out]
        else:
            found = [name_of("columns", each, table) for each in self.columns]
            for name in found:
                if name == label or name in out or found.count(name) > 1:
                    why = "label_column too" if name == label else "exclude too" if name in out else "twice"
                    raise ValueError(f"columns must not name {name}, which is named {why}")
        if not found:
            beside = f" beside label_column={self.label_column}" if label is not None else ""
            raise ValueError(f"path must hold a column{beside}{' and exclude' if out else ''}, got {few(table.names)}")
        return found

    def label(self, table: Table) -> str | None:
        """The name of the column of labels."""
        return None if self.label_column is None else name_of("label_column", self.label_column, table)


class _Read(NamedTuple):
    """A table as numbers."""

    x: npt.NDArray[np.float64]
    """(N, D), NaN where an entry is missing."""
    y: Labels | None
    lost: list[str]
    """Where rows were left out."""


def table_dataset(
    name: str,
    tables: Sequence[Table | None],
    rules: Rules,
    splitting: Splitting,
    *,
    notes: tuple[str, ...] = (),
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """Samples, validation set and test set, as far as they are there, as a data set; ValueError that names a column.

    classes: names of labels that are whole numbers, where they are known.
    """
    first = tables[0]
    assert first is not None
    names = rules.chosen(first)
    categories = categories_of(first, names, rules.categorical)
    held = [None if table is None else _read(table, names, categories, rules, first) for table in tables]
    labels, names_of = as_classes([None if each is None else each.y for each in held])
    splits = [
        None if each is None else Split(x=torch.from_numpy(each.x), y=None if y is None else torch.from_numpy(y))
        for each, y in zip(held, labels, strict=True)
    ]
    samples, validation, test = splits
    assert samples is not None
    columns, spans = columns_of(names, categories)
    gone = [split for split in splits if split is not None and bool(split.x.isnan().any())]
    return splitting.dataset(
        name=name,
        samples=samples,
        validation=validation,
        test=test,
        columns=columns if first.named or spans else None,
        scaling=rules.scaling,
        notes=(*notes, *_told(held, gone, columns, spans, rules), *classes_told(names_of)),
        classes=names_of or known_classes(classes, labels),
        categories=spans,
        missing=rules.missing if gone else "refuse",
    )


def _read(
    table: Table, names: Sequence[str], categories: dict[str, tuple[str, ...]], rules: Rules, first: Table
) -> _Read:
    if table is not first:
        theirs = rules.chosen(table, further=True)
        if sorted(theirs) != sorted(names):
            raise ValueError(
                f"validation_path and test_path must have the columns of path, {few(names)}, got {few(theirs)} in"
                f" {table.where(0).partition(' of ')[2]}"
            )
    x = np.concatenate([encoded(table, name, categories.get(name)) for name in names], axis=1)
    label = rules.label(table)
    bare = np.isnan(x).any(axis=1)
    if bare.any() and rules.missing == "refuse":
        row = int(np.flatnonzero(bare)[0])
        name = next(name for name in names if table.is_missing(name)[row])
        what = "a name" if name in categories else "numbers"
        raise ValueError(
            f"column {name} must hold {what}, got {table.cell(name, row)!r} in {table.where(row)}: say"
            " data.missing=drop, mean or mask if it is missing"
        )
    kept = np.arange(len(x))
    if rules.missing == "drop":
        bare |= table.is_missing(label) if label is not None else False
        if bare.all():
            raise ValueError(f"missing=drop would leave no row: each of {len(x):,} has a missing entry")
        kept = np.flatnonzero(~bare)
    y = table.given if label is None else table.labels(label, kept)
    if label is None and y is not None:
        y = y[kept]
    lost = [table.where(int(row)) for row in np.setdiff1d(np.arange(len(x)), kept)]
    return _Read(x[kept], y, lost)


def _told(
    held: Sequence[_Read | None],
    gone: Sequence[Split],
    columns: Sequence[str],
    spans: Sequence[Category],
    rules: Rules,
) -> list[str]:
    """What a person should know of the columns, a line each."""
    notes = [f"categories: {few([f'{span.column} ({few(span.values)})' for span in spans], 10)}"] if spans else []
    lost = [place for each in held if each is not None for place in each.lost]
    if lost:
        notes.append(f"{len(lost):,} rows with missing entries are left out: {few(lost)}")
    if gone:
        missing = torch.cat([split.x.isnan() for split in gone])
        source = {at: span.column for span in spans for at in range(span.start, span.span.stop)}
        names = [source.get(at, columns[at]) for at in missing.any(0).nonzero().flatten().tolist()]
        few_of = few(list(dict.fromkeys(names)))
        how = "the mean of its column stands for each" + (LEFT_OUT if rules.missing == "mask" else "")
        notes.append(f"missing entries in {int(missing.any(1).sum()):,} rows, in {few_of}: {how}")
    return notes
