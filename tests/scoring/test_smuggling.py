"""Requests that two parsers could read differently, seen from both sides of the gateway.

Whatever a client sends, the worker gets nothing, or whole requests in one spelling: a length or chunks, never both; no
header of a hop, no second message inside a first one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.scoring.wired import OK, RawWorker, read_body, read_head, until, wired

POST = b"POST /score HTTP/1.1\r\nHost: t\r\n"
INNER = b"GET /inner HTTP/1.1\r\nHost: t\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(POST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nG", id="CL.TE"),
        pytest.param(POST + CHUNKED + b"Content-Length: 4\r\n\r\n1c\r\n" + INNER + b"\r\n0\r\n\r\n", id="TE.CL"),
        pytest.param(POST + CHUNKED + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n" + INNER, id="TE.TE second unknown"),
        pytest.param(POST + b"Transfer-Encoding: x\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + INNER, id="TE.TE first unknown"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER, id="space before colon"),
        pytest.param(POST + b"Transfer-Encoding: chun\x00ked\r\n\r\n0\r\n\r\n" + INNER, id="NUL in coding"),
        pytest.param(POST + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER, id="folded"),
        pytest.param(POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER, id="bare LF in head"),
        pytest.param(POST + b"Content-Length: 0\r\nContent-Length: 33\r\n\r\n" + INNER, id="two lengths"),
        pytest.param(
            POST + b"Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello" + INNER, id="equal lengths, two cases"
        ),
        pytest.param(POST + b"Content-Length: 1 2\r\n\r\n" + INNER, id="space in length"),
        pytest.param(POST + b"Content-Length: \xb2\r\n\r\n" + INNER, id="length in other digits"),
        pytest.param(POST + CHUNKED + b"\r\n0x0\r\n\r\n" + INNER, id="chunk size with 0x"),
        pytest.param(POST + CHUNKED + b"\r\n-1\r\n\r\n" + INNER, id="negative chunk"),
        pytest.param(POST + CHUNKED + b"\r\nfffffffffffffffff\r\n" + INNER, id="chunk size overflows"),
        pytest.param(POST + CHUNKED + b"\r\n2\r\nokX\r\n0\r\n\r\n" + INNER, id="chunk longer than said"),
        pytest.param(POST + CHUNKED + b"\r\n2;\nok\r\n0\r\n\r\n" + INNER, id="LF ends a chunk extension"),
        pytest.param(POST + CHUNKED + b"\r\n2 \r\nok\r\n0\r\n\r\n" + INNER, id="space after chunk size"),
        pytest.param(POST + CHUNKED + b"\r\n0\r\nContent-Length: 33\r\n\r\n" + INNER, id="length as a trailer"),
        pytest.param(POST + CHUNKED + b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" + INNER, id="coding as a trailer"),
        pytest.param(b"POST /score HTTP/1.0\r\nHost: t\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + INNER, id="chunks in 1.0"),
        pytest.param(b"POST /score HTTP/1.1\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + INNER, id="no host"),
        pytest.param(POST + b"Authorization: a\r\nAuthorization: b\r\n\r\n" + INNER, id="two credentials"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n" + INNER, id="absolute form and two hosts"),
        pytest.param(b"GET \\score HTTP/1.1\r\nHost: t\r\n\r\n" + INNER, id="backslash for a path"),
    ],
)
def test_no_byte_of_an_ambiguous_request_reaches_a_worker(short_path: Path, sent: bytes) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with wired(short_path) as side:
            answer = await side.converse(sent + LAST)
            return answer, bytes(side.worker.received)

    answer, received = asyncio.run(main())
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")), answer
    assert answer.count(b"\r\n\r\n") == 1
    assert received == b""


def test_a_prefix_in_a_body_stays_in_the_body(short_path: Path) -> None:
    """A length of 0 and then bytes are a second request, which is answered as one; bytes within a length are not."""

    async def main() -> tuple[bytes, bytes]:
        async with wired(short_path) as side:
            body = b"0\r\n\r\n" + INNER
            sent = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
            answer = await side.converse(sent + POST + b"Content-Length: 0\r\n\r\n" + LAST)
            return answer, bytes(side.worker.received)

    answer, received = asyncio.run(main())
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert received.count(b"content-length: ") == 2
    assert received.count(b"HTTP/1.1\r\n") == 4  # three requests, and the one that is a body


def test_chunks_extensions_and_trailers_arrive_as_a_plain_length(short_path: Path) -> None:
    async def main() -> bytes:
        async with wired(short_path) as side:
            chunks = b'5;a="b;c"\r\nhello\r\n1\r\n!\r\n0\r\nHost: evil\r\nX-Trailer: t\r\n\r\n'
            answer = await side.converse(POST + CHUNKED + b"Trailer: X-Trailer\r\n\r\n" + chunks + LAST)
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
            return bytes(side.worker.received)

    received = asyncio.run(main())
    assert received.startswith(b"POST /score HTTP/1.1\r\nhost: t\r\ncontent-length: 6\r\n\r\nhello!GET /last ")
    for absent in (b"chunked", b"evil", b"trailer", b'a="b'):
        assert absent not in received.lower()


def test_headers_that_a_connection_names_stay_on_it_and_so_does_a_forged_mark(short_path: Path) -> None:
    async def main() -> bytes:
        async with wired(short_path) as side:
            head = b"Connection: close, X-Secret , host\r\nX-Secret: 1\r\nX-Kept: 2\r\nX-Mlops-Mirrored: true\r\n"
            answer = await side.converse(POST + head + b"Content-Length: 0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            return bytes(side.worker.received)

    assert asyncio.run(main()) == b"POST /score HTTP/1.1\r\nhost: t\r\nx-kept: 2\r\ncontent-length: 0\r\n\r\n"


def test_absolute_form_is_a_path_for_the_worker(short_path: Path) -> None:
    async def main() -> bytes:
        async with wired(short_path) as side:
            target = b"POST http://other:1/score?a=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
            assert (await side.converse(target + b"Content-Length: 0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            return bytes(side.worker.received)

    assert asyncio.run(main()).startswith(b"POST /score?a=1 HTTP/1.1\r\nhost: t\r\n")


def test_http_1_0_and_pipelined_requests_become_one_request_each(short_path: Path) -> None:
    async def main() -> bytes:
        async with wired(short_path) as side:
            old = b"POST /score HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab"
            answer = await side.converse(old + old + POST + b"Content-Length: 1\r\n\r\nc" + LAST)
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4
            return bytes(side.worker.received)

    received = asyncio.run(main())
    assert received.count(b"host: localhost\r\n") == 2
    assert received.count(b"\r\n\r\nab") == 2
    assert received.count(b" HTTP/1.1\r\n") == 4


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", id="a second answer"),
        pytest.param(OK + b"junk", id="junk after the answer"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="both"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", id="two lengths"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", id="upgrade"),
        pytest.param(b"NONSENSE\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", id="enormous head"),
    ],
)
def test_a_worker_that_answers_amiss_cannot_answer_the_next_client(short_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        while head := await read_head(reader, worker):
            await read_body(reader, head, worker)
            writer.write(answer if b"first" in head else OK)
            await writer.drain()

    async def main() -> tuple[bytes, bytes]:
        async with wired(short_path, serve) as side:
            first = await side.converse(b"GET /first HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            await until(lambda: side.upstream.in_flight == 0)
            return first, await side.converse(LAST)

    first, second = asyncio.run(main())
    assert first.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 502 "))
    assert b"evil" not in first
    assert len(first) < 1000
    assert second.startswith(b"HTTP/1.1 200 OK\r\n")
    assert second.endswith(b"\r\n\r\nok")
