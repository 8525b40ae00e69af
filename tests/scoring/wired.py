"""The gateway in this process, between real sockets, with workers that a test writes byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.gateway.backend import Backend
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.pool import Upstream
from mlops_scoring.wire.server import Listener

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SETTINGS = RequestSettings(20000, 8, 20000)


@dataclass
class RawWorker:
    """A UNIX socket that records what it gets.

    Attributes:
        received: All bytes, of all connections, in order.
        connections: How many there were.
    """

    path: Path
    received: bytearray = field(default_factory=bytearray)
    connections: int = 0


async def answer_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
    """Answer whatever comes, once for each request that ends as the gateway writes them: by a length or by chunks."""
    while head := await read_head(reader, worker):
        body = await read_body(reader, head, worker)
        del body
        writer.write(OK)
        await writer.drain()


async def read_head(reader: asyncio.StreamReader, worker: RawWorker) -> bytes:
    """The next request's head; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as end:
        worker.received += getattr(end, "partial", b"")
        return b""
    worker.received += head
    return head


async def read_body(reader: asyncio.StreamReader, head: bytes, worker: RawWorker) -> int:
    """Read the body that a head announces; its length."""
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    if b"transfer-encoding" not in fields:
        length = int(fields.get(b"content-length", b"0"))
        worker.received += await reader.readexactly(length)
        return length
    total = 0
    while size := int(await reader.readline(), 16):
        total += size
        worker.received += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return total


@dataclass
class Wired:
    """A gateway before raw workers."""

    port: int
    gateway: Gateway
    listener: Listener
    backend: Backend
    worker: RawWorker
    upstream: Upstream

    async def converse(self, *pieces: bytes, half_close: bool = False) -> bytes:
        """Send, and read until the other side ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = b""
        try:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                if half_close:
                    writer.write_eof()
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(65536):
                    received += chunk
        finally:
            writer.close()
        return received


@contextlib.asynccontextmanager
async def wired(
    folder: Path,
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter, RawWorker], Awaitable[None]] = answer_each,
    *,
    limits: Limits | None = None,
    settings: RequestSettings = SETTINGS,
) -> AsyncIterator[Wired]:
    """Run a gateway and one worker, `blue-1`, while the block runs."""
    worker = RawWorker(folder / "w.sock")
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer, worker)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    loop = asyncio.get_running_loop()
    worker_server = await asyncio.start_unix_server(accept, worker.path)
    gateway = Gateway()
    listener = Listener(gateway.handle, limits or Limits(), admit=gateway.admit, streaming=True)
    backend = gateway.add("blue-1", settings)
    upstream = backend.open("blue-1", str(worker.path))
    gateway.switch({"blue-1": 100}, {"blue": "blue-1"})
    server = await loop.create_server(listener, "127.0.0.1", 0)
    try:
        yield Wired(server.sockets[0].getsockname()[1], gateway, listener, backend, worker, upstream)
    finally:
        server.close()
        await listener.drain(0)
        upstream.close()
        worker_server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(claim: Callable[[], object], what: str = "it holds") -> None:
    """Let the loop turn until something holds that announces itself to nobody."""
    async with asyncio.timeout(60):
        while not claim():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.002)
    assert claim(), what


def narrow(connection: socket.socket) -> None:
    """Let the kernel buffer as little as it can, so that back-pressure is felt early."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
