"""A worker with its admin side, as a supervisor starts it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from tests.scoring.rig import Answer, Worker, ask, connect, launch_worker, make_code, make_deployment


@dataclass
class AdministeredWorker(Worker):
    """A worker, reached on both of its sockets."""

    admin: Path

    def score(self, body: str, **headers: str) -> Answer:
        """Send one request."""
        return self.ask(body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def metrics(self) -> str:
        """What Prometheus would read."""
        answer = ask(self.admin, "GET", "/metrics")
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return answer.body.decode()

    def figure(self, pattern: str) -> float:
        """The sum of all values of a metric; 0 where there is none."""
        found = re.findall(rf"^{pattern} (\S+)$", self.metrics(), re.MULTILINE)
        return sum(float(value) for value in found)

    def begin_scrape(self) -> socket:
        """Ask for metrics and do not wait."""
        connection = connect(self.admin)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        return connection

    def admin_status(self, path: str) -> int:
        """The status of an answer of the admin side."""
        return ask(self.admin, "GET", path).status

    def records(self) -> list[dict[str, object]]:
        """What it wrote, as records."""
        return [json.loads(line) for line in self.log().splitlines()]


@contextmanager
def start_with_admin(
    folder: Path, source: str, options: tuple[str, ...] = (), **changes: object
) -> Iterator[AdministeredWorker]:
    """A worker that is ready; ended at the end."""
    deployment = make_deployment(make_code(folder / "code", source), **changes)
    admin = folder / "a.sock"
    names = {"endpoint": "digits", "live_name": "blue-1"}
    launched, announced = launch_worker(folder, deployment, "--admin", str(admin), *options, names=names)
    worker = AdministeredWorker(launched.process, launched.socket, launched.output, admin)
    try:
        assert announced == {"event": "ready"}, (announced, worker.log())
        yield worker
    finally:
        worker.kill()
