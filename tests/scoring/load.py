"""A small load generator: keep-alive connections that each send one request after another, and count what comes back.

As a program it prints one JSON line: total, failures, requests a second, p50 and p99 in milliseconds.

    python tests/scoring/load.py --port 8601 --connections 8 --seconds 5 --body '{"data": [[1, 2]]}'
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import httptools


@dataclass(frozen=True)
class Target:
    """What is asked.

    Attributes:
        unix: Path of a UNIX socket; host and port are not used then.
    """

    port: int = 0
    host: str = "127.0.0.1"
    unix: str | None = None
    path: str = "/score"
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self) -> bytes:
        """The bytes of one request."""
        lines = [f"POST {self.path} HTTP/1.1", "Host: load", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **self.headers}.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Report:
    """What came back.

    Attributes:
        failures: Answers other than 200, and connections that broke with a request under way.
        p50: Milliseconds.
        deployments: Answers of each deployment, by its response header.
        reasons: Failures by status or error.
    """

    total: int
    failures: int
    requests_per_second: float
    p50: float
    p99: float
    deployments: Mapping[str, int]
    reasons: Mapping[str, int]


class Load:
    """Answers counted so far, by all connections of one run."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.milliseconds: list[float] = []
        self.deployments: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.stopping = False
        self._began = time.perf_counter()
        self._ended: float | None = None
        self._progress = threading.Condition()

    def count(self, status: int, deployment: str, seconds: float) -> None:
        """Note an answer."""
        with self._progress:
            self.milliseconds.append(seconds * 1000)
            self.deployments[deployment] += 1
            if status != 200:
                self.reasons[str(status)] += 1
            self._progress.notify_all()

    def count_failure(self, reason: str) -> None:
        """Note a request without an answer."""
        with self._progress:
            self.reasons[reason] += 1
            self._progress.notify_all()

    @property
    def answered(self) -> int:
        """Answers so far."""
        return len(self.milliseconds)

    def wait(self, condition: Callable[[Load], bool], seconds: float = 100) -> None:
        """Block until a condition on the counts holds."""
        with self._progress:
            assert self._progress.wait_for(lambda: condition(self), seconds), "the load made no progress"

    def wait_for_more(self, answers: int) -> None:
        """Block until so many further answers have come."""
        goal = self.answered + answers
        self.wait(lambda load: load.answered >= goal)

    def end(self) -> None:
        """The measured time is over."""
        self.stopping = True
        self._ended = self._ended or time.perf_counter()

    def report(self) -> Report:
        """Sum up."""
        ordered = sorted(self.milliseconds) or [0.0]
        seconds = (self._ended or time.perf_counter()) - self._began
        return Report(
            total=len(self.milliseconds),
            failures=sum(self.reasons.values()),
            requests_per_second=round(len(self.milliseconds) / seconds, 1),
            p50=round(ordered[len(ordered) // 2], 3),
            p99=round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 3),
            deployments=dict(self.deployments),
            reasons=dict(self.reasons),
        )


class _Client(asyncio.Protocol):
    def __init__(self, load: Load, finished: asyncio.Future[None], most: int | None) -> None:
        self._load = load
        self._finished = finished
        self._left = most
        self._request = load.target.request()
        self._transport: asyncio.Transport
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy:
            self._load.count_failure(f"connection lost: {exc!r}")
        if not self._finished.done():
            self._finished.set_result(None)

    def _send(self) -> None:
        if self._load.stopping or self._left == 0:
            self._transport.close()
            return
        if self._left is not None:
            self._left -= 1
        self._busy = True
        self._deployment = ""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._load.count_failure(f"malformed: {error}")
            self._busy = False
            self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"azureml-model-deployment":
            self._deployment = value.decode()

    def on_message_complete(self) -> None:
        self._busy = False
        self._load.count(self._parser.get_status_code(), self._deployment, time.perf_counter() - self._sent)
        if self._parser.should_keep_alive():
            asyncio.get_running_loop().call_soon(self._send)
        else:
            self._transport.close()


async def _connection(load: Load, most: int | None) -> None:
    """Keep one connection busy, opening it again when the server ends it between requests."""
    loop = asyncio.get_running_loop()
    while not load.stopping:
        finished: asyncio.Future[None] = loop.create_future()
        target = load.target

        def make(finished: asyncio.Future[None] = finished) -> _Client:
            return _Client(load, finished, most)

        try:
            if target.unix is not None:
                await loop.create_unix_connection(make, target.unix)
            else:
                await loop.create_connection(make, target.host, target.port)
        except OSError as error:
            load.count_failure(f"cannot connect: {error.strerror}")
            return
        await finished
        if most is not None:
            return


async def _drive(load: Load, connections: int, most: int | None, seconds: float | None) -> None:
    timer = asyncio.get_running_loop().call_later(seconds, load.end) if seconds is not None else None
    each = None if most is None else most // connections
    await asyncio.gather(*(_connection(load, each) for _ in range(connections)))
    if timer is not None:
        timer.cancel()
    load.end()


def run(target: Target, *, connections: int = 8, requests: int | None = None, seconds: float | None = None) -> Report:
    """Send so many requests, or for so long, and sum up."""
    load = Load(target)
    asyncio.run(_drive(load, connections, requests, seconds))
    return load.report()


@contextmanager
def background(target: Target, *, connections: int = 8) -> Iterator[Load]:
    """Keep asking while the block runs."""
    load = Load(target)
    thread = threading.Thread(target=lambda: asyncio.run(_drive(load, connections, None, None)))
    thread.start()
    try:
        yield load
    finally:
        load.end()
        thread.join(60)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix", help="path of a UNIX socket, in place of host and port")
    parser.add_argument("--path", default="/score")
    parser.add_argument("--body", default="{}")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    target = Target(options.port, options.host, options.unix, options.path, options.body.encode())
    seconds = options.seconds if options.seconds or options.requests else 5.0
    report = run(target, connections=options.connections, requests=options.requests, seconds=seconds)
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


if __name__ == "__main__":
    main()
