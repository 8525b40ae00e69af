"""A worker asked directly, without a gateway that would keep bad clients away: it answers, or ends the connection."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scoring import rig

SOURCE = """
calls = []
def init(): pass
def run(data, request_headers):
    if data == "large":
        return "x" * 30_000_000
    calls.append(data[:100])
    return calls[-50:]
"""
HEAD = b"POST /score HTTP/1.1\r\nHost: t\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HEALTH = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
SMUGGLED = HEAD + b"Content-Length: 8\r\n\r\nsmuggled"
SPARE = 48 << 20
"""Bytes that a worker's memory may grow by under a storm; what it would take to hold the storm is many times more."""


class Asked:
    """A worker on a port of loopback.

    Attributes:
        port: Where clients ask.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = rig.free_port()
        deployment = rig.make_deployment(rig.make_code(folder / "code", SOURCE))
        place = ("--listen-fd",)
        with socket.create_server(("127.0.0.1", self.port), backlog=2048) as listener:
            listener.set_inheritable(True)
            self.worker, announced = launch_on(folder, deployment, *place, str(listener.fileno()), *options)
        assert announced == {"event": "ready"}, self.worker.log()

    def descriptors(self) -> int:
        """Open files."""
        return len(list(Path(f"/proc/{self.worker.process.pid}/fd").iterdir()))

    def memory(self) -> int:
        """Bytes in memory."""
        pages = int(Path(f"/proc/{self.worker.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def healthy(self) -> bool:
        """Whether a client is answered."""
        with contextlib.suppress(ConnectionError):  # refused, while there are too many
            received = rig.exchange(self.port, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return received.startswith(b"HTTP/1.1 200")
        return False


def launch_on(
    folder: Path, deployment: dict[str, object], flag: str, number: str, *options: str
) -> tuple[rig.Worker, dict[str, str]]:
    return rig.launch_worker(folder, deployment, *options, place=(flag, number), inherited=(int(number),))


@pytest.fixture(scope="module", params=["direct", "behind a gateway"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """One worker for the whole module, with the limits for either place."""
    made = Asked(tmp_path_factory.mktemp("w"), *(("--direct",) if request.param == "direct" else ()))
    yield made
    made.worker.kill()


@contextlib.contextmanager
def flat(asked: Asked) -> Iterator[None]:
    """After the block the worker has the files and about the memory that it had before, and answers."""
    assert asked.healthy()
    files, memory = asked.descriptors(), asked.memory()
    yield
    rig.await_truth(asked.healthy, "a client is answered")
    rig.await_truth(lambda: asked.descriptors() <= files, "connections are closed")
    rig.await_truth(lambda: asked.memory() < memory + SPARE, f"memory is given back: {memory}")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(HEAD + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED, 400, id="both lengths"),
        pytest.param(HEAD + b"Content-Length: 0\r\nContent-Length: 70\r\n\r\n" + SMUGGLED, 400, id="two lengths"),
        pytest.param(HEAD + b"Content-Length: 0, 70\r\n\r\n" + SMUGGLED, 400, id="list of lengths"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", 400, id="negative length"),
        pytest.param(HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 400, id="overflowing length"),
        pytest.param(HEAD + b"Content-Length: 999999999999\r\n\r\n", 413, id="enormous length"),
        pytest.param(HEAD + CHUNKED + b"\r\nzz\r\n", 400, id="bad chunk"),
        pytest.param(HEAD + CHUNKED + b"\r\nffffffffffffffffff\r\n", 400, id="chunk overflows"),
        pytest.param(HEAD + CHUNKED + b"\r\n1\r\n{}\r\n0\r\n\r\n", 400, id="chunk longer than said"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, id="other coding"),
        pytest.param(HEAD + b"Host: u\r\n\r\n", 400, id="two hosts"),
        pytest.param(HEAD + b"Authorization: a\r\nAuthorization: b\r\n\r\n", 400, id="two authorizations"),
        pytest.param(HEAD + b"X: a\r\n b\r\n\r\n", 400, id="folded header"),
        pytest.param(HEAD + b"X: a\x00b\r\n\r\n", 400, id="NUL"),
        pytest.param(HEAD + b"X: " + b"b" * 300_000, 431, id="endless header"),
        pytest.param(HEAD + b"".join(b"X-%d: b\r\n" % n for n in range(500)) + b"\r\n", 431, id="many headers"),
        pytest.param(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414, id="long target"),
        pytest.param(b"GET /" + b"a" * 40_000, 414, id="long target without end"),
        pytest.param(b"CONNECT t:1 HTTP/1.1\r\nHost: t\r\n\r\n", 501, id="proxy"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
    ],
)
def test_malformed_requests_are_refused_with_a_reason(asked: Asked, sent: bytes, status: int) -> None:
    with flat(asked):
        received = rig.exchange(asked.port, sent)
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nconnection: close\r\n" in received
        assert b'{"message": "' in received
        assert received.count(b"\r\n\r\n") == 1


def test_nothing_was_smuggled(asked: Asked) -> None:
    assert "smuggled" not in rig.ask(asked.port, body="last").json


def test_a_request_may_come_byte_by_byte(asked: Asked) -> None:
    request = HEAD + b"Connection: close\r\n" + CHUNKED + b"\r\n2\r\nby\r\n3;x=y\r\ntes\r\n0\r\nT: 1\r\n\r\n"
    with flat(asked):
        received = rig.exchange(asked.port, *(request[place : place + 1] for place in range(len(request))))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"bytes"' in received


def reset(connection: socket.socket) -> None:
    """Close with a reset, as a client does that was killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_that_vanish_leave_nothing(asked: Asked) -> None:
    """In the head, in the body, before the answer, within the answer; by a close and by a reset."""
    whole = HEAD + b"Content-Length: 5\r\n\r\nlarge"
    beginnings = [HEAD[:10], HEAD, HEAD + b"Content-Length: 1000\r\n\r\n{", HEAD + CHUNKED + b"\r\nff\r\n{", HEALTH]
    with flat(asked):
        for end in (reset, socket.socket.close):
            for number in range(200):
                connection = rig.connect(asked.port)
                connection.sendall(beginnings[number % len(beginnings)])
                end(connection)
            for _ in range(3):
                connection = rig.connect(asked.port)
                connection.sendall(whole)
                connection.recv(1000)
                end(connection)


def test_half_sent_requests_keep_nobody_waiting(asked: Asked) -> None:
    with flat(asked):
        slow = [rig.connect(asked.port) for _ in range(300)]
        for connection in slow:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert rig.ask(asked.port, body="quick").status == 200
        for connection in slow:
            connection.close()


def test_pipelined_requests_that_nobody_reads_the_answers_of_are_not_collected(asked: Asked) -> None:
    """60 MB of them; the worker stops reading."""
    flood = HEALTH * 20_000
    with flat(asked), rig.connect(asked.port) as connection:
        connection.settimeout(0.3)
        memory, sent = asked.memory(), 0
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                sent += connection.send(flood)
        assert sent < len(flood) * 100
        assert asked.memory() < memory + SPARE


def test_pipelined_requests_are_answered_in_order(asked: Asked) -> None:
    bodies = [f"number {place}".encode() for place in range(200)]
    requests = [HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies]
    requests.append(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    received = rig.exchange(asked.port, b"".join(requests))
    assert received.count(b"HTTP/1.1 200 ") == 201
    places = [received.rfind(b'"%s"]' % body) for body in bodies]
    assert places == sorted(places)
    assert min(places) > 0


def test_bodies_without_end_are_cut_off(asked: Asked) -> None:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with flat(asked):
        for _ in range(3):
            with rig.connect(asked.port) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(HEAD + CHUNKED + b"\r\n")
                for _ in range(80):
                    connection.sendall(chunk)
                connection.shutdown(socket.SHUT_WR)
                received = connection.recv(100)
                # Behind a gateway, which has cut it off by then, more is taken; but never the end of the connection.
                assert received == b"" or received.startswith(b"HTTP/1.1 413 ")


def test_answers_that_nobody_reads_are_given_up_with_the_connection(asked: Asked) -> None:
    """Eight answers of 30 MB; the worker holds them only while their clients are there."""
    with flat(asked):
        clients = [rig.connect(asked.port) for _ in range(8)]
        for client in clients:
            client.sendall(HEAD + b"Content-Length: 5\r\n\r\nlarge")
            assert client.recv(10)
        assert asked.healthy()
        for client in clients:
            client.close()


def test_garbage_never_stops_a_worker(asked: Asked) -> None:
    generator = random.Random(4)
    good = HEAD + b"Content-Length: 2\r\n\r\n{}"
    with flat(asked):
        for number in range(300):
            if number % 2:
                sent = generator.randbytes(generator.randrange(1, 2000))
            else:
                changed = bytearray(good)
                changed[generator.randrange(len(changed))] = generator.randrange(256)
                sent = bytes(changed)
            received = rig.exchange(asked.port, sent, half_close=True)
            assert received == b"" or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.1 200")), sent
            assert not received.startswith(b"HTTP/1.1 500"), sent


def test_connections_beyond_the_limit_do_not_touch_the_others(asked: Asked) -> None:
    """2,048 are held; those that were there are answered while more knock."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with flat(asked), contextlib.ExitStack() as stack:
            first = stack.enter_context(rig.connect(asked.port))
            for number in range(2101):
                if number % 300 == 0:  # a connection without a request is not kept for long
                    first.sendall(HEALTH)
                    assert first.recv(1000).startswith(b"HTTP/1.1 200 ")
                stack.enter_context(rig.connect(asked.port))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
