"""A local endpoint behind the gateway, beside azureml-inference-server-http with the same script."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import repositories
from bench.measure import MLOPS, ROOT, peer_python, run
from bench.table import Row

SECONDS = 5
_BODY = '{"data": [[1, 2, 3, 4]]}'
_PATIENCE = 60.0
_PORT = 5871


def _load(port: int) -> dict[str, Any]:
    """Eight connections for some seconds: requests a second, p50 and p99 in milliseconds, failures."""
    options = ["--port", str(port), "--seconds", str(SECONDS), "--connections", "8", "--body", _BODY]
    command = [sys.executable, str(ROOT / "tests/scoring/load.py"), *options]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _tree(pid: int) -> Iterator[int]:
    """A process and all that come from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="utf-8").split():
            yield from _tree(int(child))


def _memory(pid: int) -> float:
    """MiB that a process and its children hold; what they share is divided among them (PSS, see proc(5))."""
    total = 0
    for member in _tree(pid):
        text = Path(f"/proc/{member}/smaps_rollup").read_text(encoding="utf-8")
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def _wait(port: int) -> None:
    """Return when something accepts connections.

    Raises:
        TimeoutError: Nothing does.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


@contextmanager
def _peer(folder: Path) -> Iterator[int]:
    """The peer with the same script; yields its process id."""
    script = folder / "endpoints/first/code/score.py"
    server = str(Path(peer_python("azureml")).parent / "azmlinfsrv")
    command = [server, "--entry_script", str(script), "--port", str(_PORT)]
    with (
        (folder / "peer.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as child,
    ):
        try:
            _wait(_PORT)
            yield child.pid
        finally:
            child.terminate()


def _line(report: dict[str, Any], memory: float) -> str:
    """One side's figures."""
    rate, p50, p99 = report["requests_per_second"], report["p50"], report["p99"]
    return f"{rate:,.0f} /s, p50 {p50:.2f} ms, p99 {p99:.2f} ms, {memory:.0f} MiB"


def _supervisor(root: Path) -> tuple[int, int]:
    """Process id of the endpoint's supervisor, and its port."""
    folder = root / ".mlops/endpoints/here/first"
    pid = json.loads((folder / "supervisor.json").read_text(encoding="utf-8"))["pid"]
    port = json.loads((folder / "configuration.json").read_text(encoding="utf-8"))["port"]
    return pid, port


def rows(folder: Path) -> Iterator[Row]:
    """Eight clients for some seconds on each."""
    repositories.write(folder, repositories.project() | repositories.models(1) | repositories.endpoint("first"))
    repositories.commit(folder)
    run((MLOPS, "apply", "--stage", "dev", "--yes"), folder)
    try:
        pid, port = _supervisor(folder)
        report = _load(port)
        ours = _line(report, _memory(pid))
    finally:
        run((MLOPS, "destroy", "--stage", "dev", "--yes"), folder)
    with _peer(folder) as server:
        peer = _line(_load(_PORT), _memory(server))
    failures = report["failures"]
    yield Row("local endpoint, one worker, 8 clients", ours, f"{peer}, azureml-inference-server-http")
    yield Row("its failed requests", str(failures), bar="0", kept=failures == 0)
