"""Requests and answers of every dialect as records: one object for each row, with the names of columns where known.

| Form | Becomes |
|---|---|
| rows that are objects | they themselves |
| rows that are lists | the model's columns where they are known and as many, else positions: `0`, `1` ... |
| `columns` and `data` | the names that are given, unless they only count |
| columns of values (`{"a": [1, 2]}`) | a record for each place |
| tensors | see `tensors` |
| CSV | its columns, with numbers where the text is one |
| predictions that are single values | `{"prediction": value}` |
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Mapping

from mlops_scoring.collection.events import Unreadable
from mlops_scoring.collection.headings import headings, holds_values
from mlops_scoring.collection.privacy import Filter, only_count
from mlops_scoring.worker.collecting.tensors import HEADER_LENGTH, Record, tensor_records
from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest

PREDICTION = "prediction"
"""Field of a prediction that is a single value."""

_INPUT_FIELDS = ("dataframe_split", "dataframe_records", "instances", "inputs", "input_data", "data")
_TENSORS = "/v2/"
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_LARGEST = 64 * 1024 * 1024


def model_columns(schema: Schema) -> tuple[str, ...]:
    """The columns that a model says it takes; none where it gives them no names."""
    match schema.input:
        case {"properties": {"input_data": {"example": {"columns": list(names)}}}}:
            return tuple(str(name) for name in names)
        case _:
            return ()


def plain_body(request: ScoringRequest) -> bytes:
    """The body of a request without its compression.

    Raises:
        Unreadable: It is not compressed as it says, or too large.
    """
    coding = request.header(b"content-encoding").strip().lower()
    if coding not in _WINDOWS:
        return request.body
    unpacker = zlib.decompressobj(_WINDOWS[coding])
    try:
        body = unpacker.decompress(request.body, _LARGEST)
    except zlib.error:
        body = b""
    if not unpacker.eof:
        message = "a compressed body that cannot be read"
        raise Unreadable(message)
    return body


def input_records(request: ScoringRequest, kept: Filter) -> list[Record]:
    """What a model was asked about.

    Args:
        request: What was asked.
        kept: Knows the model's columns, and whether values without names may be kept.

    Raises:
        Unfiltered: Names are to be found among values that have none.
        Unreadable: It is in no form that the runtimes without an entry script take.
        ValueError: As above.
    """
    body = plain_body(request)
    if request.path.startswith(_TENSORS):
        return tensor_records(body, request.header(HEADER_LENGTH).encode() or None, "inputs", kept)
    if request.header(b"content-type").partition(";")[0].strip().lower() == "text/csv":
        return _csv_records(body)
    document = json.loads(body)
    if isinstance(document, dict):
        for name in _INPUT_FIELDS:
            if name in document:
                value = document[name]
                return _tensor_rows(value, kept) if name == "inputs" and kept else _records(value, kept)
        message = "a request without rows"
        raise Unreadable(message)
    return _records(document, kept)


def output_records(request: ScoringRequest, answer: Answer, kept: Filter) -> list[Record]:
    """What it answered.

    Args:
        request: What was asked.
        answer: What was answered.
        kept: Knows whether values without names may be kept.

    Raises:
        Unfiltered: Names are to be found among values that have none.
        Unreadable: It is no list of predictions.
        ValueError: As above.
    """
    if request.path.startswith(_TENSORS):
        length = next((value for name, value in answer.headers if name.lower() == HEADER_LENGTH.decode()), None)
        return tensor_records(answer.body, None if length is None else length.encode(), "outputs", kept)
    document = json.loads(answer.body)
    if isinstance(document, dict) and "predictions" in document:
        document = document["predictions"]
    return _records(document, kept, PREDICTION)


def _tensor_rows(value: object, kept: Filter) -> list[Record]:
    """`inputs`, which may be one tensor by its name: its columns have no names, and some are to be found."""
    match value:
        case dict() if len(value) == 1:
            ((name, data),) = value.items()
            if isinstance(data, list) and any(isinstance(row, list) for row in data) and not kept.knows(name):
                return [dict(zip(kept.names(len(row)), row, strict=True)) for row in map(_row, data)]
    return _records(value, kept)


def _records(value: object, kept: Filter, single: str | None = None) -> list[Record]:
    match value:
        case dict() if kept and (any(headings(value, kept.ends)) and not _is_split(value)):
            return [dict(value)]
        case {"columns": list(names), "data": list(rows)}:
            given = [str(name) for name in names]
            known = kept.names(len(given)) if only_count(given) else given
            return [dict(zip(known, _row(row), strict=True)) for row in rows]
        case dict():
            return _transposed(value)
        case list():
            return [_record(item, kept, single) for item in value]
        case _:
            return [{single or kept.names(1)[0]: value}]


def _is_split(value: Mapping[str, object]) -> bool:
    """Whether an object has the names of its columns where they are looked for."""
    match value:
        case {"columns": list(names), "data": list()}:
            return not holds_values(names)
        case _:
            return False


def _row(value: object) -> list[object]:
    if not isinstance(value, list):
        message = "a row that is no list"
        raise Unreadable(message)
    return value


def _record(item: object, kept: Filter, single: str | None) -> Record:
    match item:
        case dict():
            return item
        case list():
            return dict(zip(kept.names(len(item)), item, strict=True))
        case _:
            return {single or kept.names(1)[0]: item}


def _transposed(value: Mapping[str, object]) -> list[Record]:
    lengths = {len(column) if isinstance(column, list) else -1 for column in value.values()}
    if len(lengths) != 1 or -1 in lengths:
        return [dict(value)]
    columns = {name: column for name, column in value.items() if isinstance(column, list)}
    return [{name: column[number] for name, column in columns.items()} for number in range(lengths.pop())]


def _csv_records(body: bytes) -> list[Record]:
    reader = csv.DictReader(io.StringIO(body.decode()), strict=True, restkey="", restval="")
    return [{name: _number(text) for name, text in row.items()} for row in reader]


def _number(text: object) -> object:
    if not isinstance(text, str):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None
