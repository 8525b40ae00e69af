"""Bodies that are passed on as they come: bounded memory, no place for slow clients, nothing repeated or mixed up."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from pathlib import Path

import pytest
from tests.scoring.rig import Supervised, ask, exchange, make_code, make_deployment
from tests.scoring.test_gateway import resident
from tests.scoring.wired import OK, RawWorker, Wired, narrow, read_body, read_head, until, wired

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.gateway.backend import MAX_STREAMS
from mlops_scoring.wire.limits import Limits

MIB = 1024 * 1024
SMALL = b"POST /small HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"


def post(length: int | None, *, path: bytes = b"/large", more: bytes = b"") -> bytes:
    size = b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    return b"POST " + path + b" HTTP/1.1\r\nHost: t\r\n" + more + size + b"\r\n"


def own_memory() -> int:
    return resident(os.getpid())


async def count_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
    """Count bodies instead of keeping them."""
    while head := await read_head(reader, worker):
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        left = int(fields[b"content-length"])
        while left:
            left -= len(await reader.read(min(left, 65536)))
        writer.write(OK)
        await writer.drain()


def test_a_large_body_passes_with_flat_memory(short_path: Path) -> None:
    """200 MB, by a worker that reads it all; the gateway holds a few pieces of it."""
    size = 200 * MIB

    async def main() -> None:
        async with wired(short_path, count_only, limits=Limits(body_bytes=size)) as side:
            before, most = own_memory(), 0
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            writer.write(post(size))
            piece = bytes(MIB)
            for number in range(200):
                writer.write(piece)
                await writer.drain()
                if number % 10 == 0:
                    most = max(most, own_memory())
                    assert side.listener.buffered.size < 4 * MIB
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert most - before < 24 * MIB
            assert side.listener.buffered.size == 0
            assert side.backend.tally.streamed == 1
            writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("chunked", [False, True])
def test_what_arrives_is_what_was_sent(short_path: Path, *, chunked: bool) -> None:
    """Pieces of odd sizes, the last one kept back for its place; then the connections are used again."""
    body = b"".join(b"%07d," % number for number in range(400_000))

    async def main() -> None:
        async with wired(short_path) as side:
            sent = [post(None if chunked else len(body))]
            for place in range(0, len(body), 77_777):
                piece = body[place : place + 77_777]
                sent.append(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            answer = await side.converse(*sent, b"0\r\n\r\n" if chunked else b"", SMALL)
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
            received = bytes(side.worker.received)
            assert body in received
            assert received.count(b" HTTP/1.1\r\n") == 2
            assert side.worker.connections == 1

    asyncio.run(main())


def test_a_connection_goes_on_after_an_upload_however_its_end_came(short_path: Path) -> None:
    """The end may come with the very bytes for which the client was to wait; it is heard of afterwards all the same."""
    sent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        narrow(writer.get_extra_info("socket"))
        while head := await read_head(reader, worker):
            if b"/large" in head:
                await sent.wait()
            await read_body(reader, head, worker)
            writer.write(OK)
            await writer.drain()

    async def main() -> None:
        async with wired(short_path, serve) as side:
            for size in range(MIB + MIB // 8, 3 * MIB, MIB // 8):
                sent.clear()
                reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
                writer.write(post(size) + bytes(size))
                await until(lambda: side.upstream.streams + side.upstream.in_flight == 1)
                await asyncio.wait([asyncio.create_task(writer.drain())], timeout=0.05)
                sent.set()
                async with asyncio.timeout(60):
                    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
                    writer.write(b"GET /small HTTP/1.1\r\nHost: t\r\n\r\n")
                    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
                writer.close()
                await until(lambda: not side.listener.connections)

    asyncio.run(main())


def test_tiny_chunks_do_not_grow_in_memory(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path) as side:
            answer = await side.converse(
                post(None), b"%x\r\n%b\r\n" % (2 * MIB, bytes(2 * MIB)), b"1\r\nx\r\n" * 50_000, b"0\r\n\r\n", SMALL
            )
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
            assert side.worker.received.count(b"x") >= 50_000

    asyncio.run(main())


def test_a_worker_that_does_not_read_stops_its_client(short_path: Path) -> None:
    reading = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        narrow(writer.get_extra_info("socket"))
        head = await read_head(reader, worker)
        await reading.wait()
        await read_body(reader, head, worker)
        writer.write(OK)
        await writer.drain()

    async def main() -> None:
        async with wired(short_path, serve, limits=Limits(rate_seconds=5, body_seconds=6)) as side:
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            narrow(writer.get_extra_info("socket"))
            writer.write(post(24 * MIB) + bytes(24 * MIB - 1))
            await until(lambda: side.worker.received)
            held: list[int] = []
            # The client is not to blame for the time in which nobody reads, however strict the limits are.
            answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
            for _ in range(3):
                await asyncio.wait([answer], timeout=2.2)
                held.append(side.listener.buffered.size)
            assert max(held) < 4 * MIB
            assert len(set(held)) == 1
            reading.set()
            await writer.drain()
            await asyncio.wait([answer], timeout=1.1)
            writer.write(b"!")
            assert (await answer).startswith(b"HTTP/1.1 200 ")
            writer.close()

    asyncio.run(main())


async def sending(side: Wired, rest: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has sent all of a large body but the last so many bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
    writer.write(post(2 * MIB) + bytes(2 * MIB - rest))
    return reader, writer


def test_slow_uploads_hold_no_place_and_only_so_many_are_let_through(short_path: Path) -> None:
    """One place, and as many uploads as a worker takes: others are served meanwhile, and further uploads wait."""
    settings = RequestSettings(20000, 1, 200)

    async def main() -> None:
        async with wired(short_path, settings=settings) as side:
            slow = [await sending(side, 1) for _ in range(MAX_STREAMS)]
            await until(lambda: side.upstream.streams == MAX_STREAMS)
            assert side.upstream.in_flight == 0
            assert (await side.converse(SMALL)).startswith(b"HTTP/1.1 200 ")
            reader, writer = await sending(side, 0)
            refused = await reader.readuntil(b"\r\n\r\n")
            assert refused.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: 1\r\n" in refused
            writer.close()
            for one_reader, one_writer in slow:
                one_writer.write(b"!")
                assert (await one_reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                one_writer.close()
            await until(lambda: side.upstream.streams == side.upstream.in_flight == 0)

    asyncio.run(main())


def test_the_end_of_an_upload_waits_for_a_place(short_path: Path) -> None:
    """One place, taken: the worker has all of the body but its end, and gets that when the place is free."""
    busy, done = asyncio.Event(), asyncio.Event()
    whole: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        while head := await read_head(reader, worker):
            await read_body(reader, head, worker)
            whole.append(head.split()[1])
            if b"/small" in head:
                busy.set()
                await done.wait()
            writer.write(OK)
            await writer.drain()

    async def main() -> None:
        async with wired(short_path, serve, settings=RequestSettings(20000, 1, 20000)) as side:
            small = asyncio.create_task(side.converse(SMALL))
            await busy.wait()
            reader, writer = await sending(side, 0)
            await until(lambda: side.backend.figures().waiting == 1)
            assert (side.upstream.streams, side.upstream.in_flight) == (1, 1)
            assert whole == [b"/small"]
            done.set()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert (await small).startswith(b"HTTP/1.1 200 ")
            assert whole == [b"/small", b"/large"]
            writer.close()

    asyncio.run(main())


def test_an_upload_whose_place_never_comes_gets_429_and_the_worker_nothing_whole(short_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        head = await read_head(reader, worker)
        await read_body(reader, head, worker)
        await reader.read()  # never answers
        del writer

    async def main() -> None:
        async with wired(short_path, serve, settings=RequestSettings(20000, 1, 300)) as side:
            small = asyncio.create_task(side.converse(SMALL))
            await until(lambda: side.upstream.in_flight == 1)
            reader, writer = await sending(side, 0)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 429 ")
            await until(lambda: side.upstream.streams == 0)
            writer.close()
            small.cancel()
            await asyncio.wait([small])

    asyncio.run(main())


@pytest.mark.parametrize("how", ["leaves", "breaks off", "is too large", "is malformed"])
def test_an_upload_that_ends_badly_is_cut_off_at_the_worker_too(short_path: Path, how: str) -> None:
    ended: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        del writer
        head = await read_head(reader, worker)
        try:
            await read_body(reader, head, worker)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            ended.append("cut off")
        else:
            ended.append("whole")

    async def main() -> None:
        async with wired(short_path, serve, limits=Limits(body_bytes=3 * MIB)) as side:
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            chunk = b"%x\r\n%b\r\n" % (2 * MIB, bytes(2 * MIB))
            writer.write(post(None) + chunk)
            await until(lambda: side.upstream.streams == 1)
            match how:
                case "leaves":
                    writer.close()
                case "breaks off":
                    writer.write_eof()
                case "is too large":
                    writer.write(chunk)
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
                case _:
                    writer.write(b"zz\r\n")
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
            await until(lambda: ended)
            assert ended == ["cut off"]
            await until(lambda: side.upstream.streams == side.upstream.in_flight == 0)
            await until(lambda: side.listener.buffered.size == 0)
            assert side.backend.tally.requests == 1
            writer.close()

    asyncio.run(main())


def test_an_answer_before_the_end_of_the_body_is_passed_on_and_ends_the_connection(short_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        await read_head(reader, worker)
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()
        await reader.read()

    async def main() -> None:
        async with wired(short_path, serve) as side:
            reader, writer = await sending(side, 1)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"connection: close\r\n" in head
            assert await reader.read() == b"no"
            with contextlib.suppress(ConnectionError):
                writer.write(b"!")
                await writer.drain()
            writer.close()
            await until(lambda: side.upstream.streams == side.upstream.in_flight == 0)

    asyncio.run(main())


def test_a_worker_that_dies_with_half_a_body_is_a_clear_502(short_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        await read_head(reader, worker)
        await reader.readexactly(MIB)
        writer.transport.abort()

    async def main() -> None:
        async with wired(short_path, serve) as side:
            reader, writer = await sending(side, 1)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"died" in await reader.read()
            assert side.worker.connections == 1
            writer.close()

    asyncio.run(main())


def test_an_upload_goes_to_another_worker_while_nothing_was_sent(short_path: Path) -> None:
    """The first worker is gone, and nobody had noticed."""

    async def main() -> None:
        async with wired(short_path) as side:
            gone = side.backend.open("gone", str(short_path / "gone.sock"))
            answers = [await side.converse(post(2 * MIB, more=b"Connection: close\r\n"), bytes(2 * MIB)) for _ in "12"]
            assert [answer.startswith(b"HTTP/1.1 200 ") for answer in answers] == [True, True]
            assert gone.accepting is False

    asyncio.run(main())


def test_a_slow_reader_of_a_large_answer_costs_the_gateway_little(short_path: Path) -> None:
    size = 200 * MIB

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        await read_head(reader, worker)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(200):
            writer.write(bytes(MIB))
            await writer.drain()

    async def main() -> None:
        async with wired(short_path, serve) as side:
            before = own_memory()
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            writer.write(b"GET /large HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            total = most = 0
            while piece := await reader.read(MIB):
                total += len(piece)
                most = max(most, own_memory())
            assert total == size
            assert most - before < 24 * MIB
            writer.close()

    asyncio.run(main())


def test_a_large_body_reaches_a_script(supervised: Supervised, tmp_path: Path) -> None:
    """The whole way, with a real worker; the answer shows that all of it came."""
    source = "import hashlib\ndef init(): pass\ndef run(data): return hashlib.sha256(data.encode()).hexdigest()\n"
    deployment = make_deployment(make_code(tmp_path / "c", source))
    document = supervised.document({"blue-1": deployment}, {"blue-1": 100})
    supervised.start({**document, "limits": {"body_bytes": 80 * MIB}})
    supervised.await_state("blue-1", "Healthy")
    body = json.dumps({"text": "é" * (16 * MIB)}, ensure_ascii=False).encode()
    expected = hashlib.sha256(body).hexdigest()
    assert ask(supervised.port, body=body).json == expected
    assert exchange(supervised.port, post(80 * MIB + 1, path=b"/score")).startswith(b"HTTP/1.1 413 ")
    assert supervised.report("blue-1")["requests"] == 1
