"""The columns of a table of events: which there are, and what type each has.

A row of the table is one record of an event's data. Its columns begin with the event's attributes, called `_id`,
`_time` and so on, with `_row`, the record's place in its event, from 0; then the record's own fields. A field whose
name begins with `_` gets one more, so that the two cannot be confused; one whose name has lone surrogates, which a
table cannot, is called `_` and its name as JSON text. Data that is no list of records is one row, with
its JSON text in `_data`; an event without records is one row without `_row`.

A column has the narrowest type that keeps every value: boolean, int64, double, string, or a list of one of them.
Anything else (values of several kinds, objects, whole numbers that do not fit) is JSON text, and the column's metadata
has `encoding: json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["null", "bool", "int", "float", "string", "json"]
"""What the values of a column are."""

DATA = "_data"
ROW = "_row"
MOST_COLUMNS = 2000
"""Records with more different fields than this in one file are kept as JSON text."""

_EXACT = 2**53
_INT64 = 2**63
Row = dict[str, object]


def rows_of(event: Mapping[str, object], *, plain: bool) -> Iterator[Row]:
    """The rows of one event.

    Args:
        event: With its attributes and data.
        plain: Whether records have columns of their own; else they are JSON text.
    """
    attributes = {f"_{name}": value for name, value in event.items() if name != "data"}
    if "data" not in event:
        yield attributes
        return
    data = event["data"]
    if not plain or not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        yield {**attributes, DATA: json.dumps(data)}
        return
    if not data:
        yield {**attributes, DATA: "[]"}
    for number, record in enumerate(data):
        yield {**attributes, ROW: number, **{column_name(name): value for name, value in record.items()}}


def column_name(field_name: str) -> str:
    """The column of a record's field; no two fields have one, for what was read is removed."""
    if not _is_unicode(field_name):
        return f"_{json.dumps(field_name)}"
    return f"_{field_name}" if field_name.startswith("_") else field_name


@dataclass
class Column:
    """What is known of a column's values.

    Attributes:
        kind: Of the values, or of the elements of lists.
        listed: Whether they are lists; None before the first value that is not null.
    """

    kind: Kind = "null"
    listed: bool | None = None
    _exact: bool = field(default=True, repr=False)

    def see(self, value: object) -> None:
        """Take one more value into account."""
        if value is None or self.kind == "json":
            return
        listed = isinstance(value, list)
        if self.listed is not None and self.listed != listed:
            self.kind = "json"
            return
        self.listed = listed
        for item in value if isinstance(value, list) else (value,):
            self._join(item)

    def _join(self, value: object) -> None:
        kind = _kind(value)
        if kind == "int" and isinstance(value, int):
            self._exact = self._exact and abs(value) <= _EXACT
        if kind in {"null", self.kind}:
            joined = self.kind
        elif self.kind == "null":
            joined = kind
        elif {kind, self.kind} == {"int", "float"}:
            joined = "float"
        else:
            joined = "json"
        # A double cannot hold every whole number beyond 2^53.
        self.kind = "json" if joined == "float" and not self._exact else joined


def _kind(value: object) -> Kind:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int" if -_INT64 <= value < _INT64 else "json"
        case float():
            return "float"
        case str():
            return "string" if _is_unicode(value) else "json"
        case _:
            return "json"


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which JSON can write and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode(value: object, column: Column) -> object:
    """A value as its column takes it."""
    if value is None:
        return None
    return json.dumps(value) if column.kind == "json" else value
