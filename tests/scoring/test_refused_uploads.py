"""Refusals that reach their clients, also those that write all of a body before they read."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from tests.scoring.rig import connect
from tests.scoring.wired import OK, RawWorker, Wired, answer_each, read_head, until, wired

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.gateway.authentication import KeyGuard
from mlops_scoring.wire.limits import Limits

MIB = 1024 * 1024
POST = b"POST /score HTTP/1.1\r\nHost: t\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def upload(port: int, size: int) -> bytes:
    """Write all of a body, then read the status."""
    with connect(port) as client:
        client.sendall(POST + b"Content-Length: %d\r\n\r\n" % size)
        piece = bytes(MIB)
        for _ in range(size // MIB):
            client.sendall(piece)
        return client.recv(12)


async def crowd(side: Wired, held: contextlib.ExitStack) -> None:
    """Let the worker have as many bodies as it takes."""
    for _ in range(4):
        client = held.enter_context(connect(side.port))
        await asyncio.to_thread(client.sendall, POST + b"Content-Length: %d\r\n\r\n" % (3 * MIB) + bytes(2 * MIB))
    await until(lambda: side.upstream.streams == 4)


@pytest.mark.parametrize("status", [401, 413, 429])
def test_a_client_that_writes_before_it_reads_hears_why_it_was_refused(short_path: Path, status: int) -> None:
    async def main() -> None:
        limits = Limits(body_bytes=4 * MIB if status == 413 else 64 * MIB)
        settings = RequestSettings(20000, 8, 0)
        with contextlib.ExitStack() as held:
            async with wired(short_path, answer_each, limits=limits, settings=settings) as side:
                if status == 401:
                    side.gateway.guard = KeyGuard(["right"])
                if status == 429:
                    await crowd(side, held)
                assert await asyncio.to_thread(upload, side.port, 32 * MIB) == b"HTTP/1.1 %d" % status

    asyncio.run(main())


def test_a_refused_client_that_neither_sends_nor_leaves_is_ended(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path) as side:
            side.gateway.guard = KeyGuard(["right"])
            with connect(side.port) as client:
                client.sendall(POST + b"Content-Length: 9\r\n\r\n")
                await until(lambda: side.listener.refusals[401] == 1)
                assert side.listener.connections
                await until(lambda: not side.listener.connections)

    asyncio.run(main())


def test_a_refused_client_that_goes_on_sending_does_not_delay_the_end(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path) as side:
            side.gateway.guard = KeyGuard(["right"])
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            writer.write(POST + b"Content-Length: %d\r\n\r\n" % (32 * MIB))
            assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
            drained = asyncio.create_task(side.listener.drain(600))
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(60):
                    while not drained.done():
                        writer.write(b"a")
                        await writer.drain()
                        await asyncio.sleep(0.05)  # the dripping is what is tested
            async with asyncio.timeout(60):
                await drained
            writer.close()

    asyncio.run(main())


SMALL = Limits(stream_bytes=1000, body_bytes=3000)
FAULTS = {
    "a bad chunk": (b"5dc\r\n" + bytes(1500) + b"\r\nnone\r\n", 400),
    "too much": (b"5dc\r\n" + bytes(1500) + b"\r\n7d0\r\n" + bytes(2000), 413),
}


@pytest.mark.parametrize("before", [b"", b"GET /first HTTP/1.1\r\nHost: t\r\n\r\n"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_body_that_fails_in_the_read_that_began_to_stream_it_is_refused_at_once(
    short_path: Path, before: bytes, fault: str
) -> None:
    body, status = FAULTS[fault]

    async def main() -> None:
        async with wired(short_path, limits=SMALL) as side, asyncio.timeout(60):
            answers = await side.converse(before + POST + CHUNKED + body)
            assert answers.count(b"HTTP/1.1 200 ") == bool(before)
            assert answers.count(b"HTTP/1.1 %d " % status) == 1
            assert b"/score" not in side.worker.received
            assert side.listener.refusals == {status: 1}
            assert side.listener.buffered.size == side.upstream.streams == 0

    asyncio.run(main())


def test_the_time_of_a_body_is_its_own_whatever_was_answered_before_it(short_path: Path) -> None:
    async def main() -> None:
        limits = Limits(stream_bytes=1000, body_seconds=0.5, rate_seconds=3600)
        async with wired(short_path, limits=limits) as side, asyncio.timeout(60):
            first = b"GET /first HTTP/1.1\r\nHost: t\r\n\r\n"
            answers = await side.converse(first + POST + b"Content-Length: 9000\r\n\r\n" + bytes(1500))
            assert (answers.count(b"HTTP/1.1 200 "), answers.count(b"HTTP/1.1 408 ")) == (1, 1)
            await until(lambda: not side.listener.connections)
            assert side.listener.buffered.size == side.upstream.streams == 0

    asyncio.run(main())


def test_the_time_of_a_body_begins_when_the_client_is_told_to_continue(short_path: Path) -> None:
    go = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        while await read_head(reader, worker):
            await go.wait()
            writer.write(OK)

    async def main() -> None:
        async with wired(short_path, serve) as side, asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            first = b"GET /first HTTP/1.1\r\nHost: t\r\n\r\n"
            writer.write(first + POST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            await until(lambda: side.worker.connections)
            (connection,) = side.listener.connections
            connection.deadline = 0  # as if the first request took longer than a body may
            go.set()
            await reader.readuntil(b"100 Continue\r\n\r\n")
            assert connection.deadline > side.listener.now()
            writer.close()

    asyncio.run(main())
