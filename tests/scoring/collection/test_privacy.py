"""Fields that are left out or hashed are, in every form in which a request can carry them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_scoring.collection.privacy import Filter, Unfiltered, digest

KEY = b"k" * 32
NUMBER = "123-45-6789"

FORMS: dict[str, Any] = {
    "a record": {"ssn": NUMBER, "age": 3},
    "records": [{"ssn": NUMBER, "age": 3}, {"age": 4}],
    "deep": {"a": [{"b": {"ssn": NUMBER}}, [{"ssn": NUMBER}]]},
    "an object": {"ssn": {"number": NUMBER, "country": "xx"}},
    "split": {"input_data": {"columns": ["age", "ssn"], "index": [0], "data": [[3, NUMBER]]}},
    "split, deep": {"dataframe_split": {"data": [[NUMBER, 3], [NUMBER, 4]], "columns": ["ssn", "age"]}},
    "columns": {"inputs": {"ssn": [NUMBER, NUMBER], "age": [3, 4]}},
    "a tensor": {"inputs": [{"name": "ssn", "shape": [1], "datatype": "BYTES", "data": [NUMBER]}]},
    "rows": {"data": [[3, NUMBER]]},
    "rows at the top": [[3, NUMBER], [4, NUMBER]],
    "rows of a tensor": {"inputs": [{"name": "x", "shape": [2, 2], "data": [3, NUMBER, 4, NUMBER]}]},
    "rows of a nested tensor": {"inputs": [{"name": "x", "shape": [2, 2], "data": [[3, NUMBER], [4, NUMBER]]}]},
    "columns that only count": {"input_data": {"columns": ["0", "1"], "data": [[3, NUMBER]]}},
    "columns that only count, as numbers": {
        "dataframe_split": {"columns": [0, 1], "index": [0], "data": [[3, NUMBER]]}
    },
    "beside a tensor": {"inputs": [{"name": "x", "shape": [1, 2], "data": [3, NUMBER], "parameters": {"ssn": NUMBER}}]},
    "a tensor by its name": {"inputs": {"x": [[3, NUMBER]]}},
    "a row that is no list of rows": {"data": [3, NUMBER]},
    "such a row at the top": [3, NUMBER],
    "a list of values": {"ssn": [NUMBER]},
    "encoded twice": json.dumps({"data": [{"ssn": NUMBER, "age": 3}]}),
    "encoded twice, within": {"data": json.dumps({"ssn": NUMBER, "age": 3})},
    "encoded twice, rows": {"data": json.dumps([[3, NUMBER]])},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_denied_field_is_left_out_of_every_form(form: str) -> None:
    kept = json.dumps(Filter(deny=("ssn",), columns=("age", "ssn"), asked=True).apply(FORMS[form], KEY))
    assert NUMBER not in kept
    assert ("3" in kept) == ("3" in json.dumps(FORMS[form]).replace(NUMBER, ""))


@pytest.mark.parametrize("form", FORMS)
def test_a_hashed_field_is_hashed_in_every_form(form: str) -> None:
    kept = json.dumps(Filter(hash=("ssn",), columns=("age", "ssn"), asked=True).apply(FORMS[form], KEY))
    assert NUMBER not in kept
    if form != "an object":
        assert kept.count(digest(NUMBER, KEY)) == json.dumps(FORMS[form]).count(NUMBER)


def test_the_request_itself_is_left_alone() -> None:
    before = json.dumps(FORMS)
    Filter(deny=("ssn",), columns=("age", "ssn")).apply(FORMS, KEY)
    assert json.dumps(FORMS) == before


def test_a_name_with_a_dot_is_a_field_in_a_field_or_one_of_that_name() -> None:
    value = {"person": {"ssn": 1, "age": 2}, "ssn": 3, "list": [{"person": [{"ssn": 4}]}], "person.ssn": 5}
    kept = {"person": {"age": 2}, "ssn": 3, "list": [{"person": [{}]}]}
    assert Filter(deny=("person.ssn",)).apply(value, KEY) == kept


def test_positions_stand_for_columns_without_names() -> None:
    assert Filter(deny=("1",)).apply({"data": [[3, NUMBER], [4, NUMBER]]}, KEY) == {"data": [[3], [4]]}


@pytest.mark.parametrize(
    "value",
    [
        {"data": [[3, NUMBER]]},
        [[NUMBER]],
        {"instances": [[NUMBER]]},
        {"columns": ["age"], "data": [[3, NUMBER]]},
        {"columns": ["age", "ssn"], "data": [{"x": NUMBER}]},
        {"inputs": [{"name": "x", "shape": [1, 2], "data": [3, NUMBER]}]},
        NUMBER,
        123456789,
        json.dumps([[3, NUMBER]]),
    ],
)
def test_nothing_is_kept_where_a_named_field_cannot_be_found(value: object) -> None:
    with pytest.raises(Unfiltered):
        Filter(deny=("ssn",), columns=()).apply(value, KEY)
    with pytest.raises(Unfiltered):
        Filter(hash=("ssn",), columns=("one", "two", "three")).apply(value, KEY)


TENSORS: dict[str, Any] = {
    "of one dimension": {"name": "x", "shape": [2], "data": [3, NUMBER]},
    "of three dimensions": {"name": "x", "shape": [1, 1, 2], "data": [3, NUMBER]},
    "of three nested ones": {"name": "x", "shape": [1, 1, 2], "data": [[[3, NUMBER]]]},
    "of another shape than its data": {"name": "x", "shape": [1, 3], "data": [3, NUMBER]},
    "of no shape": {"name": "x", "shape": [], "data": [3, NUMBER]},
    "of rows without values": {"name": "x", "shape": [2, 0], "data": [3, NUMBER]},
}
SINGLES: list[Any] = [
    {"data": [3, NUMBER, 4]},
    {"data": [NUMBER, [3]]},
    {"instances": [NUMBER, {"age": 3}]},
    {"instances": [NUMBER, "[3]"]},
    [3, NUMBER, 4],
]
"""Single values where rows belong, and neither one row nor the values of an only column."""


@pytest.mark.parametrize("value", [*({"inputs": [tensor]} for tensor in TENSORS.values()), *SINGLES])
def test_nothing_is_kept_of_a_request_whose_values_have_no_place_in_a_row(value: object) -> None:
    for kept in (Filter(deny=("ssn",), columns=("age", "ssn")), Filter(hash=("ssn",)), Filter(deny=("1",))):
        with pytest.raises(Unfiltered):
            replace(kept, asked=True).apply(value, KEY)


def test_columns_that_only_count_are_positions_where_the_model_s_are_not_known() -> None:
    value = {"columns": [0, 1], "data": [[3, NUMBER]]}
    assert Filter(deny=("1",)).apply(value, KEY) == {"columns": ["0"], "data": [[3]]}
    assert Filter(deny=("1",), columns=("age", "ssn")).apply(value, KEY) == {"columns": ["0"], "data": [[3]]}
    with pytest.raises(Unfiltered):
        Filter(deny=("ssn",)).apply(value, KEY)


def test_single_values_are_those_of_a_model_s_only_column() -> None:
    only = Filter(deny=("ssn",), columns=("ssn",), asked=True)
    assert only.apply({"instances": [1, 2]}, KEY) == {"instances": []}
    assert Filter(deny=("ssn",), columns=("age",), asked=True).apply([1, 2], KEY) == [1, 2]


def test_a_tensor_that_is_a_column_is_kept_beside_one_that_is_not() -> None:
    tensors = [{"name": "age", "shape": [2, 1], "data": [[3], [4]]}, {"name": "ssn", "shape": [2], "data": [1, 2]}]
    kept = Filter(deny=("ssn",), columns=("age", "ssn"), asked=True).apply(tensors, KEY)
    assert kept == [{**tensors[0], "data": [3, 4]}, {**tensors[1], "data": []}]


def test_single_predictions_are_kept() -> None:
    label = {"name": "label", "shape": [2], "data": ["x", "y"]}
    for value in ({"predictions": [1, 2]}, {"outputs": [label]}, [1, 2]):
        assert Filter(deny=("ssn",)).apply(value, KEY) == value


def test_nested_lists_of_other_fields_are_no_rows() -> None:
    value = [{"embedding": [[1, 2], [3, 4]], "ssn": NUMBER}]
    assert Filter(deny=("ssn",)).apply(value, KEY) == [{"embedding": [[1, 2], [3, 4]]}]


def test_lists_of_values_and_texts_of_other_fields_are_kept() -> None:
    for value in (["setosa", "x"], [1, None], {"note": "{not json", "n": 1.5}, {"note": '{"a": 1}'}, None, True, []):
        assert Filter(deny=("ssn",)).apply(value, KEY) == value


def test_digests_are_stable_keyed_and_told_apart_by_type() -> None:
    assert digest("x", KEY) == digest("x", KEY)
    assert len(digest("x", KEY)) == 32
    assert int(digest("x", KEY), 16) >= 0
    assert digest("x", KEY) != digest("x", b"l" * 32)
    assert digest(1, KEY) == digest(1.0, KEY)
    assert len({digest(value, KEY) for value in ("1", 1, True, None, 1.5, [1], {"a": 1})}) == 7
    assert Filter(hash=("a",)).apply({"a": None}, KEY) == {"a": None}


def test_deny_wins_over_hash() -> None:
    assert Filter(deny=("a",), hash=("a",)).apply({"a": 1, "b": 2}, KEY) == {"b": 2}


def test_headers_follow_the_rules_and_credentials_are_never_written() -> None:
    headers = {"authorization": "Bearer x", "cookie": "c", "proxy-authorization": "p", "x-user": "u", "x-id": "i"}
    assert Filter(deny=("X-User",), hash=("X-Id",)).apply_to_headers(headers, KEY) == {"x-id": digest("i", KEY)}
    assert Filter().apply_to_headers(headers, KEY) == {"x-user": "u", "x-id": "i"}


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just(NUMBER)
NAMES = st.sampled_from(["ssn", "age", "data", "columns", "name", "shape", "inputs", "x"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_no_form_smuggles_a_denied_field_through_or_breaks_the_filter(value: Any) -> None:  # noqa: ANN401 - JSON
    """Every value below a field of the name is gone, whatever stands around it."""
    try:
        kept = Filter(deny=("ssn",), hash=("age",)).apply(value, KEY)
    except Unfiltered:
        return
    assert not _below(kept, "ssn")
    assert all(value is None or isinstance(value, str) for value in _below(kept, "age"))
    assert NUMBER not in _below(kept, "age")


def _below(value: Any, name: str) -> list[Any]:  # noqa: ANN401 - JSON
    """Every value that stands, possibly in lists, directly under a name."""
    if isinstance(value, list):
        return [found for item in value for found in _below(item, name)]
    if not isinstance(value, dict):
        return []
    found = [leaf for item in [value[name]] for leaf in _leaves(item)] if name in value else []
    return found + [leaf for key, item in value.items() if key != name for leaf in _below(item, name)]


def _leaves(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]
