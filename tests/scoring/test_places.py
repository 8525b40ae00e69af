"""Who holds a worker's place, and for how long: clients that leave or read slowly, workers that fall silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.scoring.wired import OK, RawWorker, Wired, narrow, read_body, read_head, until, wired

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.wire.pool import UNREAD_BYTES

MIB = 1024 * 1024
LARGE = 24 * MIB
"""More than the sockets on the way hold."""

ONE_PLACE = RequestSettings(request_timeout_ms=2000, max_concurrent_requests_per_instance=1, max_queue_wait_ms=20000)
ASK = b"GET /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


class Slow:
    """A worker that answers `/large` with a length and many bytes, and `/hang` when it is let go."""

    def __init__(self, late: bytes = OK) -> None:
        self.late = late
        self.go = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        while head := await read_head(reader, worker):
            await read_body(reader, head, worker)
            if head.startswith(b"GET /large "):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE + bytes(LARGE))
            elif head.startswith(b"GET /hang "):
                await self.go.wait()
                writer.write(self.late)
            else:
                writer.write(OK)
            await writer.drain()


@contextlib.asynccontextmanager
async def asking(side: Wired, path: bytes) -> AsyncIterator[socket.socket]:
    """A client that has asked and does not read."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        narrow(client)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", side.port))
        await loop.sock_sendall(client, b"GET " + path + b" HTTP/1.1\r\nHost: t\r\n\r\n")
        yield client


async def read_all(client: socket.socket, size: int) -> int:
    """Read so many bytes, or to the end."""
    loop, received = asyncio.get_running_loop(), 0
    async with asyncio.timeout(60):
        while received < size and (piece := await loop.sock_recv(client, MIB)):
            received += len(piece)
    return received


@pytest.mark.parametrize("late", [OK, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"])
def test_a_run_that_goes_on_without_its_client_is_overdue_until_it_returns(short_path: Path, late: bytes) -> None:
    """An answer that comes after all, whole or as a stream without an end, gives the place back."""

    async def main() -> None:
        slow = Slow(late)
        quick = RequestSettings(1000, 1, 20000)
        async with wired(short_path, slow, settings=quick) as side:
            async with asking(side, b"/hang"):
                await until(lambda: b"/hang" in side.worker.received)
            await until(lambda: side.upstream.stuck, "nobody waits, and the only place is still taken")
            assert side.backend.tally.requests == 1
            slow.go.set()
            await until(lambda: not side.upstream.overdue and not side.upstream.in_flight)
            assert side.backend.tally.requests == 1
            assert (await side.converse(ASK)).endswith(b"ok")

    asyncio.run(main())


def test_a_run_that_returns_in_time_after_its_client_has_left_is_never_overdue(short_path: Path) -> None:
    async def main() -> None:
        loop, slow = asyncio.get_running_loop(), Slow()
        async with wired(short_path, slow, settings=ONE_PLACE) as side:
            begun = loop.time()
            async with asking(side, b"/hang"):
                await until(lambda: b"/hang" in side.worker.received)
            await until(lambda: side.backend.tally.requests == 1, "the client's going was noticed")
            slow.go.set()
            await until(lambda: not side.upstream.in_flight)
            await until(lambda: loop.time() > begun + 1.5 * ONE_PLACE.request_timeout_ms / 1000, "its time has passed")
            assert not side.upstream.overdue

    asyncio.run(main())


def test_a_slow_reader_of_a_whole_answer_holds_no_place_and_is_not_timed_out(short_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with wired(short_path, Slow(), settings=ONE_PLACE) as side, asking(side, b"/large") as client:
            await until(lambda: side.upstream.unread == LARGE, "the worker has answered")
            begun = loop.time()
            assert side.upstream.in_flight == 0
            assert (await side.converse(ASK)).endswith(b"ok")
            await until(lambda: loop.time() > begun + 2 * ONE_PLACE.request_timeout_ms / 1000, "time has passed")
            assert await read_all(client, LARGE) >= LARGE
            await until(lambda: side.upstream.unread == 0)
            assert (side.backend.tally.timed_out, side.backend.tally.errors) == (0, 0)

    asyncio.run(main())


def test_a_worker_is_not_drained_while_an_answer_of_it_is_read(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path, Slow(), settings=ONE_PLACE) as side, asking(side, b"/large") as client:
            await until(lambda: side.upstream.unread == LARGE, "the worker has answered")
            draining = asyncio.create_task(side.upstream.drain())
            await until(lambda: not side.upstream.accepting)
            assert not draining.done()
            assert await read_all(client, LARGE) >= LARGE
            await draining

    asyncio.run(main())


def test_slow_readers_cannot_fill_a_workers_memory(short_path: Path) -> None:
    """Where the worker holds enough answers, a further one keeps its place until it is read."""

    async def main() -> None:
        async with wired(short_path, Slow(), settings=ONE_PLACE) as side, asking(side, b"/large") as client:
            side.upstream.unread = UNREAD_BYTES  # as if others read as slowly
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(client, 1)
            assert (side.upstream.in_flight, side.upstream.unread) == (1, UNREAD_BYTES)
            waiting = asyncio.create_task(side.converse(ASK))
            await until(lambda: side.backend.figures().waiting == 1)
            await read_all(client, LARGE)
            assert (await waiting).endswith(b"ok")
            assert (side.upstream.in_flight, side.upstream.unread) == (0, UNREAD_BYTES)

    asyncio.run(main())


@pytest.mark.parametrize("framing", [b"content-length: 10", b"transfer-encoding: chunked"])
def test_an_answer_that_stops_coming_is_broken_off(short_path: Path, framing: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        await read_head(reader, worker)
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n2\r\nok\r\n")
        await reader.read()

    async def main() -> None:
        async with wired(short_path, serve, settings=RequestSettings(1000, 1, 20000)) as side:
            received = await side.converse(ASK)
            assert not received.endswith(b"0\r\n\r\n")
            assert (side.backend.tally.timed_out, side.backend.tally.errors) == (1, 1)
            await until(lambda: side.upstream.in_flight == side.upstream.unread == 0)

    asyncio.run(main())


def test_a_stream_may_take_longer_than_the_time_of_a_request(short_path: Path) -> None:
    """Each piece comes in time; all of them together do not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        await read_head(reader, worker)
        loop = asyncio.get_running_loop()
        end = loop.time() + 2.5 * ONE_PLACE.request_timeout_ms / 1000
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while loop.time() < end:
            writer.write(b"2\r\nok\r\n")
            await asyncio.sleep(0.1)  # the slowness is what is tested
        writer.write(b"0\r\n\r\n")

    async def main() -> None:
        async with wired(short_path, serve, settings=ONE_PLACE) as side:
            assert (await side.converse(ASK)).endswith(b"0\r\n\r\n")
            assert (side.backend.tally.timed_out, side.backend.tally.errors) == (0, 0)

    asyncio.run(main())
