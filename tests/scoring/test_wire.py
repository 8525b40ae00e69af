"""Bounds of a listener: time, connections, memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.server import Listener, ServerConnection

GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"


def echo(request: Request, client: ServerConnection) -> None:
    client.send(200, [], bytes(request.body))


def never(request: Request, client: ServerConnection) -> None:
    """Leaves every client waiting."""


@contextlib.asynccontextmanager
async def listening(limits: Limits, *, answers: bool = True) -> AsyncIterator[tuple[Listener, int]]:
    listener = Listener(echo if answers else never, limits)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    try:
        yield listener, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await listener.drain(0)


async def converse(port: int, data: bytes) -> bytes:
    """Send, and read until the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(claim: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110 - the listener has no event for it, and needs none
            await asyncio.sleep(0)


def test_a_request_that_does_not_arrive_in_time_gets_408() -> None:
    async def main() -> None:
        async with listening(Limits(head_seconds=0.1, body_seconds=0.1)) as (_, port):
            for partial in (GET[:-4], b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n12"):
                assert (await converse(port, partial)).startswith(b"HTTP/1.1 408 ")

    asyncio.run(main())


def test_an_idle_connection_is_closed_but_not_one_that_waits_for_its_answer() -> None:
    async def main() -> None:
        async with listening(Limits(head_seconds=0.1, idle_seconds=0.1)) as (_, port):
            assert await converse(port, b"") == b""
            assert (await converse(port, GET)).startswith(b"HTTP/1.1 200 OK\r\n")
        async with listening(Limits(head_seconds=0.1, idle_seconds=0.1), answers=False) as (listener, port):
            waiting = asyncio.create_task(converse(port, GET))
            await asyncio.wait([waiting], timeout=2.5)
            assert not waiting.done()
            await listener.drain(0)
            assert await waiting == b""

    asyncio.run(main())


def test_connections_beyond_the_bound_are_closed() -> None:
    async def main() -> None:
        async with listening(Limits(connections=2), answers=False) as (listener, port):
            held = [asyncio.create_task(converse(port, GET)) for _ in range(2)]
            await until(lambda: len(listener.connections) == 2)
            assert await converse(port, GET) == b""
            await listener.drain(0)
            await asyncio.gather(*held)

    asyncio.run(main())


def test_bodies_are_bounded_all_together_and_given_back() -> None:
    body = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 600\r\n\r\n" + b"x" * 600

    async def main() -> None:
        async with listening(Limits(buffered_bytes=1000), answers=False) as (listener, port):
            held = asyncio.create_task(converse(port, body))
            await until(lambda: listener.buffered.size == 600)
            assert (await converse(port, body)).startswith(b"HTTP/1.1 503 ")
            await listener.drain(0)
            await held
            assert listener.buffered.size == 0
        async with listening(Limits(buffered_bytes=3000, idle_seconds=0.1)) as (listener, port):
            assert (await converse(port, body * 5)).count(b"HTTP/1.1 200 OK\r\n") == 5
            assert listener.buffered.size == 0

    asyncio.run(main())
