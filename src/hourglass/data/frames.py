"""Tables that pandas holds: those of parquet files, and DataFrames that are given in Python."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from hourglass.data.columns import Table, Values, distinct, few, rows_of, sources_of
from hourglass.data.dataset import Category, Dataset
from hourglass.data.labels import Labels
from hourglass.data.splitting import Splitting, existing_file
from hourglass.data.tables import Rules, TableKeys, table_dataset


class Frame(Table):
    """A pandas DataFrame.

    Args:
        frame: the table.
        what: what messages call it: a file, or the name of an argument.
    """

    def __init__(self, frame: Any, what: str) -> None:
        self.names = distinct([str(name) for name in frame.columns])
        self.named = True
        self.rows = len(frame)
        self.what = what
        self._series = {name: frame.iloc[:, at] for at, name in enumerate(self.names)}
        if not self.rows:
            raise ValueError(f"path must hold rows, got none in {what}")

    @override
    def values(self, name: str) -> Values:
        from pandas.api.types import is_bool_dtype, is_complex_dtype, is_datetime64_any_dtype, is_numeric_dtype

        series = self._series[name]
        kind = series.dtype
        if (is_numeric_dtype(kind) or is_bool_dtype(kind)) and not is_complex_dtype(kind):
            return series.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]
        gone = series.isna().to_numpy()
        if is_datetime64_any_dtype(kind):
            texts = [each.isoformat() for each in series.dt.to_pydatetime()] if not gone.any() else series.astype(str)
            return _texts(list(texts), gone)
        held = [each for each, missing in zip(series, gone, strict=True) if not missing]
        other = next((each for each in held if not isinstance(each, str)), None)
        if other is None:
            return _texts(list(series), gone)
        if all(isinstance(each, bool | int | float | np.number) for each in held):  # numbers as Python objects
            return np.array([np.nan if missing else float(each) for each, missing in zip(series, gone, strict=True)])
        if hasattr(other, "isoformat"):
            return _texts([str(each) for each in series], gone)
        raise ValueError(
            f"column {name} must hold numbers or texts, got {type(other).__name__} of {kind} in {self.what}: leave it"
            f" out, data.exclude=[{name}]"
        )

    @override
    def labels(self, name: str, rows: npt.NDArray[np.intp]) -> Labels:
        values, gone = self.values(name)[rows], self.is_missing(name)[rows]
        if gone.any():
            row = int(rows[np.flatnonzero(gone)[0]])
            raise ValueError(
                f"label_column must hold a class in every row, got nothing in {self.where(row)}: say"
                " data.missing=drop to leave out such rows"
            )
        if values.dtype == object:
            return values.astype(str)
        whole = values.astype(np.int64)
        return whole if (whole == values).all() else np.array([f"{value:g}" for value in values])

    @override
    def where(self, row: int) -> str:
        return f"row {row} of {self.what}"

    @override
    def cell(self, name: str, row: int) -> Any:
        value = self._series[name].iloc[row]
        return value.item() if isinstance(value, np.generic) else value


def _texts(texts: Sequence[Any], gone: Any) -> Values:
    return np.array([None if missing else text for text, missing in zip(texts, gone, strict=True)], dtype=object)


def parquet(*, path: str, validation_path: str | None, test_path: str | None, **keys: Unpack[TableKeys]) -> Dataset:
    """The rows of a table in a parquet file, (D,) float32.

    path: the file.
    validation_path, test_path: files of their own, of the same columns; None: `validation_size` and `test_share` of the
        rows are set apart.
    The other arguments: `hourglass.data.tables.Rules` and `Splitting`. Raises ValueError that names the row and the
    column.
    """
    rules, splitting = Rules.of(keys)
    files = {"path": path, "validation_path": validation_path, "test_path": test_path}
    tables = [None if each is None else _read(key, each) for key, each in files.items()]
    return frames_as_dataset("parquet", tables, rules, splitting)


def frames_as_dataset(
    name: str,
    tables: Sequence[Frame | None],
    rules: Rules,
    splitting: Splitting,
    *,
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """Samples, validation set and test set, as far as they are there, as a data set, and a note of their size."""
    table = tables[0]
    assert table is not None
    names = rules.chosen(table)
    note = f"{table.rows:,} rows of {len(names)} columns, named {few(names)}"
    return table_dataset(name, tables, rules, splitting, notes=(note,), classes=classes)


def _read(key: str, path: str) -> Frame:
    import pandas as pd
    from pyarrow import ArrowException

    file = existing_file(key, path)
    try:
        frame = pd.read_parquet(file, engine="pyarrow")
    except (ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{key} must be a parquet file, got {file}: {str(error).splitlines()[0]}") from error
    return Frame(frame, str(file))


def parquet_column_names(path: str) -> list[str]:
    """The names of the columns of a file as `parquet` reads it."""
    return _read("path", path).names


def read_parquet_rows(path: str, *, columns: Sequence[str], categories: Sequence[Category]) -> npt.NDArray[np.float64]:
    """The rows (N, D) of a further parquet file, NaN where one is missing; further columns are left out.

    columns, categories: what the model takes. Raises ValueError where one of them isn't there.
    """
    table, wanted = _read("path", path), sources_of(columns, len(columns), categories)
    if missing := [name for name in wanted if name not in table.names]:
        raise ValueError(f"{path} must hold the columns {', '.join(wanted)}, got none named {', '.join(missing)}")
    return rows_of(table, wanted, categories)
