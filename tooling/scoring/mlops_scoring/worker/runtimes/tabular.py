"""Requests of the runtimes that need no entry script: rows in, a list of predictions out.

Two forms are taken, both Azure ML's: `{"data": [[...], ...]}` and
`{"input_data": {"columns": [...], "index": [...], "data": [[...], ...]}}`. Beside either may stand
`"method": "predict_proba"` for probabilities in place of predictions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_scoring.worker.scoring import Answer, Schema, ScoringRequest, Unfit, json_answer

METHODS = ("predict", "predict_proba")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one request.

    Attributes:
        rows: Lists of equal length.
        columns: Their names, where the client gave them.
        where: Path of the rows in the request, for messages.
        method: What is asked of the model.
    """

    rows: list[list[object]]
    columns: tuple[str, ...] | None
    where: str
    method: str

    def reordered(self, names: Sequence[str]) -> list[list[object]]:
        """The rows with their columns in the model's order.

        Raises:
            Unfit: A column is missing, or there is one that the model does not know.
        """
        if self.columns is None or tuple(names) == self.columns:
            return self.rows
        for name in names:
            if name not in self.columns:
                raise Unfit(f"input_data.columns: {name!r} is missing; the model takes {', '.join(names)}.")
        for name in self.columns:
            if name not in names:
                raise Unfit(f"input_data.columns: the model has no input {name!r}; it takes {', '.join(names)}.")
        places = [self.columns.index(name) for name in names]
        return [[row[place] for place in places] for row in self.rows]

    def check_width(self, width: int) -> None:
        """Compare the length of the rows with what the model takes.

        Raises:
            Unfit: They differ.
        """
        if self.rows and len(self.rows[0]) != width:
            raise Unfit(f"{self.where}[0]: has {len(self.rows[0])} values; the model takes {width}.")

    @property
    def has_gaps(self) -> bool:
        """Whether all values are numbers or null, which stands for a missing one."""
        return all(value is None or isinstance(value, int | float) for row in self.rows for value in row)

    def blame(self, *, numeric: bool, fallback: str) -> Unfit:
        """The refusal for rows that did not become an array: names the first value that does not fit."""
        for number, row in enumerate(self.rows):
            for place, value in enumerate(row):
                fits = isinstance(value, int | float) if numeric else isinstance(value, str)
                if not fits:
                    name = repr(self.columns[place]) if self.columns else str(place)
                    kind = "a number" if numeric else "a string"
                    return Unfit(f"{self.where}[{number}][{name}]: must be {kind}; it is {json.dumps(value)[:100]}.")
        return Unfit(f"{self.where}: {fallback}")


def parse_table(request: ScoringRequest) -> Table:
    """Read a request.

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
    method = body.get("method", "predict")
    if method not in METHODS:
        raise Unfit(f"method: must be one of {', '.join(METHODS)}.")
    unknown = sorted(set(body) - {"data", "input_data", "method"})
    if unknown:
        raise Unfit(f"{unknown[0]}: is not a field of a request; it has 'data' or 'input_data'.")
    if ("data" in body) == ("input_data" in body):
        raise Unfit("data: a request has either 'data' or 'input_data'.")
    if "data" in body:
        return Table(_rows(body["data"], "data"), None, "data", method)
    return _split_form(body["input_data"], method)


def _split_form(value: object, method: str) -> Table:
    if isinstance(value, list):
        return Table(_rows(value, "input_data"), None, "input_data", method)
    if not isinstance(value, dict):
        raise Unfit("input_data: must be an object with 'columns' and 'data', or rows.")
    rows = _rows(value.get("data"), "input_data.data")
    columns = value.get("columns")
    if columns is None:
        return Table(rows, None, "input_data.data", method)
    if not isinstance(columns, list):
        raise Unfit("input_data.columns: must be a list of names.")
    names = tuple(str(name) for name in columns)
    if rows and len(rows[0]) != len(names):
        raise Unfit(f"input_data.data[0]: has {len(rows[0])} values; there are {len(names)} columns.")
    index = value.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise Unfit(f"input_data.index: must have one entry for each of the {len(rows)} rows.")
    # Azure ML's clients number the columns of a plain array; numbers are no names.
    numbered = names == tuple(str(number) for number in range(len(names)))
    return Table(rows, None if numbered else names, "input_data.data", method)


def _rows(value: object, where: str) -> list[list[object]]:
    if not isinstance(value, list):
        raise Unfit(f"{where}: must be a list of rows.")
    for number, row in enumerate(value):
        if not isinstance(row, list):
            raise Unfit(f"{where}[{number}]: must be a list of values.")
        if len(row) != len(value[0]):
            raise Unfit(f"{where}[{number}]: has {len(row)} values; the first row has {len(value[0])}.")
    return value


def predictions_answer(values: object, milliseconds: float) -> Answer:
    """The response; values that JSON does not have (NaN, infinities) become null."""
    body = json.dumps(values)
    if "NaN" in body or "Infinity" in body:
        values = _without_gaps(values)
    return json_answer(200, values, milliseconds=milliseconds)


def _without_gaps(value: object) -> object:
    if isinstance(value, list):
        return [_without_gaps(item) for item in value]
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
