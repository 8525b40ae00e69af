"""Ten minutes at 70 % load while weights change and workers are killed: what fails, and whether memory grows."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench import servers
from bench.measure import ROOT
from bench.servers import Server
from bench.table import Row

SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
"""Length of the soak; shorter for a trial."""
_SHIFT, _KILL, _SAMPLE = 10, 30, 5
_CONNECTIONS = 8


class _Admin(HTTPConnection):
    """The supervisor's admin interface."""

    def __init__(self, folder: Path) -> None:
        super().__init__("admin")
        self._path = os.path.relpath(folder / "a.sock")

    def connect(self) -> None:
        """Open the UNIX socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _put(server: Server, traffic: dict[str, int]) -> None:
    folder = server.folder or Path()
    document = json.loads((folder / "configuration.json").read_text(encoding="utf-8")) | {"traffic": traffic}
    admin = _Admin(folder)
    admin.request("PUT", "/configuration", json.dumps(document), {"content-type": "application/json"})
    answer = admin.getresponse()
    if answer.status != 200:
        raise RuntimeError(answer.read().decode())
    admin.close()


def _client(server: Server, body: bytes, seconds: float, rate: float | None) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "bench/client.py"), "--port", str(server.port), "--body", body.decode()]
    command += ["--connections", str(_CONNECTIONS), "--seconds", str(seconds)]
    command += [] if rate is None else ["--rate", str(rate)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _disturb(server: Server, stop: threading.Event, memory: list[tuple[float, float]]) -> int:
    """Change weights and kill workers until told to stop; how many were killed."""
    killed = 0
    begin = time.monotonic()
    step = 0
    while not stop.wait(_SAMPLE):
        step += 1
        elapsed = step * _SAMPLE
        if elapsed % _SHIFT == 0:
            share = random.choice(range(0, 101, 10))  # noqa: S311 - no secret
            _put(server, {"blue": share, "green": 100 - share})
        if elapsed % _KILL == _SAMPLE and elapsed < SECONDS - _KILL:
            workers = [pid for pid in servers.tree(server.pid) if pid != server.pid]
            os.kill(random.choice(workers), signal.SIGKILL)  # noqa: S311 - no secret
            killed += 1
        elif elapsed % _KILL == 0:  # all workers are back
            memory.append((time.monotonic() - begin, server.memory()))
    return killed


def rows(folder: Path) -> Iterator[Row]:
    """The rows of the soak."""
    python = servers.our_python()
    models, body = servers.measured_models(python, folder)
    with servers.telemetry_sink() as sink:
        on = servers.everything_on(folder, sink)
        document = servers.deployment(python, models / "regression-sklearn", **on) | {"instance_count": 2}
        deployments = {"blue": document, "green": document}
        with servers.our_endpoint(folder / "e", deployments, {"blue": 50, "green": 50}, body) as server:
            yield from _soak(server, body)


def _soak(server: Server, body: bytes) -> Iterator[Row]:
    full = _client(server, body, 10, None)["requests_per_second"]
    memory: list[tuple[float, float]] = []
    stop = threading.Event()
    killed: list[int] = []
    disturbing = threading.Thread(target=lambda: killed.append(_disturb(server, stop, memory)))
    disturbing.start()
    report = _client(server, body, SECONDS, 0.7 * full)
    stop.set()
    disturbing.join()
    count = killed[0] if killed else 0
    others = {reason: number for reason, number in report["reasons"].items() if reason != "502"}
    lost = report["reasons"].get("502", 0)
    what = f"soak of {SECONDS / 60:.0f} min, {report['total']:,} requests: failed, other than killed ones"
    kept = not others and lost <= count
    yield Row(what, f"{sum(others.values()) + max(0, lost - count)}", "", "0", kept)
    yield Row("its requests that died with one of the killed workers", f"{lost} with {count} workers")
    yield Row("its rate and latency", f"{report['requests_per_second']:,.0f} /s, p99 {report['p99']:.1f} ms")
    half = len(memory) // 2
    if half:
        before, after = (statistics.median(m for _, m in part) for part in (memory[:half], memory[half:]))
        grown = after / before - 1
        seen = f"{before:.0f} MiB, then {after:.0f} MiB"
        yield Row("its memory, first half and second", seen, "", "flat within 5 %", abs(grown) <= 0.05)
