"""The requests to scripts under inference-schema's decorators."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.scoring.conformance.replies import Headers, Request
from tests.scoring.conformance.table import JSON

_DATA = [[1, 2]]
_FRAME = [{"a": 10, "b": "x"}]
_TYPES = {
    "none": None,
    "plain": "text/plain",
    "charset": "application/json; charset=utf-8",
    "charset-latin": "application/json; charset=latin-1",
    "upper": "APPLICATION/JSON",
    "suffix": "application/vnd.model+json",
    "suffix-text": "text/x+json",
    "text-json": "text/json",
    "garbage": ";;;",
    "empty": "",
    "form": "application/x-www-form-urlencoded",
    "two": "application/json, text/plain",
}
_BODIES: dict[str, object] = {
    "good": {"data": _DATA, "frame": _FRAME, "scale": 3},
    "defaults": {"data": _DATA},
    "missing": {"frame": _FRAME},
    "extra": {"data": _DATA, "other": 1},
    "headers-named": {"data": _DATA, "request_headers": {"X-Agent": "forged"}},
    "null": {"data": None},
    "null-frame": {"data": _DATA, "frame": None},
    "text": {"data": "x"},
    "number": {"data": 5},
    "shape": {"data": [[1, 2, 3]]},
    "rows": {"data": [[1, 2], [3, 4]]},
    "empty-rows": {"data": []},
    "ragged": {"data": [[1], [2, 3]]},
    "strings": {"data": [["1", "2"]]},
    "string": {"data": [["a", "b"]]},
    "booleans": {"data": [[True, False]]},
    "object": {"data": {"a": 1}},
    "deep": {"data": [[[[1]]]]},
    "frame-columns": {"data": _DATA, "frame": [{"c": 1}]},
    "frame-types": {"data": _DATA, "frame": [{"a": "x", "b": 1}]},
    "frame-extra": {"data": _DATA, "frame": [{"a": 1, "b": "x", "c": 2}]},
    "frame-empty": {"data": _DATA, "frame": []},
    "frame-text": {"data": _DATA, "frame": "x"},
    "frame-object": {"data": _DATA, "frame": {"a": [1], "b": ["x"]}},
    "scale-text": {"data": _DATA, "scale": "3"},
    "scale-float": {"data": _DATA, "scale": 1.5},
    "scale-null": {"data": _DATA, "scale": None},
    "empty-object": {},
    "array": [1],
    "scalar": 5,
    "string-root": "x",
    "null-root": None,
}
_RAW = {
    "empty": b"",
    "space": b"  ",
    "broken": b"{",
    "position": b'{"data": [[1, 2]],\n  "frame": oops}',
    "trailing": b'{"data": [[1, 2]]} x',
    "comma": b'{"data": [[1, 2]],}',
    "single-quotes": b"{'data': 1}",
    "control": b'{"data": "\x01"}',
    "duplicate": b'{"data": [[1, 2]], "data": [[3, 4]]}',
    "nan": b'{"data": [[NaN, 1]]}',
    "infinity": b'{"data": [[Infinity, -Infinity]]}',
    "huge-number": b'{"data": [[1e400, -1e400]]}',
    "minus-zero": b'{"data": [[-0, -0.0]]}',
    "huge-integer": b'{"data": [[1, 2]], "scale": 123456789012345678901234567890}',
    "too-huge-integer": b'{"data": [[1, 2]], "scale": ' + b"1" * 5000 + b"}",
    "nested": b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "bom": b'\xef\xbb\xbf{"data": [[1, 2]]}',
    "utf16": '{"data": [[1, 2]]}'.encode("utf-16"),
    "utf16-le": '{"data": [[1, 2]]}'.encode("utf-16-le"),
    "utf32": '{"data": [[1, 2]]}'.encode("utf-32"),
    "invalid-utf8": b'{"data": "\xff"}',
    "invalid-utf8-only": b"\xff\xfe\xfd",
    "surrogate": b'{"data": [[1, 2]], "scale": "\\ud800"}',
    "unicode": '{"data": [[1, 2]], "scale": "grüße"}'.encode(),
    "unicode-key": '{"dätä": 1}'.encode(),
}
_QUERIES = {
    "good": "?data=[[1,2]]&frame=[{%22a%22:10,%22b%22:%22x%22}]&scale=3",
    "missing": "?scale=3",
    "none": "",
    "repeated": "?data=[1,2]&data=[3,4]",
    "text": "?data=x",
    "extra": "?data=[[1,2]]&other=1",
}


def _schema() -> Iterator[Request]:
    for name, value in _BODIES.items():
        headers: Headers = (*JSON, ("X-Agent", "table"))
        yield Request(f"schema/{name}", "schema", headers=headers, body=json.dumps(value).encode())
    for name, body in _RAW.items():
        yield Request(f"schema/raw-{name}", "schema", headers=JSON, body=body)
    good = json.dumps(_BODIES["good"]).encode()
    for name, kind in _TYPES.items():
        typed: Headers = () if kind is None else (("Content-Type", kind),)
        yield Request(f"schema/type-{name}", "schema", headers=typed, body=good)
    yield Request("schema/type-twice", "schema", headers=(*JSON, *JSON), body=good)
    for name, query in _QUERIES.items():
        yield Request(f"schema/query-{name}", "schema", "GET", f"/score{query}", body=None)
    yield Request("schema/options", "schema", "OPTIONS")
    yield Request("schema/put", "schema", "PUT", headers=JSON, body=good)
    yield Request("schema/post-query", "schema", "POST", "/score?scale=9", headers=JSON, body=good)


def _nested() -> Iterator[Request]:
    inputs = {"data": _DATA, "frame": _FRAME}
    bodies: dict[str, object] = {
        "good": {"inputs": inputs},
        "options": {"inputs": inputs, "options": {"scale": 2.0, "names": ["b"]}},
        "missing": {"options": {}},
        "missing-inner": {"inputs": {"data": _DATA}},
        "extra-inner": {"inputs": {**inputs, "c": 1}},
        "list": {"inputs": [1]},
        "null": {"inputs": None},
        "shape": {"inputs": {**inputs, "data": [[1, 2, 3]]}},
        "text": {"inputs": {**inputs, "data": "x"}},
        "options-type": {"inputs": inputs, "options": 5},
    }
    for name, value in bodies.items():
        yield Request(f"nested/{name}", "nested", headers=JSON, body=json.dumps(value).encode())


def schema_requests() -> tuple[Request, ...]:
    """The table for decorated scripts."""
    return (*_schema(), *_nested())
