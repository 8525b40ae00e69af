"""Columns by name, for models that take data frames."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mlops_scoring.worker.prediction import Array, Table, TensorSpec
from mlops_scoring.worker.scoring import Unfit


def column(found: Array, where: str) -> Array:
    """An array as one column.

    Raises:
        Unfit: It has several.
    """
    if found.ndim == 1 or (found.ndim == 2 and found.shape[1] == 1):
        return found.reshape(-1)
    raise Unfit(f"{where}: must be a column, of shape [n] or [n, 1]; it is {list(found.shape)}.")


def check_values(table: Table) -> None:
    """Check that rows hold numbers, texts, truths and gaps only.

    Raises:
        Unfit: One holds a list or an object.
    """
    if {list, dict}.isdisjoint(map(type, chain.from_iterable(table.rows))):
        return
    for number, row in enumerate(table.rows):
        for place, value in enumerate(row):
            if isinstance(value, list | dict):
                name = repr(table.columns[place]) if table.columns else str(place)
                raise Unfit(f"{table.where}[{number}][{name}]: must be one value, not a list or an object.")


_FITTING: Mapping[str, tuple[set[type], str]] = {
    "FP32": ({int, float, type(None)}, "a number"),
    "FP64": ({int, float, type(None)}, "a number"),
    "INT32": ({int, type(None)}, "a whole number"),
    "INT64": ({int, type(None)}, "a whole number"),
    "BOOL": ({bool, type(None)}, "true or false"),
}


def check_columns(table: Table, columns: Sequence[str] | None, specs: Sequence[TensorSpec]) -> None:
    """Check values of columns with numbers and truths; those of other columns have more types than JSON.

    Args:
        table: The rows.
        columns: Names of their columns.
        specs: What the model takes.

    Raises:
        Unfit: A value is of another type.
    """
    wanted = {spec.name: _FITTING[spec.datatype] for spec in specs if spec.datatype in _FITTING}
    for place, name in enumerate(columns or ()):
        types, what = wanted.get(name, (set(), ""))
        if not types or {type(row[place]) for row in table.rows} <= types:
            continue
        for number, row in enumerate(table.rows):
            if type(row[place]) not in types:
                shown = json.dumps(row[place])[:100]
                raise Unfit(f"{table.where}[{number}][{name!r}]: must be {what}; it is {shown}.")


def check_lengths(columns: Mapping[str, Array], paths: Mapping[str, str]) -> None:
    """Check that columns are equally long.

    Raises:
        Unfit: They are not.
    """
    lengths = {name: len(found) for name, found in columns.items()}
    first = next(iter(lengths), "")
    for name, length in lengths.items():
        if length != lengths[first]:
            raise Unfit(f"{paths[name]}: has {length} rows; {first!r} has {lengths[first]}.")


def table_of_columns(values: Mapping[str, object], where: str) -> Table:
    """Rows of lists by name.

    Raises:
        Unfit: They are no lists, or not equally long.
    """
    columns: list[list[object]] = []
    for name, given in values.items():
        path = f"{where}.{name[:100]}"
        if not isinstance(given, list):
            raise Unfit(f"{path}: must be a list of values.")
        flat = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in given]
        if columns and len(flat) != len(columns[0]):
            raise Unfit(f"{path}: has {len(flat)} rows; {next(iter(values))!r} has {len(columns[0])}.")
        columns.append(flat)
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table(rows, tuple(values), where, where)


def table_of_records(records: object, where: str) -> Table:
    """Rows of a list of objects; what one lacks is a missing value.

    Raises:
        Unfit: It is no list of objects.
    """
    if not isinstance(records, list):
        raise Unfit(f"{where}: must be a list of objects.")
    names: dict[str, None] = {}
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise Unfit(f"{where}[{number}]: must be an object with a value for each column.")
        names |= dict.fromkeys(record)
    return Table([[record.get(name) for name in names] for record in records], tuple(names), where, where)


def place_of(numpy: Any, feed: Any, reason: str) -> str:  # noqa: ANN401 - a module; an array or a data frame
    """Row and column of the value that an estimator's message speaks of: the first gap, or the text that it quotes."""
    framed = hasattr(feed, "isna")
    if "NaN" in reason:
        found = numpy.argwhere(feed.isna().to_numpy() if framed else numpy.isnan(feed))
    elif framed:
        texts = feed.map(lambda value: isinstance(value, str) and repr(value) in reason)
        found = numpy.argwhere(texts.to_numpy())
    else:
        return ""
    if found.shape[0] == 0:
        return ""
    row, column = (int(number) for number in found[0])
    return f"[{row}][{feed.columns[column]!r}]" if framed else f"[{row}][{column}]"


def pandas_if_there() -> Any:  # noqa: ANN401 - a module that is not installed where types are checked
    """pandas, or None."""
    try:
        return importlib.import_module("pandas")
    except ImportError:
        return None
