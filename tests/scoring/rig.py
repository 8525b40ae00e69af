"""Real workers and supervisors, started for a test and surely ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 100.0
"""Seconds until a test gives up on something that has no event to wait for."""

ECHO = """
import json, os, time

def init():
    pass

def run(data):
    order = json.loads(data or "{}")
    if "begun" in order:
        open(order["begun"], "w").close()
    while "gate" in order and not os.path.exists(order["gate"]):
        time.sleep(0.01)
    if "sleep" in order:
        time.sleep(order["sleep"])
    if "die" in order:
        os.kill(os.getpid(), order["die"])
    return {"pid": os.getpid(), "order": order, "name": os.environ.get("NAME")}
"""
"""A script that says who it is, that it has begun, and waits, sleeps and dies on demand."""


@dataclass(frozen=True)
class Answer:
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        """The body as JSON."""
        return json.loads(self.body)


def ask(
    address: int | Path,
    method: str = "POST",
    path: str = "/score",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to a port of loopback or to a UNIX socket."""
    connection = http.client.HTTPConnection("127.0.0.1", address if isinstance(address, int) else 80, timeout=PATIENCE)
    if isinstance(address, Path):
        connection.sock = connect(address)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def connect(address: int | Path) -> socket.socket:
    """A raw connection."""
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address), timeout=PATIENCE)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(PATIENCE), 0))
    try:
        connection.connect(str(address))  # a socket with Python's timeout would not wait for a full queue
    except OSError:
        connection.close()
        raise
    connection.settimeout(PATIENCE)
    return connection


def exchange(address: int | Path, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send raw bytes and read until the other side closes."""
    with connect(address) as connection:
        with contextlib.suppress(OSError):  # it may have answered and closed before it had all
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def receive(connection: socket.socket, whole: Callable[[bytes], object]) -> bytes:
    """Read until what has come is whole."""
    received = b""
    while not whole(received):
        chunk = connection.recv(65536)
        assert chunk, f"the connection ended after {received[:1000]!r}"
        received += chunk
    return received


@contextmanager
def held(address: int | Path, gate: Path) -> Iterator[list[Answer]]:
    """A request that is inside ECHO's `run()` while the block runs; afterwards its answer is in the list."""
    answers: list[Answer] = []
    begun = gate.with_name(f"{gate.name}.begun")
    body = json.dumps({"begun": str(begun), "gate": str(gate)})
    asking = threading.Thread(target=lambda: answers.append(ask(address, body=body)))
    asking.start()
    try:
        await_truth(begun.exists, "it is inside run()")
        yield answers
    finally:
        gate.touch()
        asking.join()


_PORTS = iter(random.sample(range(10_000, 20_000), 10_000))
"""Below those that systems give to clients, one of which might get a port between our look and its use; none twice."""


def free_port() -> int:
    """A port that was free a moment ago."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("every port is taken")


def await_truth(claim: Callable[[], object], what: str, seconds: float = PATIENCE, every: float = 0.01) -> None:
    """Wait until something holds that announces itself to nobody."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(every)


def make_code(folder: Path, source: str = ECHO) -> Path:
    """A code directory with one script, `score.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text(source, encoding="utf-8")
    return folder


def make_deployment(code: Path | None = None, **changes: object) -> dict[str, object]:
    """A deployment's document, of the runtime `script` unless changed."""
    return {
        "python": sys.executable,
        "instance_count": 1,
        "runtime": "script",
        "model_directory": None,
        "model_files": {},
        "code_directory": None if code is None else str(code),
        "scoring_script": None if code is None else "score.py",
        "environment_variables": {},
        "pickle_policy": {"formats": [], "classes": []},
        "request_settings": {
            "request_timeout_ms": 60000,
            "max_concurrent_requests_per_instance": 8,
            "max_queue_wait_ms": 60000,
        },
        **changes,
    }


@dataclass
class Supervised:
    """An endpoint with its supervisor.

    Attributes:
        directory: Its folder; the admin socket lies in it.
    """

    directory: Path
    port: int = field(default_factory=free_port)
    python: str = sys.executable
    process: subprocess.Popen[bytes] | None = None

    @property
    def admin(self) -> Path:
        """The admin socket."""
        return self.directory / "a.sock"

    def document(
        self,
        deployments: Mapping[str, Mapping[str, object]],
        traffic: Mapping[str, int],
        aliases: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """A configuration."""
        return {
            "format": 1,
            "endpoint": "test",
            "host": "127.0.0.1",
            "port": self.port,
            "stamp": {"opaque": [1, None]},
            "traffic": dict(traffic),
            "aliases": dict(aliases or {}),
            "deployments": dict(deployments),
        }

    def launch(self, document: Mapping[str, object] | None = None) -> subprocess.Popen[bytes]:
        """Start the process, with a configuration or with the one that is there."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if document is not None:
            (self.directory / "configuration.json").write_text(json.dumps(document), encoding="utf-8")
        with (self.directory / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(self.python, "-P", "-W", "error", "-m", "mlops_scoring.supervisor"),
                    *("--directory", str(self.directory), "--admin", str(self.admin)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        return self.process

    def start(self, document: Mapping[str, object] | None = None) -> None:
        """Start, and wait until the admin interface answers."""
        process = self.launch(document)

        def answers() -> bool:
            assert process.poll() is None, f"the supervisor ended: {self.output()}"
            try:
                return ask(self.admin, "GET", "/status").status == 200
            except (OSError, http.client.HTTPException):
                return False

        await_truth(answers, "the supervisor answers")

    def output(self) -> str:
        """What the supervisor wrote to its standard output and error."""
        return (self.directory / "output.txt").read_text(encoding="utf-8")

    def status(self) -> Any:  # noqa: ANN401 - JSON
        """What the admin interface says."""
        return ask(self.admin, "GET", "/status").json

    def report(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """What it says of one deployment."""
        return self.status()["deployments"][name]

    def put(self, document: Mapping[str, object]) -> Answer:
        """Put a configuration."""
        return ask(self.admin, "PUT", "/configuration", json.dumps(document))

    def await_state(self, name: str, state: str) -> Any:  # noqa: ANN401 - JSON
        """Wait for a deployment's state; returns its report."""
        reports = [self.report(name)]

        def reached() -> bool:
            reports[:] = [self.report(name)]
            return bool(reports[0]["state"] == state)

        await_truth(reached, f"{name} is {state}; it was {reports[0]}")
        return reports[0]

    def await_settled(self) -> None:
        """Wait until the configuration is in force, everything is healthy, and nothing is leaving."""

        def settled() -> bool:
            status = self.status()
            states = {report["state"] for report in status["deployments"].values()}
            return bool(status["settled"]) and states <= {"Healthy"}

        await_truth(settled, f"settled; status {self.status()}")

    def score(self, body: object = None, **headers: str) -> Answer:
        """Score as a client does."""
        text = json.dumps({} if body is None else body)
        return ask(self.port, body=text, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def worker_pids(self) -> set[int]:
        """The worker processes."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="utf-8")
        return {int(pid) for pid in children.split()}

    def stop(self) -> None:
        """Shut down; kill where that does not help, and complain."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert "Traceback" not in self.output(), self.output()


@dataclass
class Worker:
    """A worker without a supervisor."""

    process: subprocess.Popen[bytes]
    socket: Path
    output: Path

    def ask(
        self,
        body: bytes | str | None = None,
        method: str = "POST",
        path: str = "/score",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request."""
        return ask(self.socket, method, path, body, headers)

    def log(self) -> str:
        """What it wrote."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def end(self) -> None:
        """Shut down, in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log()

    def kill(self) -> None:
        """End at once, whatever it does."""
        self.process.kill()
        self.process.wait()


def launch_worker(
    folder: Path,
    deployment: Mapping[str, object],
    *options: str,
    place: tuple[str, str] | None = None,
    inherited: tuple[int, ...] = (),
    names: Mapping[str, str] | None = None,
) -> tuple[Worker, dict[str, str]]:
    """Start a worker, perhaps with further options, and wait for what it announces.

    Args:
        folder: For its configuration, its output and, unless there is another place, its socket.
        deployment: What it serves.
        options: Of its command line.
        place: The option that says where it listens.
        inherited: File descriptors that it gets.
        names: Its `live_name`, and its `endpoint` where it has one.

    Returns:
        The worker, and its announcement; empty where it ended without one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "worker.json"
    document = {"format": 1, "live_name": "test-1", **(names or {}), "deployment": deployment}
    configuration.write_text(json.dumps(document), encoding="utf-8")
    reader, writer = os.pipe()
    output = folder / "worker.txt"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(deployment["python"]), "-P", "-m", "mlops_scoring.worker", "--configuration", str(configuration)),
                *(place or ("--socket", str(folder / "w.sock"))),
                *("--status-fd", str(writer), *options),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writer, *inherited),
        )
    os.close(writer)
    with os.fdopen(reader, "rb") as status:
        line = status.readline()
    return Worker(process, folder / "w.sock", output), json.loads(line or b"{}")
