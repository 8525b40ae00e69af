"""Requests of the runtimes that need no entry script, as `/score` takes them.

Three forms are taken. The first two are Azure ML's: `{"data": [[...], ...]}` and
`{"input_data": {"columns": [...], "index": [...], "data": [[...], ...]}}`; `{"inputs": {"name": [...], ...}}` is for
models with several inputs or with inputs that are not rows. Beside each may stand `"method": "predict_proba"`
for probabilities in place of predictions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_scoring.worker.prediction import Table
from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest, Unfit, json_answer

METHODS = ("predict", "predict_proba")
_FIELDS = ("data", "input_data", "inputs")


@dataclass(frozen=True, slots=True)
class Values:
    """A request's nested lists, which are not rows, or not known to be.

    Attributes:
        where: Their path in the request.
    """

    values: object
    where: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        content: What is predicted for.
        method: What is asked of the model.
    """

    content: Table | Values
    method: str


def parse_request(request: ScoringRequest, *, rows: bool) -> Asked:
    """Read a request.

    Args:
        request: The request.
        rows: Whether the model takes rows; `data` is any nested lists otherwise.

    Raises:
        Unfit: It has another form; the message names the field.
    """
    if request.method != "POST":
        raise Unfit("Method not allowed", 405)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"POST body could not be decoded as JSON: {error}") from None
    if not isinstance(body, dict):
        raise Unfit("POST body should be a JSON dictionary.")
    method = body.pop("method", "predict")
    if method not in METHODS:
        raise Unfit(f"method: must be one of {', '.join(METHODS)}.")
    if len(body) != 1:
        unknown = sorted(set(body) - set(_FIELDS))
        raise _unknown(unknown[0]) if unknown else Unfit("data: a request has either 'data' or 'input_data'.")
    ((field, value),) = body.items()
    match field:
        case "data" if rows:
            return Asked(Table(rows_of(value, "data"), None, "data"), method)
        case "input_data" if rows:
            return Asked(_split_form(value), method)
        case "data" | "inputs":
            return Asked(Values(value, field), method)
        case "input_data":
            raise Unfit("input_data: the model does not take rows; it takes 'data', or 'inputs' by name.")
        case _:
            raise _unknown(field)


def _unknown(field: str) -> Unfit:
    return Unfit(f"{field[:100]}: is not a field of a request; it has 'data' or 'input_data'.")


def _split_form(value: object) -> Table:
    if isinstance(value, list):
        return Table(rows_of(value, "input_data"), None, "input_data")
    if not isinstance(value, dict):
        raise Unfit("input_data: must be an object with 'columns' and 'data', or rows.")
    return split_table(value, "input_data")


def split_table(value: dict[str, object], where: str) -> Table:
    """Rows in the `split` form of pandas.

    Raises:
        Unfit: They are not; the message names the field.
    """
    rows = rows_of(value.get("data"), f"{where}.data")
    columns = value.get("columns")
    if columns is None:
        return Table(rows, None, f"{where}.data", f"{where}.columns")
    if not isinstance(columns, list):
        raise Unfit(f"{where}.columns: must be a list of names.")
    names = tuple(str(name) for name in columns)
    if rows and len(rows[0]) != len(names):
        raise Unfit(f"{where}.data[0]: has {len(rows[0])} values; there are {len(names)} columns.")
    index = value.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise Unfit(f"{where}.index: must have one entry for each of the {len(rows)} rows.")
    # Azure ML's clients number the columns of a plain array; numbers are no names.
    numbered = names == tuple(str(number) for number in range(len(names)))
    return Table(rows, None if numbered else names, f"{where}.data", f"{where}.columns")


def rows_of(value: object, where: str) -> list[list[object]]:
    """Check that a value is a list of lists of one length.

    Raises:
        Unfit: It is not; the message names the first row that differs.
    """
    if not isinstance(value, list):
        raise Unfit(f"{where}: must be a list of rows.")
    for number, row in enumerate(value):
        if not isinstance(row, list):
            raise Unfit(f"{where}[{number}]: must be a list of values.")
        if len(row) != len(value[0]):
            raise Unfit(f"{where}[{number}]: has {len(row)} values; the first row has {len(value[0])}.")
    return value


def reordered(table: Table, names: Sequence[str]) -> list[list[object]]:
    """The rows with their columns in the model's order.

    Raises:
        Unfit: A column is missing, or there is one that the model does not know.
    """
    if table.columns is None or tuple(names) == table.columns:
        return table.rows
    places = {name: place for place, name in enumerate(table.columns)}
    if len(places) != len(table.columns):
        raise Unfit(f"{table.columns_where}: a name is there twice.")
    known = set(names)
    for name in names:
        if name not in places:
            raise Unfit(f"{table.columns_where}: {name!r} is missing; the model takes {_listed(names)}.")
    for name in table.columns:
        if name not in known:
            text = f"the model has no input {name[:100]!r}; it takes {_listed(names)}."
            raise Unfit(f"{table.columns_where}: {text}")
    order = [places[name] for name in names]
    return [[row[place] for place in order] for row in table.rows]


def check_width(table: Table, width: int) -> None:
    """Compare the length of the rows with what the model takes.

    Raises:
        Unfit: They differ.
    """
    if table.rows and len(table.rows[0]) != width:
        raise Unfit(f"{table.where}[0]: has {len(table.rows[0])} values; the model takes {width}.")


def blame(table: Table, *, numeric: bool, fallback: str, gaps: bool = True) -> Unfit:
    """The refusal for rows that did not become an array: names the first value that does not fit."""
    for number, row in enumerate(table.rows):
        for place, value in enumerate(row):
            fits = isinstance(value, int | float) if numeric else isinstance(value, str)
            fits = fits or (gaps and value is None)
            if not fits:
                name = repr(table.columns[place]) if table.columns else str(place)
                kind = "a number" if numeric else "a string"
                shown = json.dumps(value)[:100]
                return Unfit(f"{table.where}[{number}][{name}]: must be {kind}; it is {shown}.")
    return Unfit(f"{table.where}: {fallback}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


def predictions_answer(values: object, milliseconds: float) -> Answer:
    """The response; values that JSON does not have (NaN, infinities) become null."""
    body = json.dumps(values)
    if "NaN" in body or "Infinity" in body:
        return json_answer(200, without_gaps(values), milliseconds=milliseconds)
    return Answer(200, body.encode(), [("content-type", "application/json")], milliseconds=milliseconds)


def without_gaps(value: object) -> object:
    """The same lists and objects with null in place of numbers that JSON does not have."""
    if isinstance(value, list):
        return [without_gaps(item) for item in value]
    if isinstance(value, dict):
        return {name: without_gaps(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table_schema(width: int | None, names: Sequence[str] | None, *, numeric: bool) -> Schema:
    """What swagger says of a model that takes rows."""
    kind = "number" if numeric else "string"
    row: dict[str, object] = {"type": "array", "items": {"type": kind} if names is None else {}}
    example: object = 0 if numeric else ""
    if width is not None:
        row |= {"minItems": width, "maxItems": width}
    sample = {"data": [[example] * (width or 1)]}
    columns = {"type": "array", "items": {"type": "string"}}
    rows = {"type": "array", "items": row}
    input_data: dict[str, object] = {"type": "object", "properties": {"columns": columns, "data": rows}}
    if names is not None:
        input_data["example"] = {"columns": list(names), "data": [[example] * len(names)]}
    method = {"type": "string", "enum": list(METHODS)}
    properties = {"data": rows, "input_data": input_data, "method": method}
    output = {"type": "array", "items": {}, "example": [0]}
    return Schema({"type": "object", "properties": properties, "example": sample}, output)
