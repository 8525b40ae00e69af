"""Malformed and ambiguous HTTP over raw sockets: always refused with a reason, never passed on to a worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scoring.rig import Supervised, connect, exchange, make_code, make_deployment

HEAD = b"POST /score HTTP/1.1\r\nHost: t\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """One endpoint for the whole table; its script writes down what reached it."""
    folder = tmp_path_factory.mktemp("m")
    source = "calls = []\ndef init(): pass\ndef run(data, request_headers):\n    calls.append(data)\n    return calls\n"
    supervised = Supervised(Path("/tmp") / f"ms-malformed-{os.getpid()}")  # noqa: S108 - UNIX socket paths are short
    supervised.start(
        supervised.document({"blue-1": make_deployment(make_code(folder / "code", source))}, {"blue-1": 100})
    )
    supervised.await_state("blue-1", "Healthy")
    yield supervised
    supervised.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(
            HEAD + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED, 400, id="length and chunks"
        ),
        pytest.param(HEAD + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED, 400, id="chunks and length"),
        pytest.param(HEAD + b"Content-Length: 0\r\nContent-Length: 35\r\n\r\n" + SMUGGLED, 400, id="two lengths"),
        pytest.param(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, id="two equal lengths"),
        pytest.param(HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 400, id="list of lengths"),
        pytest.param(HEAD + b"Content-Length: +2\r\n\r\n{}", 400, id="signed length"),
        pytest.param(HEAD + b"Content-Length: -2\r\n\r\n{}", 400, id="negative length"),
        pytest.param(HEAD + b"Content-Length: 0x2\r\n\r\n{}", 400, id="hexadecimal length"),
        pytest.param(HEAD + b"Content-Length:\r\n\r\n{}", 400, id="no length"),
        pytest.param(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 400, id="overflowing length"),
        pytest.param(HEAD + b"Content-Length: 999999999999\r\n\r\n", 413, id="enormous length"),
        pytest.param(HEAD + b"Content-Length : 2\r\n\r\n{}", 400, id="space before colon"),
        pytest.param(HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, id="unknown coding"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, id="two codings"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, id="coding after chunks"),
        pytest.param(HEAD + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n", 400, id="chunks twice"),
        pytest.param(HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, id="coding with control"),
        pytest.param(HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, id="folded coding"),
        pytest.param(b"POST /score HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 501, id="chunks in HTTP/1.0"),
        pytest.param(HEAD + b"X-A: b\r\n c\r\n\r\n", 400, id="folded header"),
        pytest.param(HEAD + b"X-A: b\rX-C: d\r\n\r\n", 400, id="bare CR in header"),
        pytest.param(b"GET / HTTP/1.1\nHost: t\n\n", 400, id="bare LF"),
        pytest.param(HEAD + b"X-A: b\x00c\r\n\r\n", 400, id="NUL in header"),
        pytest.param(HEAD + b"X(A): b\r\n\r\n", 400, id="bad header name"),
        pytest.param(HEAD + b": b\r\n\r\n", 400, id="empty header name"),
        pytest.param(HEAD + CHUNKED + b"\r\nzz\r\n\r\n", 400, id="bad chunk size"),
        pytest.param(HEAD + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n", 400, id="chunk size with 0x"),
        pytest.param(HEAD + CHUNKED + b"\r\nfffffffffffffffff\r\n", 400, id="chunk size overflows"),
        pytest.param(HEAD + CHUNKED + b"\r\n1\r\n{}\r\n0\r\n\r\n", 400, id="chunk longer than said"),
        pytest.param(HEAD + CHUNKED + b"\r\n2\n{}\n0\n\n", 400, id="chunks with bare LF"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, id="host with space"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a,b@c\r\n\r\n", 400, id="host with user"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, id="host with path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, id="host with bad port"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: [::1\r\n\r\n", 400, id="host with half an address"),
        pytest.param(b"GET /\r\n\r\n", 505, id="HTTP/0.9"),
        pytest.param(b"GET / HTTP/1.2\r\nHost: t\r\n\r\n", 400, id="HTTP/1.2"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2 preface"),
        pytest.param(b"FOO / HTTP/1.1\r\nHost: t\r\n\r\n", 400, id="unknown method"),
        pytest.param(b"get / HTTP/1.1\r\nHost: t\r\n\r\n", 400, id="small method"),
        pytest.param(b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", 400, id="space in target"),
        pytest.param(b"GET /a\x01b HTTP/1.1\r\nHost: t\r\n\r\n", 400, id="control in target"),
        pytest.param(b"GET ftp://t/a HTTP/1.1\r\nHost: t\r\n\r\n", 400, id="target is no path"),
        pytest.param(b"CONNECT t:1 HTTP/1.1\r\nHost: t\r\n\r\n", 501, id="proxy"),
        pytest.param(HEAD + b"Expect: magic\r\nContent-Length: 0\r\n\r\n", 417, id="other expectation"),
        pytest.param(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414, id="long target"),
        pytest.param(HEAD + b"X-A: " + b"b" * 40_000 + b"\r\n\r\n", 431, id="long header"),
        pytest.param(HEAD + b"X-A: " + b"b" * 200_000, 431, id="endless header"),
        pytest.param(
            HEAD + b"".join(b"X-%d: b\r\n" % number for number in range(200)) + b"\r\n", 431, id="many headers"
        ),
        pytest.param(HEAD + CHUNKED + b"\r\n0\r\nX: " + b"a" * 600_000, 431, id="endless trailer"),
        pytest.param(HEAD + CHUNKED + b"\r\n1\r\na\r\n1;" + b"a" * 600_000, 431, id="endless chunk extension"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
    ],
)
def test_is_refused_and_the_connection_ends(endpoint: Supervised, sent: bytes, status: int) -> None:
    received = exchange(endpoint.port, sent)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert received.count(b"content-length: ") == 1
    assert b"\r\nconnection: close\r\n" in received
    assert b'{"message": "' in received


@pytest.mark.parametrize(
    "host", [b"", b" ", b"t", b"A-b.c_d:", b"t:8080 ", b"[::1]:80", b"[fe80::1%25eth0]", b"%2Frun%2Fa.sock"]
)
def test_a_host_may_be_whatever_names_one(endpoint: Supervised, host: bytes) -> None:
    once = b"GET / HTTP/1.1\r\nHost:" + host + b"\r\n\r\n"
    assert exchange(endpoint.port, once + once, half_close=True).count(b"HTTP/1.1 200 ") == 2


def test_a_second_host_on_a_connection_is_looked_at_too(endpoint: Supervised) -> None:
    received = exchange(endpoint.port, b"GET / HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nHost: t u\r\n\r\n")
    assert received.index(b"HTTP/1.1 200 ") < received.index(b"HTTP/1.1 400 ")


def test_nothing_of_a_refused_request_reached_a_worker(endpoint: Supervised) -> None:
    """The table above has sent what would be a second request to a careless parser."""
    calls = endpoint.score({"last": True}).json
    assert calls[-1] == '{"last": true}'
    assert not [call for call in calls if "smuggled" in call]


def test_what_precedes_a_malformed_request_is_answered_first(endpoint: Supervised) -> None:
    good = HEAD + b"Content-Length: 6\r\n\r\n{good}"
    received = exchange(endpoint.port, good + b"NONSENSE\r\n\r\n")
    assert received.index(b"HTTP/1.1 200 ") < received.index(b"HTTP/1.1 400 ")


def test_a_truncated_request_is_not_passed_on(endpoint: Supervised) -> None:
    assert exchange(endpoint.port, HEAD + b"Content-Length: 100\r\n\r\n{truncated}", half_close=True) == b""
    assert not [call for call in endpoint.score().json if "truncated" in call]


def test_slow_senders_do_not_keep_others_waiting(endpoint: Supervised) -> None:
    """The deployment takes eight requests at once; a hundred half-sent ones take none of those places."""
    slow = [connect(endpoint.port) for _ in range(100)]
    for connection in slow:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    assert endpoint.score().status == 200
    for connection in slow:
        connection.close()


def test_garbage_never_stops_the_endpoint(endpoint: Supervised) -> None:
    def send() -> None:
        for _ in range(20):
            received = exchange(endpoint.port, os.urandom(2000), half_close=True)
            assert received == b"" or received.startswith(b"HTTP/1.1 4")

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endpoint.score().status == 200
