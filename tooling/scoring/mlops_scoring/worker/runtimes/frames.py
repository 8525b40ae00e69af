"""Columns by name, for models that take data frames."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from mlops_scoring.worker.prediction import Array, Table
from mlops_scoring.worker.scoring import Unfit


def column(found: Array, where: str) -> Array:
    """An array as one column.

    Raises:
        Unfit: It has several.
    """
    if found.ndim == 1 or (found.ndim == 2 and found.shape[1] == 1):
        return found.reshape(-1)
    raise Unfit(f"{where}: must be a column, of shape [n] or [n, 1]; it is {list(found.shape)}.")


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


def pandas_if_there() -> Any:  # noqa: ANN401 - a module that is not installed where types are checked
    """pandas, or None."""
    try:
        return importlib.import_module("pandas")
    except ImportError:
        return None
