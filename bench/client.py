"""A lean load client, because one that needs as long as the server would hide the difference: raw sockets and epoll.

    python bench/client.py --port 8601 --connections 16 --seconds 3 --body '{"data": [[1, 2]]}'

Prints one JSON line: total, failures, requests a second, p50 and p99 in milliseconds. A failure is an answer other than
200, or a connection that ended under a request.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time
from collections import Counter

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def _whole(answer: bytes) -> bool:
    """Whether an answer has come to its end; every measured server sends lengths."""
    head, end, body = answer.partition(_HEAD_END)
    if not end:
        return False
    lowered = head.lower()
    start = lowered.index(_LENGTH) + len(_LENGTH)
    return len(body) >= int(lowered[start:].split(b"\r\n", 1)[0])


class _Connection:
    """One keep-alive connection with one request under way."""

    __slots__ = ("answer", "began", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.began = 0.0

    def ask(self, request: bytes) -> None:
        self.answer = b""
        self.began = time.perf_counter()
        self.socket.sendall(request)


class _Load:
    """Connections, each with one request under way or idle, and what came back."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self.milliseconds: list[float] = []
        self.reasons: Counter[str] = Counter()
        self.selector = selectors.DefaultSelector()
        self.idle: list[_Connection] = []
        self._port = port
        self._request = request
        for _ in range(connections):
            self._open()

    def _open(self) -> None:
        connection = _Connection(self._port)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        self.idle.append(connection)

    def _close(self, connection: _Connection) -> None:
        self.selector.unregister(connection.socket)
        connection.socket.close()

    def ask(self) -> None:
        """Send a request on an idle connection."""
        self.idle.pop().ask(self._request)

    def receive(self, connection: _Connection) -> None:
        """Read what has come for one connection."""
        try:
            received = connection.socket.recv(65536)
        except ConnectionError:
            received = b""
        connection.answer += received
        if received and not _whole(connection.answer):
            return
        if connection in self.idle:  # closed by the server between two requests
            self.idle.remove(connection)
        else:
            self.milliseconds.append((time.perf_counter() - connection.began) * 1000)
            status = connection.answer[9:12].decode() or "connection lost"
            if status != "200":
                self.reasons[status] += 1
        if not received or b"connection: close" in connection.answer.lower():
            self._close(connection)
            self._open()
        else:
            self.idle.append(connection)

    def close(self) -> None:
        """End all connections."""
        for key in list(self.selector.get_map().values()):
            self._close(key.data)
        self.selector.close()


def load(
    port: int, request: bytes, connections: int, seconds: float, rate: float | None = None
) -> dict[str, float | dict[str, int]]:
    """Keep so many connections busy for so long.

    Args:
        port: Of loopback.
        request: The bytes of one request.
        connections: Requests under way at once, at most.
        seconds: How long.
        rate: Requests a second, evenly spread; None asks again as soon as an answer is there.
    """
    found = _Load(port, request, connections)
    begin = time.perf_counter()
    sent = 0
    while (now := time.perf_counter() - begin) < seconds:
        due = len(found.idle) if rate is None else min(len(found.idle), int(now * rate) + 1 - sent)
        for _ in range(due):
            found.ask()
            sent += 1
        wait = 1.0 if rate is None else max(0.0, (sent / rate) - (time.perf_counter() - begin))
        for key, _ in found.selector.select(wait):
            found.receive(key.data)
    took = time.perf_counter() - begin
    found.close()
    ordered = sorted(found.milliseconds) or [0.0]
    return {
        "total": len(ordered),
        "failures": sum(found.reasons.values()),
        "reasons": dict(found.reasons),
        "requests_per_second": round(len(found.milliseconds) / took, 1),
        "p50": round(ordered[len(ordered) // 2], 3),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 3),
    }


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rate", type=float, help="requests a second; as many as possible unless given")
    parser.add_argument("--body", required=True)
    options = parser.parse_args()
    body = options.body.encode()
    head = (
        f"POST /score HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    report = load(options.port, head.encode() + body, options.connections, options.seconds, options.rate)
    print(json.dumps(report))  # noqa: T201 - a program's result


if __name__ == "__main__":
    main()
