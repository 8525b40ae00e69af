"""A worker with its admin side, as a supervisor starts it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scoring.rig import Answer, ask, connect, make_code, make_deployment


@dataclass
class AdministeredWorker:
    """A worker, reached on both of its sockets."""

    process: subprocess.Popen[bytes]
    folder: Path

    def score(self, body: str, **headers: str) -> Answer:
        """Send one request."""
        return ask(self.folder / "w.sock", body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def metrics(self) -> str:
        """What Prometheus would read."""
        answer = ask(self.folder / "a.sock", "GET", "/metrics")
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return answer.body.decode()

    def begin_scrape(self) -> socket.socket:
        """Ask for metrics and do not wait."""
        connection = connect(self.folder / "a.sock")
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        return connection

    def admin_status(self, path: str) -> int:
        """The status of an answer of the admin side."""
        return ask(self.folder / "a.sock", "GET", path).status

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "worker.txt").read_text(encoding="utf-8", errors="replace")

    def records(self) -> list[dict[str, object]]:
        """What it wrote, as records."""
        return [json.loads(line) for line in self.log().splitlines()]


@contextmanager
def start_with_admin(
    folder: Path, source: str, options: tuple[str, ...] = (), **changes: object
) -> Iterator[AdministeredWorker]:
    """A worker that is ready; ended at the end."""
    deployment = make_deployment(make_code(folder / "code", source), **changes)
    configuration = folder / "worker.json"
    document = {"format": 1, "endpoint": "digits", "live_name": "blue-1", "deployment": deployment}
    configuration.write_text(json.dumps(document), encoding="utf-8")
    reader, writer = os.pipe()
    with (folder / "worker.txt").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(deployment.get("python", sys.executable)), "-P", "-m", "mlops_scoring.worker"),
                *("--configuration", str(configuration), "--socket", str(folder / "w.sock")),
                *("--admin", str(folder / "a.sock"), "--status-fd", str(writer)),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writer,),
        )
    os.close(writer)
    worker = AdministeredWorker(process, folder)
    with os.fdopen(reader, "rb") as status:
        line = status.readline()
    try:
        assert json.loads(line or b"{}") == {"event": "ready"}, (line, worker.log())
        yield worker
    finally:
        process.kill()
        process.wait()
