"""Denied columns are found by position beside any list of names, whatever the fields are called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_scoring.collection.privacy import Filter, Unfiltered, digest
from mlops_scoring.worker.collecting.rows import input_records
from mlops_scoring.worker.scoring import ScoringRequest

KEY = b"k" * 32
NUMBER = "123-45-6789"
DENY = Filter(deny=("ssn",))

FORMS: dict[str, tuple[Any, Any]] = {
    "rows": (
        {"rows": {"columns": ["age", "ssn"], "values": [[1, NUMBER]]}},
        {"rows": {"columns": ["age"], "values": [[1]]}},
    ),
    "within a list": (
        {"batch": [{"names": ["ssn", "age"], "data": [[NUMBER, 1], [NUMBER, 2], [NUMBER, 3]]}]},
        {"batch": [{"names": ["age"], "data": [[1], [2], [3]]}]},
    ),
    "columns": (
        {"names": ["age", "ssn"], "columns": [[1, 2, 3], [NUMBER, NUMBER, None]]},
        {"names": ["age"], "columns": [[1, 2, 3]]},
    ),
    "one row": ({"fields": ["ssn", "age"], "row": [NUMBER, 1]}, {"fields": ["age"], "row": [1]}),
    "batches of rows": (
        {"names": ["age", "ssn"], "batches": [[[1, NUMBER], [2, NUMBER], [3, NUMBER]]]},
        {"names": ["age"], "batches": [[[1], [2], [3]]]},
    ),
    "names that are objects": (
        {"columns": [{"name": "age", "type": "int"}, {"name": "ssn"}], "rows": [[1, NUMBER]]},
        {"columns": [{"name": "age", "type": "int"}], "rows": [[1]]},
    ),
    "names beside what is beside rows": (
        {"schema": {"fields": ["age", "ssn"]}, "rows": [[1, NUMBER]]},
        {"schema": {"fields": ["age"]}, "rows": [[1]]},
    ),
    "rows that are objects with values": (
        {"names": ["age", "ssn"], "rows": [{"id": 7, "values": [1, NUMBER]}]},
        {"names": ["age"], "rows": [{"id": 7, "values": [1]}]},
    ),
    "rows that are texts": (
        {"names": ["age", "ssn"], "lines": [json.dumps([1, NUMBER]), json.dumps([2, NUMBER]), "[3]"]},
        {"names": ["age"], "lines": ["[1]", "[2]", "[3]"]},
    ),
    "names as the first row": ({"table": [["age", "ssn"], [1, NUMBER], [2, NUMBER]]}, {"table": [["age"], [1], [2]]}),
    "names as the first column": ({"table": [["age", 1, 2], ["ssn", NUMBER, NUMBER]]}, {"table": [["age", 1, 2]]}),
    "names and values": (
        {"features": [{"name": "ssn", "value": NUMBER}, {"name": "age", "value": 1}]},
        {"features": [{"name": "ssn", "value": []}, {"name": "age", "value": 1}]},
    ),
    "two lists of names": (
        {"columns": ["age", "ssn"], "categorical": ["ssn"], "values": [[1, NUMBER], [2, NUMBER], [3, NUMBER]]},
        {"columns": ["age"], "categorical": [], "values": [[1], [2], [3]]},
    ),
    "rows in one list": ({"names": ["age", "ssn"], "flat": [1, NUMBER, 2, NUMBER]}, {"names": ["age"], "flat": []}),
    "beside a known form": (
        {"columns": ["age", "ssn"], "index": [0, 1], "data": [[1, NUMBER], [2, NUMBER]], "more": [[3, NUMBER]]},
        {"columns": ["age"], "index": [0, 1], "data": [[1], [2]], "more": [[3]]},
    ),
    "a tensor with names": (
        {"inputs": [{"name": "x", "parameters": {"names": ["age", "ssn"]}, "shape": [1, 2, 1], "data": [1, NUMBER]}]},
        {"inputs": [{"name": "x", "parameters": {"names": ["age"]}, "shape": [1, 2, 1], "data": [1]}]},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_stands_under_a_denied_name_is_left_out(form: str) -> None:
    value, kept = FORMS[form]
    assert DENY.apply(value, KEY) == kept
    encoded = DENY.apply({"a": [json.dumps(value)]}, KEY)
    assert isinstance(encoded, dict)
    assert json.loads(encoded["a"][0]) == kept


@pytest.mark.parametrize("form", FORMS.keys() - {"rows in one list"})
def test_what_stands_under_a_hashed_name_is_hashed(form: str) -> None:
    value, _ = FORMS[form]
    kept = json.dumps(Filter(hash=("ssn",)).apply(value, KEY))
    assert NUMBER not in kept
    assert kept.count(digest(NUMBER, KEY)) == json.dumps(value).count(NUMBER)


@pytest.mark.parametrize(
    "value",
    [
        {"names": ["age", "ssn"], "data": [[1, NUMBER], [2, NUMBER]]},
        {"names": ["age", "ssn"], "rows": [[0, 1, NUMBER]]},
        {"names": ["age", "ssn"], "rows": [[1, NUMBER], [2]]},
        {"names": ["age", "ssn"], "rows": [[1, NUMBER], NUMBER, [2, NUMBER]]},
        {"names": ["age", "ssn"], "batches": [[[1, NUMBER]], [[2, NUMBER]]]},
        {"names": ["age", "ssn"], "more": ["ssn", "age", "x"], "rows": [[1, NUMBER]] * 3},
        {"table": [["age", 1], ["ssn", NUMBER]]},
        {"table": [["ssn", "age"], [NUMBER, "1"], [NUMBER, "2"]]},
    ],
)
def test_nothing_is_kept_where_it_is_not_plain_what_stands_under_a_name(value: object) -> None:
    with pytest.raises(Unfiltered):
        DENY.apply(value, KEY)


@pytest.mark.parametrize(
    "value", [{"columns": ["age", "ssn"], "data": [[[1, NUMBER], [2, NUMBER]]]}, {"data": [[[1, NUMBER], [2, NUMBER]]]}]
)
def test_rows_are_not_taken_for_the_values_of_one(value: object) -> None:
    with pytest.raises(Unfiltered):
        Filter(deny=("ssn",), columns=("age", "ssn")).apply(value, KEY)


def test_what_is_under_no_denied_name_is_kept() -> None:
    values: list[Any] = [
        {"names": ["age", "city"], "values": [[1, "x"], [2, "y"]]},
        {"names": ["age", "ssn"], "total": 2, "user": {"scores": [1, 2, 3]}, "note": None},
        {"tags": ["a", "b"], "matrix": [[1, 2], [3, 4]]},
    ]
    for value in values:
        kept = DENY.apply(value, KEY)
        assert kept == {**value, **({"names": ["age"]} if "ssn" in json.dumps(value) else {})}


def test_a_name_with_a_dot_is_that_of_a_column_or_of_one_in_a_field() -> None:
    kept = Filter(deny=("person.ssn",))
    table = {"names": ["age", "ssn"], "rows": [[1, NUMBER]]}
    assert kept.apply({"person": table}, KEY) == {"person": {"names": ["age"], "rows": [[1]]}}
    assert kept.apply({"other": table}, KEY) == {"other": table}
    table = {"names": ["age", "person.ssn"], "rows": [[1, NUMBER]]}
    assert kept.apply(table, KEY) == {"names": ["age"], "rows": [[1]]}


def test_columns_are_not_taken_for_records_where_a_name_is_denied() -> None:
    """Both fields are lists of two, as of two records; what is a name would become a value."""
    body = json.dumps({"inputs": {"columns": ["age", "ssn"], "values": [[1, NUMBER], [2, NUMBER]]}}).encode()
    request = ScoringRequest("POST", "/score", b"", ((b"content-type", b"application/json"),), body)
    with pytest.raises(Unfiltered):
        DENY.apply(input_records(request, DENY), KEY)


OTHERS = st.lists(st.sampled_from(["age", "city", "zip", "x", "0"]), min_size=0, max_size=4, unique=True)
PLACES = st.sampled_from(["columns", "names", "fields", "header"])
ROWS = st.sampled_from(["values", "rows", "records", "matrix", "instances", "data"])
WRAPPERS = st.lists(st.sampled_from(["object", "list", "beside", "text", "rows"]), max_size=4)


def wrapped(value: Any, wrappers: list[str]) -> Any:  # noqa: ANN401 - JSON
    """The value, deep in others."""
    for wrapper in wrappers:
        match wrapper:
            case "object":
                value = {"k": value, "n": 1}
            case "list":
                value = [value]
            case "beside":
                value = {"tags": ["a", "b"], "k": value, "more": {"m": [1.5]}}
            case "text":
                value = {"k": json.dumps(value)}
            case _:
                value = {"rows": [value]}
    return {"request": value}  # lists of lists at the top are rows without names, of which nothing is kept


@st.composite
def tables(draw: st.DrawFn) -> tuple[Any, list[str], bool]:
    """A table with secrets under a denied name; what else is in it; and whether it can be read in one way only."""
    others = draw(OTHERS)
    place = draw(st.integers(0, len(others)))
    names = [*others[:place], "ssn", *others[place:]]
    height = draw(st.integers(1, 4))
    rows = [[NUMBER if name == "ssn" else f"keep{name}at{at}" for name in names] for at in range(height)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    heading: Any = draw(st.sampled_from([names, [{"name": name} for name in names]]))
    where, key = draw(PLACES), draw(ROWS)
    shape = draw(st.sampled_from(["rows", "columns", "row", "batches", "schema", "objects", "first row", "flat"]))
    plain = height != len(names)
    match shape:
        case "rows":
            table = {where: heading, key: rows}
        case "columns":
            table = {where: heading, key if where != "columns" else "values": columns}  # not the form that has rows
        case "row":
            table, rows = {where: heading, key: rows[0]}, rows[:1]
            plain = (where, key) != ("columns", "data")
        case "batches":
            table, plain = {where: heading, key: [rows]}, plain and where != "columns"
        case "schema":
            table = {"schema": {where: heading}, key: rows}
        case "objects":
            table, plain = {where: heading, "list": [{key: row} for row in rows]}, True
        case "first row":
            table, plain = {key: [names, *rows]}, height + 1 != len(names) and place > 0
        case _:
            table, plain = {where: heading, key: [item for row in rows for item in row]}, False
    kept = [item for row in rows for item in row if item != NUMBER]
    return wrapped(table, draw(WRAPPERS)), kept, plain and len(names) > 1


@settings(max_examples=500)
@given(tables(), st.booleans())
def test_no_secret_is_kept_and_nothing_else_is_lost(made: tuple[Any, list[str], bool], asked: bool) -> None:  # noqa: FBT001
    """Whatever the shape, however deep: under a denied name nothing is kept, under others all that is plain."""
    value, others, plain = made
    try:
        kept = json.dumps(Filter(deny=("ssn",), asked=asked).apply(value, KEY))
    except Unfiltered:
        assert not plain
        return
    assert NUMBER not in kept
    assert not plain or not [item for item in others if item not in kept]
