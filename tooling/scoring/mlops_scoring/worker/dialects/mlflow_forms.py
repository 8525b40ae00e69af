"""The forms in which MLflow's clients send rows: four of JSON, and CSV. Source: MLflow 3's `pyfunc.scoring_server`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

from mlops_scoring.worker.prediction import Table
from mlops_scoring.worker.runtimes.frames import table_of_records
from mlops_scoring.worker.runtimes.tabular import Values, split_table
from mlops_scoring.worker.scoring import ScoringRequest, Unfit

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_TYPES = ("text/csv", "application/json")
_HARMLESS = 16 * 1024
_MOST_MEMORY = 256 * 1024 * 1024
_TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_GAPS = frozenset({"", "NaN", "nan", "NA", "N/A", "NULL", "null", "None", "n/a", "<NA>", "#N/A"})
"""What pandas reads as a missing value, as far as it is usual."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request.

    Attributes:
        content: What is predicted for.
        params: Parameters of the prediction; None without any.
    """

    content: Table | Values
    params: object


def check_content_type(given: str, types: tuple[str, ...] = _TYPES) -> str:
    """The media type of a request.

    Raises:
        Unfit: It is not one of the types, or not in UTF-8.
    """
    kind, *parameters = (part.strip() for part in given.split(";"))
    named = {name.strip().lower(): value for name, _, value in (pair.partition("=") for pair in parameters if pair)}
    if named.pop("charset", "utf-8").strip('"').lower() != "utf-8":
        raise Unfit("The scoring server only supports UTF-8", 415)
    if named:
        raise Unfit(f"Unrecognized content type parameters: {', '.join(sorted(named))[:100]}.", 415)
    if kind.lower() not in types:
        listed = ", ".join(types)
        raise Unfit(f"This predictor only supports the following content types: {listed}. Got '{given[:100]}'.", 415)
    return kind.lower()


def read(request: ScoringRequest) -> Invocation:
    """Read a request.

    Raises:
        Unfit: It has none of the forms; the message names the field.
    """
    if check_content_type(request.header(b"content-type")) == "text/csv":
        return Invocation(_csv_table(request.body), None)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"Invalid input. Ensure that input is a valid JSON formatted string. Error: '{error}'") from None
    wanted = f"The input must be a JSON dictionary with exactly one of the input fields {', '.join(FORMS)}"
    if not isinstance(body, dict):
        raise Unfit(f"Invalid input. {wanted}.")
    found = [name for name in FORMS if name in body]
    if len(found) != 1:
        listed = ", ".join(str(name)[:100] for name in list(body)[:20])
        raise Unfit(f"{wanted}. Received dictionary with input fields: [{listed}]")
    return Invocation(_content(found[0], body[found[0]]), body.get("params"))


def check_texts(body: bytes) -> None:
    """Refuse what NumPy would need too much memory for: it makes every value as long as the longest text.

    Raises:
        Unfit: The values together would take more than 256 MiB.
    """
    if len(body) < _HARMLESS:
        return
    try:
        waiting: list[object] = [json.loads(body)]
    except (ValueError, RecursionError):
        return  # MLflow says so itself, and where it is CSV there is nothing to refuse
    longest = count = 0
    while waiting:
        match waiting.pop():
            case dict() as found:
                waiting.extend(found.values())
            case list() as items:
                waiting.extend(items)
            case str() as text:
                longest, count = max(longest, len(text)), count + 1
            case _:
                count += 1
    if 4 * longest * count > _MOST_MEMORY:
        raise Unfit(f"A text of {longest} characters cannot stand among {count} values.")


def _content(form: str, value: object) -> Table | Values:
    match form:
        case "dataframe_split":
            if not isinstance(value, dict):
                raise Unfit("dataframe_split: must be an object with 'columns' and 'data'.")
            return split_table(value, "dataframe_split")
        case "dataframe_records":
            return table_of_records(value, "dataframe_records")
        case "instances" if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            names = list(value[0])
            for place, item in enumerate(value):
                if set(item) != set(names):
                    raise Unfit(f"instances[{place}]: must have the same names as the first: {', '.join(names)}.")
            return Values({name: [item[name] for item in value] for name in names}, "instances")
        case _:
            return Values(value, form)


def _csv_table(body: bytes) -> Table:
    try:
        lines = list(csv.reader(StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise Unfit(f"Invalid input. Ensure that input is a valid UTF-8 encoded string. Error: '{error}'") from None
    except csv.Error as error:
        raise Unfit(f"The body is not CSV as `pandas.DataFrame.to_csv()` writes it. Error: '{error}'") from None
    lines = [line for line in lines if line]
    if not lines:
        raise Unfit("The body is not CSV as `pandas.DataFrame.to_csv()` writes it: it has no header.")
    names, *rows = lines
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise Unfit(f"csv[{number}]: has {len(row)} values; there are {len(names)} columns.")
    columns = [_typed([row[place] for row in rows]) for place in range(len(names))]
    return Table([list(row) for row in zip(*columns, strict=True)], tuple(names), "csv", "csv")


def _typed(texts: list[str]) -> list[object]:
    """A column's values: whole numbers, numbers, truths, or texts, whichever all of them are."""
    there = [text for text in texts if text not in _GAPS]
    # Python reads underscores within numbers, pandas does not.
    numbers = (int, float) if not any("_" in text for text in there) else ()
    kinds: tuple[Callable[[str], object], ...] = (*numbers, lambda text: _TRUTHS[text])
    for kind in kinds:
        try:
            values = {text: kind(text) for text in there}
        except (ValueError, KeyError):
            continue
        return [values.get(text) for text in texts]
    return [None if text in _GAPS else text for text in texts]
