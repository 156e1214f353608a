"""The columns of a table: what each holds, and the numbers that stand for it.

numbers      as they are, NaN where one is missing
names        one-hot: a column for each name
dates        neither: refused by name
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hourglass.data.dataset import Category
from hourglass.data.labels import Labels

MOST = 100
"""Names that a column may hold to be taken for categories unasked."""
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(\d\d)?([ T].*)?")
_SHOWN = 5  # names in a message

Values = npt.NDArray[Any]
"""Of a column: float64, NaN where missing, or texts, None where missing."""


class Table(ABC):
    """A table as it was read: texts or numbers, before anything is made of them."""

    names: list[str]
    """Of the columns; where `named` is false, their positions."""
    named: bool
    rows: int
    given: Labels | None = None
    """Labels that came beside it."""

    @abstractmethod
    def values(self, name: str) -> Values:
        """A column."""

    @abstractmethod
    def labels(self, name: str, rows: npt.NDArray[np.intp]) -> Labels:
        """A column as labels, of these rows: whole numbers, or texts. Raises ValueError where there is none."""

    def is_missing(self, name: str) -> npt.NDArray[np.bool_]:
        """Which values of a column are missing, (N,)."""
        values = self.values(name)
        return np.array([value is None for value in values]) if values.dtype == object else np.isnan(values)

    @abstractmethod
    def where(self, row: int) -> str:
        """Where a row stands, for messages."""

    def cell(self, name: str, row: int) -> Any:
        """A value as it stands there, for messages."""
        return self.values(name)[row]

    def is_number(self, text: str) -> bool:
        """Whether a text is a number."""
        return is_number(text)

    def malformed(self, message: str, name: str, row: int) -> ValueError:  # noqa: ARG002
        """The error of a value that is no number, with what to say then."""
        return ValueError(message)

    def check_names(self, name: str) -> None:  # noqa: B027 - most have nothing to say
        """Raise ValueError where a column of texts can't have been meant as names."""


def name_of(key: str, wanted: str | int, table: Table) -> str:
    """The column of that name or position. Raises ValueError, where there is none, with those that there are."""
    if type(wanted) is int and 0 <= wanted < len(table.names):
        return table.names[wanted]
    if table.named and wanted in table.names:
        return str(wanted)
    allowed = f"a position from 0 to {len(table.names) - 1}" + (
        f" or one of {', '.join(table.names)}" if table.named else ""
    )
    raise ValueError(f"{key} must be {allowed}, got {wanted!r}")


def is_number(text: str) -> bool:
    """Whether Python reads it as one."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def text_of(number: float) -> str:
    """A number as a name, another one for each: 10 of 10.0, 0.1 of 0.1."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def distinct(names: Sequence[str]) -> list[str]:
    """Names that differ: a second `a` is `a.1`, as pandas calls it."""
    found: list[str] = []
    for name in names:
        number, each = 0, name
        while each in found:
            number += 1
            each = f"{name}.{number}"
        found.append(each)
    return found


def few(words: Sequence[str], shown: int = _SHOWN) -> str:
    """The first of several words."""
    return ", ".join(words[:shown]) + (", ..." if len(words) > shown else "")


def categories_of(
    table: Table, names: Sequence[str], categorical: Sequence[str | int] | None
) -> dict[str, tuple[str, ...]]:
    """The columns that are categories, and the names that each has."""
    asked = None if categorical is None else {name_of("categorical", each, table) for each in categorical}
    if asked and (odd := sorted(asked.difference(names))):
        raise ValueError(f"categorical must name columns that are used, got {', '.join(odd)}")
    found = {}
    for name in names:
        values = table.values(name)
        if asked is not None and name in asked:
            found[name] = _names_in(values)
        elif values.dtype == object:
            _check_text(table, name, values, detected=asked is None)
            found[name] = _names_in(values)
    return found


def _check_text(table: Table, name: str, values: Values, *, detected: bool) -> None:
    """ValueError for a column of texts that aren't categories."""
    texts = [(row, text) for row, text in enumerate(values) if text is not None]
    numbers = sum(table.is_number(text) for _, text in texts)
    what = f"column {name} must hold numbers"
    if numbers == len(texts):
        raise ValueError(
            f"{what}, got the text {texts[0][1]!r} in {table.where(texts[0][0])}: cast it, or make categories of them,"
            f" data.categorical=[{name}]"
        )
    row, text = next((row, text) for row, text in texts if not table.is_number(text))
    if numbers:
        raise table.malformed(f"{what}, got {text!r} in {table.where(row)}", name, row)
    table.check_names(name)
    leave = f"leave it out, data.exclude=[{name}]"
    if all(_DATE.fullmatch(text.strip()) for _, text in texts):
        raise ValueError(
            f"{what}, got the date {text!r} in {table.where(row)}: {leave}, or write it as a number, as days or years"
        )
    if not detected:
        raise ValueError(f"{what}, got {text!r} in {table.where(row)}: {leave}, or name it in data.categorical")
    count = len({text for _, text in texts})
    if count > MOST or (count == len(texts) and count > 1):
        each = ", each once" if count == len(texts) else ""
        raise ValueError(
            f"{what} or a few names, got {count:,} different texts{each}, as {text!r} in {table.where(row)}:"
            f" {leave}, or make categories of them, data.categorical=[{name}]"
        )


def _names_in(values: Values) -> tuple[str, ...]:
    """The names of a column, in order."""
    if values.dtype == object:
        return tuple(sorted({text for text in values if text is not None}))
    return tuple(text_of(value) for value in np.unique(values[~np.isnan(values)]))


def encoded(table: Table, name: str, names: tuple[str, ...] | None) -> npt.NDArray[np.float64]:
    """One column as numbers, (N, 1), or one-hot, (N, names)."""
    values = table.values(name)
    if names is None:
        if values.dtype == object:
            _check_text(table, name, values, detected=False)
        return cast(npt.NDArray[np.float64], values[:, None])
    texts = values if values.dtype == object else [None if np.isnan(value) else text_of(value) for value in values]
    places = {text: place for place, text in enumerate(names)}
    found = np.zeros((len(texts), len(names)))
    for row, text in enumerate(texts):
        if text is None:
            found[row] = np.nan
        elif text in places:
            found[row, places[text]] = 1
        else:
            raise ValueError(f"column {name} must hold one of {few(names)}, got {text!r} in {table.where(row)}")
    return found


def columns_of(
    names: Sequence[str], categories: dict[str, tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[Category, ...]]:
    """The names of the encoded columns, and which of them are categories."""
    columns: list[str] = []
    spans = []
    for name in names:
        if name in categories:
            spans.append(Category(name, len(columns), categories[name]))
            columns += [f"{name}={value}" for value in categories[name]]
        else:
            columns.append(name)
    return tuple(columns), tuple(spans)


def sources_of(columns: Sequence[str] | None, width: int, categories: Sequence[Category]) -> list[str]:
    """The columns of a table that stand behind those that a model takes."""
    spans = {category.start: category for category in categories}
    found, at = [], 0
    while at < width:
        category = spans.get(at)
        found.append(category.column if category else columns[at] if columns is not None else str(at))
        at += len(category.values) if category else 1
    return found


def rows_of(table: Table, names: Sequence[str], categories: Sequence[Category]) -> npt.NDArray[np.float64]:
    """The rows (N, D) of a further table, with NaN where an entry is missing: columns `names`, some of them one-hot."""
    values = {category.column: category.values for category in categories}
    return np.concatenate([encoded(table, name, values.get(name)) for name in names], axis=1)
