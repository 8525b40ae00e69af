"""Clients that send or read drop by drop: each is ended in time, and none keeps others waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.scoring.rig import Supervised, exchange, make_deployment
from tests.scoring.wired import RawWorker, narrow, read_head, until, wired

from mlops_scoring.configuration import parse_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.pace import Pace

HEAD = b"POST /score HTTP/1.1\r\nHost: t\r\n"
STRICT = Limits(head_seconds=1, body_seconds=60, idle_seconds=60, rate_seconds=1, slowest_rate=1000)
"""A client has a second for a head, and a kilobyte a second for a body."""


@contextlib.asynccontextmanager
async def dripping(port: int, start: bytes, drop: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A client that goes on sending drops, ten a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.1)  # the drops are what is tested

    task = asyncio.create_task(drip())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.wait([task])
        writer.close()


DRIPS = {
    "a header": (b"POST /score HTTP/1.1\r\nHost: t\r\nX-A: ", b"a"),
    "headers": (b"POST /score HTTP/1.1\r\n", b"X-A: b\r\n"),
    "a target": (b"GET /", b"a"),
    "a body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"b"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nc\r\n"),
    "a chunk's extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"d"),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n"),
    "a body that is streamed": (HEAD + b"Content-Length: 2000000\r\n\r\n" + bytes(1_500_000), b"e"),
}


def test_clients_that_drip_get_408_and_the_gateway_forgets_them(short_path: Path) -> None:
    async def drip(port: int, start: bytes, drop: bytes) -> bytes:
        async with dripping(port, start, drop) as reader, asyncio.timeout(60):
            return await reader.readuntil(b"\r\n")

    async def main() -> None:
        async with wired(short_path, limits=STRICT) as side:
            lines = await asyncio.gather(*(drip(side.port, start, drop) for start, drop in DRIPS.values()))
            assert {name: line.split()[1] for name, line in zip(DRIPS, lines, strict=True)} == dict.fromkeys(
                DRIPS, b"408"
            )
            await until(lambda: not side.listener.connections)
            assert side.listener.buffered.size == 0
            assert side.upstream.in_flight == side.upstream.streams == 0
            assert side.listener.refusals == {408: len(DRIPS)}

    asyncio.run(main())


def test_a_client_that_sends_nothing_but_empty_lines_is_ended(short_path: Path) -> None:
    async def main() -> None:
        limits = Limits(head_seconds=0.5, idle_seconds=0.5)
        async with wired(short_path, limits=limits) as side, dripping(side.port, b"", b"\r\n") as reader:
            async with asyncio.timeout(60):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            await until(lambda: not side.listener.connections)

    asyncio.run(main())


def test_a_client_that_sends_fast_enough_is_left_alone(short_path: Path) -> None:
    """Three windows long, at thrice the slowest rate."""

    async def main() -> None:
        async with wired(short_path, limits=STRICT) as side:
            start = HEAD + b"Connection: close\r\nContent-Length: 9000\r\n\r\n"
            async with dripping(side.port, start, bytes(300)) as reader, asyncio.timeout(60):
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")

    asyncio.run(main())


class HaltingLoop(asyncio.SelectorEventLoop):
    """A loop of a process that can seem to have stood still."""

    halted = 0.0

    def time(self) -> float:
        return super().time() + self.halted


BEGINNINGS = {
    "nothing": (b"", HEAD + b"\r\n"),
    "a head": (HEAD + b"Content-Length: 9\r\n", b"\r\n123456789"),
    "a body": (HEAD + b"Content-Length: 9\r\n\r\n1234", b"56789"),
    "a body that is streamed": (HEAD + b"Content-Length: 1500000\r\n\r\n" + bytes(1_400_000), bytes(100_000)),
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_time_in_which_the_gateway_stood_still_is_no_clients(short_path: Path, beginning: str) -> None:
    """As after SIGSTOP, a suspended machine, or a starved one: clients may have sent all, and nobody has read it."""
    start, rest = BEGINNINGS[beginning]

    async def main(loop: HaltingLoop) -> None:
        async with wired(short_path) as side:
            reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
            with contextlib.closing(writer):
                writer.write(HEAD.replace(b"POST", b"GET") + b"\r\n" + start)
                assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
                await until(lambda: side.upstream.streams == (len(start) > 1_000_000), "what there is has been read")
                began = loop.time()
                loop.halted = 1000
                await until(lambda: loop.time() > began + 1002.5, "it has looked at every client")
                writer.write(rest)
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

    with asyncio.Runner(loop_factory=HaltingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, HaltingLoop)
        runner.run(main(loop))


def test_a_client_that_reads_drop_by_drop_is_cut_off(short_path: Path) -> None:
    size = 50_000_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        await read_head(reader, worker)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
        await writer.drain()

    async def main() -> None:
        limits = Limits(rate_seconds=1, slowest_rate=100_000)
        async with wired(short_path, serve, limits=limits) as side:
            loop = asyncio.get_running_loop()
            client = socket.socket()
            narrow(client)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", side.port))
            await loop.sock_sendall(client, b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n")
            await until(lambda: side.listener.connections)
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(60):
                    while side.listener.connections:
                        await loop.sock_recv(client, 100)
                        await asyncio.sleep(0.05)  # the slowness is what is tested
            assert not side.listener.connections
            client.close()
            await until(lambda: side.upstream.in_flight == 0)

    asyncio.run(main())


def test_hundreds_of_slow_clients_do_not_keep_a_quick_one_waiting(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path) as side:
            held = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", side.port) for _ in range(300)))
            for _, writer in held:
                writer.write(HEAD + b"Content-Length: 10\r\n\r\n1")
            await until(lambda: side.listener.buffered.size == 300)
            answer = await side.converse(b"GET /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            assert answer.endswith(b"ok")
            for _, writer in held:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for _, writer in held))
            await until(lambda: side.listener.buffered.size == 0)

    asyncio.run(main())


def test_pace_is_measured_only_while_somebody_waits() -> None:
    pace = Pace()
    assert [pace.is_slow(now, amount, 10, 5) for now, amount in ((0, 0), (4, 0), (5, 50), (9, 50), (10, 99))] == [
        False,
        False,
        False,
        False,
        True,
    ]
    pace.rest()
    assert [pace.is_slow(now, 99, 10, 5) for now in (100, 104, 105)] == [False, False, True]


def test_limits_are_the_configurations_and_change_with_it(supervised: Supervised, code: Path) -> None:
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
    request = HEAD + b"Connection: close\r\nContent-Length: 100\r\n\r\n" + b"{}".ljust(100)
    supervised.start({**document, "limits": {"body_bytes": 99}})
    supervised.await_state("blue-1", "Healthy")
    assert exchange(supervised.port, request).startswith(b"HTTP/1.1 413 ")
    assert supervised.put({**document, "limits": {"body_bytes": 100}}).status == 200
    assert exchange(supervised.port, request).startswith(b"HTTP/1.1 200 ")
    refused = supervised.put({**document, "limits": {"body_bytes": 0, "head_seconds": -1, "patience": 1}})
    assert refused.json["problems"] == [
        "limits.body_bytes: must be from 1 to 1099511627776; it is 0",
        "limits.head_seconds: must be at least 0.1; it is -1",
        "limits.patience: is not a field here; a newer version may know it",
    ]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"host": "0.0.0.0"}, "host: must be a loopback address unless there are auth"),  # noqa: S104
        ({"host": "0.0.0.0", "auth": {"mode": "key"}}, "host: must be a loopback address unless"),  # noqa: S104
        ({"host": "::", "tls": {"certificate": "/c", "key": "/k"}}, "host: must be a loopback address unless"),
        ({"tls": {"certificate": "c", "key": "/k"}}, "tls.certificate: must be an absolute path"),
        ({"tls": {"certificate": "/c"}}, "tls.key: is missing"),
        ({"auth": {"mode": "key", "keys": ["x"]}}, "auth.keys: is not a field here"),
        ({"auth": {"mode": "aml_token", "token_seconds": 0}}, "auth.token_seconds: must be from 1 to 86400"),
        ({"drain_delay": -1}, "drain_delay: must be at least 0"),
    ],
)
def test_what_would_let_strangers_in_is_refused(supervised: Supervised, more: dict[str, object], problem: str) -> None:
    document = {**supervised.document({"a": make_deployment(Path("/c"))}, {"a": 100}), **more}
    with pytest.raises(InvalidDocument, match=problem):
        parse_configuration(json.dumps(document))


def test_with_keys_and_tls_any_address_may_be_listened_on(supervised: Supervised) -> None:
    guarded = {"host": "0.0.0.0", "auth": {"mode": "key"}, "tls": {"certificate": "/c", "key": "/k"}}  # noqa: S104
    document = {**supervised.document({"a": make_deployment(Path("/c"))}, {"a": 100}), **guarded}
    assert parse_configuration(json.dumps(document)).host == "0.0.0.0"  # noqa: S104


def test_429_and_503_always_say_when_to_come_back(short_path: Path) -> None:
    async def main() -> None:
        async with wired(short_path, limits=Limits(buffered_bytes=10)) as side:
            full = await side.converse(HEAD + b"Content-Length: 11\r\n\r\n" + bytes(11))
            side.backend.suspend(side.upstream)
            no_worker = await side.converse(b"GET /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            side.gateway.switch({}, {})
            no_traffic = await side.converse(b"GET /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            for answer in (full, no_worker, no_traffic):
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert answer.count(b"\r\nretry-after: 1\r\n") == 1

    asyncio.run(main())
