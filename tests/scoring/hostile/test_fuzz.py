"""Parsers that strangers write for: whatever the bytes, one of two known ends, and the same however they arrive."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scoring.hostile.corpus import MALICIOUS
from tests.scoring.rig import make_deployment

from mlops_scoring import pickles
from mlops_scoring.configuration import PicklePolicy, parse_configuration, parse_worker_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.tokens import SigningKey, find_fault, issue
from mlops_scoring.wire.inflow import Buffered
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.reading import RequestReader
from mlops_scoring.worker.multipart import parse_multipart

EXAMPLES = settings(max_examples=300)

# Requests

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: t\r\n\r\n",
    b"POST /score?a=b HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody",
    b"POST /score HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nbod\r\n1\r\ny\r\n0\r\nT: 1\r\n\r\n",
    b"POST http://t/score HTTP/1.1\r\nHost: t\r\nConnection: X-A, close\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: t\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n",
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b"\t", b":", b",", b"0\r\n\r\n", b"Content-Length: 4\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Host: u\r\n", b"HTTP/1.1", b"HTTP/0.9"),
    *(b"Content-Length: +4\r\n", b"Authorization: a\r\n", b"Connection: close\r\n", b"ffffffff\r\n", b"\x80", b"\xff"),
]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Requests in a row, some of them damaged."""
    made = bytearray(b"".join(draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(made)))
        cut = draw(st.sampled_from([0, 0, 1, 4]))
        made[place : place + cut] = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    return bytes(made)


def outcome(parts: Sequence[bytes]) -> tuple[list[object], int | None]:
    """What a reader makes of bytes that arrive in parts: requests, and the status of the refusal."""
    reader = RequestReader(Limits(), Buffered())
    for part in parts:
        if reader.refusal is None:
            reader.feed(part)
    found: list[object] = [
        (request.method, request.target, tuple(request.headers), bytes(request.body), request.keep_alive)
        for request in reader.requests
    ]
    return found, reader.refusal.status if reader.refusal is not None else None


@EXAMPLES
@given(streams(), st.integers(1, 7))
def test_requests_are_the_same_however_their_bytes_arrive(stream: bytes, size: int) -> None:
    whole = outcome([stream])
    assert outcome([stream[place : place + 1] for place in range(len(stream))]) == whole
    assert outcome([stream[place : place + size] for place in range(0, len(stream), size)]) == whole
    assert whole[1] is None or 400 <= whole[1] < 600


@EXAMPLES
@given(streams())
def test_what_is_passed_on_is_one_request_with_the_same_meaning(stream: bytes) -> None:
    """The other side sees what we saw: nothing is smuggled between gateway and worker."""
    reader = RequestReader(Limits(), Buffered())
    reader.feed(stream)
    for request in reader.requests:
        again = RequestReader(Limits(), Buffered())
        again.feed(request.serialise())
        assert again.refusal is None
        (other,) = again.requests
        assert (other.method, other.target, bytes(other.body)) == (request.method, request.target, bytes(request.body))
        assert b"transfer-encoding" not in {name for name, _ in other.headers}
        assert passed(other) <= passed(request) | {(b"host", b"localhost")}


def passed(request: Request) -> set[tuple[bytes, bytes]]:
    return {pair for pair in request.headers if pair[0] != b"content-length"}


# Documents

DOCUMENT = {
    "format": 1,
    "endpoint": "e",
    "host": "127.0.0.1",
    "port": 8601,
    "stamp": {},
    "traffic": {"blue-1": 100},
    "mirror_traffic": {},
    "aliases": {"blue": "blue-1"},
    "auth": {"mode": "key"},
    "deployments": {
        "blue-1": make_deployment(Path("/code"), data_collector={"collections": {"model_inputs": {"enabled": True}}})
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=5), below, max_size=2),
    max_leaves=4,
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Where a document has values."""
    found = [path]
    if isinstance(value, dict):
        for name, below in value.items():
            found += places(below, (*path, name))
    return found


@EXAMPLES
@given(st.data())
def test_a_document_with_a_wrong_value_is_refused_with_its_place_or_taken(data: st.DataObject) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    path = data.draw(st.sampled_from(places(document)[1:]))
    at = document
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = data.draw(JSON)
    problems: tuple[str, ...] = ()
    try:
        parse_configuration(json.dumps(document))
    except InvalidDocument as invalid:
        problems = invalid.problems
    assert not [problem for problem in problems if not problem or "\n" in problem]


@EXAMPLES
@given(st.integers(0, 2000), st.binary(max_size=4))
def test_damaged_documents_are_refused_or_taken(place: int, inserted: bytes) -> None:
    text = json.dumps(DOCUMENT).encode()
    damaged = text[: place % len(text)] + inserted + text[(place % len(text)) + len(inserted) // 2 :]
    for parse in (parse_configuration, parse_worker_configuration):
        with contextlib.suppress(InvalidDocument):
            parse(damaged)


# Forms

PARTS = [
    *(
        b"--b",
        b"--b--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=a",
        b'; filename="x"',
        b"; name*=u''%ff",
    ),
    *(
        b"; filename*0=a; filename*1*=b",
        b"Content-Type: text/plain",
        b"Content-Disposition:",
        b";",
        b'"',
        b"=",
        b"\\",
        b"=",
    ),
    *(b"content", b"\xff", b"=?utf-8?q?=ff?=", b"; filename*=utf-7'x'+AAA", b"; name=", b"(", b"<", b"@", b"\0"),
]


@EXAMPLES
@given(st.lists(st.sampled_from(PARTS) | st.binary(max_size=2), max_size=14))
def test_forms_are_read_or_refused(pieces: list[bytes]) -> None:
    body = b"--b\r\nContent-Disposition: form-data" + b"".join(pieces) + b"\r\n\r\nx\r\n--b--\r\n"
    try:
        fields, files = parse_multipart(body, "b")
    except ValueError:
        return
    assert {type(text) for pair in fields for text in pair} <= {str}
    assert {type(file.filename) for _, file in files} <= {str}


def test_parameters_that_the_standard_library_stumbles_over_are_refused() -> None:
    body = b"--b\r\nContent-Disposition: form-data; filename*\r\n\r\nx\r\n--b--\r\n"
    with pytest.raises(ValueError, match="headers that cannot be read"):
        parse_multipart(body, "b")


# Tokens

KEY = SigningKey("k1", b"s" * 32)


@EXAMPLES
@given(st.integers(0, 300), st.binary(max_size=3), st.sampled_from([0, 1, 3]))
def test_a_damaged_token_is_worth_nothing(place: int, inserted: bytes, cut: int) -> None:
    good = issue(KEY, "e", 1000, 60).text.encode()
    at = place % len(good)
    damaged = good[:at] + inserted + good[at + cut :]
    assert find_fault(good, [KEY], "e", 1010) is None
    if damaged != good:
        assert find_fault(damaged, [KEY], "e", 1010) is not None


# Model files

SMALL = {name: content for name, content in MALICIOUS.items() if len(content) < 5000}
POLICY = PicklePolicy(("joblib", "pickle"))


@EXAMPLES
@given(st.sampled_from(sorted(SMALL)), st.integers(0, 5000), st.binary(max_size=3), st.sampled_from([0, 1, 30]))
def test_a_scan_always_ends_with_an_answer(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: int, inserted: bytes, cut: int
) -> None:
    """Damaged archives, compressed streams, arrays, pickles: reasons, or nothing to complain of; never an exception."""
    content = SMALL[name]
    at = place % (len(content) + 1)
    path = tmp_path_factory.getbasetemp() / f"damaged-{Path(name).suffix}"
    path.write_bytes(content[:at] + inserted + content[at + cut :])
    problems = pickles.scan(path, POLICY)
    assert not [problem for problem in problems if "\n" in problem]
    pickles.may_hold_pickle(path)
