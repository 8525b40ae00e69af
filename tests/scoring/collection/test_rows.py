"""Requests and answers of every dialect become the same records."""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_scoring.collection.events import Unreadable
from mlops_scoring.collection.privacy import Filter, Unfiltered
from mlops_scoring.worker.collecting.rows import input_records, output_records
from mlops_scoring.worker.scoring import Answer, ScoringRequest

ROWS = [{"a": 1.5, "b": "x"}, {"a": 2.0, "b": "y"}]
LISTS = [[1.5, "x"], [2.0, "y"]]


def asked(body: object, path: str = "/score", **headers: str) -> ScoringRequest:
    """A request with a JSON body, or with bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return ScoringRequest("POST", path, b"", named, content, "r-1")


def answered(body: object, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(200, content, [(name.replace("_", "-"), value) for name, value in headers.items()])


def strings(*values: str) -> bytes:
    return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)


FORMS: dict[str, ScoringRequest] = {
    "rows": asked({"data": LISTS, "method": "predict"}),
    "rows of Azure ML": asked({"input_data": LISTS}),
    "columns and rows": asked({"input_data": {"columns": ["b", "a"], "index": [0, 1], "data": [["x", 1.5], ["y", 2]]}}),
    "columns that only count": asked({"input_data": {"columns": [0, 1], "index": [0, 1], "data": LISTS}}),
    "dataframe_split": asked({"dataframe_split": {"columns": ["a", "b"], "data": LISTS}}, "/invocations"),
    "dataframe_records": asked({"dataframe_records": ROWS}, "/invocations"),
    "instances": asked({"instances": LISTS}, "/invocations"),
    "instances that are objects": asked({"instances": ROWS}, "/invocations"),
    "inputs": asked({"inputs": {"a": [1.5, 2.0], "b": ["x", "y"]}, "params": {}}, "/invocations"),
    "inputs that are rows": asked({"inputs": LISTS}, "/invocations"),
    "CSV": asked(b"a,b\r\n1.5,x\r\n2.0,y\r\n", "/invocations", content_type="text/csv; charset=utf-8"),
    "a bare list": asked(LISTS),
    "compressed": asked(gzip.compress(json.dumps({"data": LISTS}).encode()), content_encoding="gzip"),
    "tensors": asked(
        {
            "inputs": [
                {"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [[1.5], [2.0]]},
                {"name": "b", "shape": [2], "datatype": "BYTES", "data": ["x", "y"]},
            ]
        },
        "/v2/models/m/infer",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_rows_gives_the_same_records(form: str) -> None:
    assert input_records(FORMS[form], Filter(columns=("a", "b"))) == ROWS


def test_rows_without_names_are_numbered() -> None:
    assert input_records(asked({"data": LISTS}), Filter()) == [{"0": 1.5, "1": "x"}, {"0": 2.0, "1": "y"}]
    assert input_records(asked({"instances": [1, 2]}), Filter()) == [{"0": 1}, {"0": 2}]
    assert input_records(asked({"instances": [1, 2]}), Filter(columns=("a",))) == [{"a": 1}, {"a": 2}]


DTYPES: dict[str, tuple[str, list[Any]]] = {
    "BOOL": ("?", [True, False]),
    "UINT8": ("B", [0, 255]),
    "UINT16": ("H", [0, 65535]),
    "UINT32": ("I", [0, 2**32 - 1]),
    "UINT64": ("Q", [0, 2**64 - 1]),
    "INT8": ("b", [-128, 127]),
    "INT16": ("h", [-(2**15), 1]),
    "INT32": ("i", [-(2**31), 1]),
    "INT64": ("q", [-(2**63), 1]),
    "FP16": ("e", [0.5, -2.0]),
    "FP32": ("f", [0.5, -2.0]),
    "FP64": ("d", [0.1, -2.0]),
}


def binary(tensors: list[dict[str, Any]], data: bytes) -> tuple[bytes, str]:
    head = json.dumps({"inputs": tensors, "outputs": tensors}).encode()
    return head + data, str(len(head))


def test_binary_tensors_of_every_type_are_read() -> None:
    tensors, data = [], b""
    for name, (code, values) in DTYPES.items():
        part = struct.pack(f"<2{code}", *values)
        tensors.append(tensor(name, name, len(part)))
        data += part
    tensors += [tensor("text", "BYTES", len(strings("ü", ""))), tensor("half", "BF16", 4)]
    data += strings("ü", "") + struct.pack("<f", 1.5)[2:] + struct.pack("<f", -2.0)[2:]
    body, length = binary(tensors, data)
    expected = [
        {**{name: values[place] for name, (_, values) in DTYPES.items()}, "text": text, "half": half}
        for place, (text, half) in enumerate([("ü", 1.5), ("", -2.0)])
    ]
    request = asked(body, "/v2/models/m/infer", inference_header_content_length=length)
    assert input_records(request, Filter()) == expected
    assert output_records(request, answered(body, Inference_Header_Content_Length=length), Filter()) == expected


def tensor(name: str, datatype: str, size: int) -> dict[str, Any]:
    return {"name": name, "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": size}}


def test_one_tensor_of_rows_has_the_model_s_columns() -> None:
    rows = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
    request = asked(rows, "/v2/models/m/infer")
    assert input_records(request, Filter(columns=("a", "b"))) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert input_records(request, Filter()) == [{"x": [1, 2]}, {"x": [3, 4]}]


NAMELESS: dict[str, ScoringRequest] = {
    "rows": asked({"data": [[1, 666]]}),
    "columns that only count": asked({"input_data": {"columns": [0, 1], "data": [[1, 666]]}}),
    "instances": asked({"instances": [[1, 666]]}, "/invocations"),
    "a tensor by its name": asked({"inputs": {"x": [[1, 666]]}}, "/invocations"),
    "a tensor": asked({"inputs": [{"name": "x", "shape": [1, 2], "data": [1, 666]}]}, "/v2/models/m/infer"),
    "a nested tensor": asked({"inputs": [{"name": "x", "shape": [1, 2], "data": [[1, 666]]}]}, "/v2/models/m/infer"),
}


@pytest.mark.parametrize("form", NAMELESS)
def test_fields_are_found_by_position_among_values_without_names(form: str) -> None:
    denied = Filter(deny=("1",))
    assert denied.apply(input_records(NAMELESS[form], denied), b"") == [{"0": 1}]
    named = Filter(deny=("ssn",), columns=("age", "ssn"))
    assert named.apply(input_records(NAMELESS[form], named), b"") == [{"age": 1}]


@pytest.mark.parametrize("form", NAMELESS)
def test_no_records_are_made_where_a_named_field_cannot_be_found(form: str) -> None:
    with pytest.raises(Unfiltered):
        input_records(NAMELESS[form], Filter(hash=("ssn",)))


@pytest.mark.parametrize("names", ["x", "xy"])
def test_tensors_whose_values_have_no_place_in_a_row_are_not_searched_in_vain(names: str) -> None:
    several = [{"name": name, "shape": [1, 2, 1], "data": [1, 666]} for name in names]
    request = asked({"inputs": several}, "/v2/models/m/infer")
    answer = answered({"outputs": several})
    for denied in (Filter(deny=("1",)), Filter(deny=("ssn",), columns=("age", "ssn"))):
        with pytest.raises(Unfiltered):
            input_records(request, denied)
        with pytest.raises(Unfiltered):
            output_records(request, answer, denied)
    by_name = Filter(deny=tuple(names))
    assert by_name.apply(input_records(request, by_name), b"") == [{}]


def test_a_single_value_has_the_name_of_the_model_s_only_column_or_none() -> None:
    request = asked({"instances": [666]})
    named = Filter(deny=("ssn",), columns=("ssn",))
    assert named.apply(input_records(request, named), b"") == [{}]
    with pytest.raises(Unfiltered):
        input_records(request, Filter(deny=("ssn",)))


def test_answers_of_every_dialect_are_records() -> None:
    request = asked({})
    assert output_records(request, answered([1, 2]), Filter()) == [{"prediction": 1}, {"prediction": 2}]
    assert output_records(request, answered([[0.1, 0.9]]), Filter()) == [{"0": 0.1, "1": 0.9}]
    assert output_records(request, answered([{"label": "x"}]), Filter()) == [{"label": "x"}]
    assert output_records(request, answered({"predictions": [1]}), Filter()) == [{"prediction": 1}]
    assert output_records(request, answered({"label": "x"}), Filter()) == [{"label": "x"}]
    assert output_records(request, answered(7), Filter()) == [{"prediction": 7}]


BROKEN: list[ScoringRequest] = [
    asked(b"{"),
    asked({"other": 1}),
    asked({"data": {"columns": ["a"], "data": [[1, 2]]}}),
    asked({"data": {"columns": ["a"], "data": [1]}}),
    asked(b"\x1f\x8bgarbage", content_encoding="gzip"),
    asked(gzip.compress(b"{}")[:-3], content_encoding="gzip"),
    asked({}, "/v2/models/m/infer"),
    asked({"inputs": [{"name": "x", "shape": [3], "data": [1]}]}, "/v2/models/m/infer"),
    asked({"inputs": [{"name": "x", "shape": [-1], "data": [1]}]}, "/v2/models/m/infer"),
    asked({"inputs": [{"name": "x", "shape": [10**12, 0], "data": []}]}, "/v2/models/m/infer"),
    asked({"inputs": [{"name": "x"}]}, "/v2/models/m/infer"),
    asked(b"{}", "/v2/models/m/infer", inference_header_content_length="x"),
]


@pytest.mark.parametrize("request_", BROKEN, ids=range(len(BROKEN)))
def test_what_is_in_no_form_says_so(request_: ScoringRequest) -> None:
    with pytest.raises((Unreadable, ValueError)):
        input_records(request_, Filter())


@given(st.binary(max_size=60), st.integers(0, 70), st.sampled_from([*DTYPES, "BYTES", "BF16", "x"]))
def test_no_binary_tensor_breaks_the_reader(data: bytes, size: int, datatype: str) -> None:
    body, length = binary([{**tensor("x", datatype, size), "shape": [size]}], data)
    request = asked(body, "/v2/models/m/infer", inference_header_content_length=length)
    try:
        records = input_records(request, Filter())
    except (Unreadable, ValueError):
        return
    assert len(records) == size
