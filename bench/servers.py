"""Scoring servers, ours and the peers', started for a measurement and surely ended."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import ROOT, peer_python

PEERS = ROOT / "bench/peers"
CLASSES = (
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._tree.Tree",
)
"""What the measured models are made of."""

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers on a port of loopback.

    Attributes:
        started: Seconds from its start to its first good answer.
        folder: Where a supervised endpoint keeps its files; None for others.
    """

    port: int
    pid: int
    started: float
    folder: Path | None = None

    def memory(self) -> float:
        """MiB that it and its children hold; what they share is divided among them (PSS, see proc(5))."""
        return sum(_pss(member) for member in tree(self.pid)) / 1024


def tree(pid: int) -> Iterator[int]:
    """A process and all that come from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="utf-8").split():
            yield from tree(int(child))


def _pss(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def our_python() -> str:
    """The interpreter of the environment in which our own server is measured; it has this checkout's server."""
    python = peer_python("scoring")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--no-deps"]
    subprocess.run([*install, "--editable", str(ROOT / "tooling/scoring")], check=True)
    return python


def measured_models(python: str, folder: Path) -> tuple[Path, bytes]:
    """Make the measured models; their folder, and the body of a request that each of them answers."""
    models = folder / "models"
    subprocess.run([python, str(PEERS / "digits_models.py"), str(models)], check=True)
    return models, (models / "request.json").read_bytes()


def environment(model: Path) -> dict[str, str]:
    """What every server is started with: one thread for arithmetic, and the bytecode kept, as users have it."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OMP_NUM_THREADS": "1", "AZUREML_MODEL_DIR": str(model)}


def wait_for_answer(port: int, body: bytes) -> None:
    """Return when a server scores.

    Raises:
        TimeoutError: It never does.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/score", body, {"content-type": "application/json"})
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise TimeoutError(f"nothing scores on port {port}")


@contextmanager
def running(command: Sequence[str], port: int, body: bytes, env: Mapping[str, str], folder: Path) -> Iterator[Server]:
    """A server from its start to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.log").open("ab") as log:
        begin = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            try:
                wait_for_answer(port, body)
            except TimeoutError:
                sys.stderr.write((folder / "output.log").read_text(encoding="utf-8")[-4000:])
                raise
            yield Server(port, child.pid, time.perf_counter() - begin, folder)
        finally:
            child.terminate()
            try:
                child.wait(_PATIENCE)
            finally:
                child.kill()
                child.wait()


@contextmanager
def telemetry_sink() -> Iterator[str]:
    """Something that takes exports; yields its address."""
    port = free_port()
    with subprocess.Popen([sys.executable, str(PEERS / "telemetry_sink.py"), str(port)]) as child:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            child.terminate()


def deployment(python: str, files: Path, **changes: object) -> dict[str, Any]:
    """One deployment's document; with the entry script unless another runtime is given."""
    settings = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 60000}
    return {
        "python": python,
        "instance_count": 1,
        "runtime": "script",
        "model_directory": str(files),
        "code_directory": str(PEERS / "digits_script"),
        "scoring_script": "score.py",
        "environment_variables": {"OMP_NUM_THREADS": "1"},
        "request_settings": settings,
        "pickle_policy": {"formats": ["joblib"], "classes": list(CLASSES)},
        **changes,
    }


def everything_on(folder: Path, sink: str) -> dict[str, object]:
    """Capture of inputs and outputs, and tracing; metrics are always on."""
    collections = {name: {"enabled": True} for name in ("request", "response")}
    return {
        "model": {"name": "digits", "version": "1"},
        "data_collector": {"directory": str(folder / "data"), "collections": collections},
        "telemetry": {"otlp_endpoint": sink},
    }


@contextmanager
def our_worker(folder: Path, document: Mapping[str, object], body: bytes) -> Iterator[Server]:
    """A worker that is asked directly."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    configuration = folder / "worker.json"
    whole = {"format": 1, "endpoint": "digits", "live_name": "blue", "deployment": document}
    configuration.write_text(json.dumps(whole), encoding="utf-8")
    command = [str(document["python"]), "-P", "-m", "mlops_scoring.worker", "--configuration", str(configuration)]
    command += ["--socket", f"127.0.0.1:{port}", "--direct"]
    with running(command, port, body, environment(Path(str(document["model_directory"]))), folder) as server:
        yield server


@contextmanager
def our_endpoint(
    folder: Path, deployments: Mapping[str, Mapping[str, object]], traffic: Mapping[str, int], body: bytes
) -> Iterator[Server]:
    """A supervisor with its gateway and workers."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    document = {"format": 1, "endpoint": "digits", "host": "127.0.0.1", "port": port}
    whole = {**document, "traffic": traffic, "aliases": {}, "deployments": deployments}
    (folder / "configuration.json").write_text(json.dumps(whole), encoding="utf-8")
    command = [our_python(), "-P", "-m", "mlops_scoring.supervisor", "--directory", str(folder)]
    command += ["--admin", os.path.relpath(folder / "a.sock", folder)]
    env = {key: value for key, value in environment(folder).items() if key != "AZUREML_MODEL_DIR"}
    with running(command, port, body, env, folder) as server:
        yield server


@contextmanager
def azure_server(folder: Path, model: Path, body: bytes) -> Iterator[Server]:
    """azureml-inference-server-http with the same script and model, one worker."""
    port = free_port()
    program = str(Path(peer_python("azureml")).parent / "azmlinfsrv")
    command = [program, "--entry_script", str(PEERS / "digits_script/score.py"), "--port", str(port)]
    with running([*command, "--model_dir", str(model)], port, body, environment(model), folder) as server:
        yield server


@contextmanager
def bare_server(folder: Path, model: Path, body: bytes) -> Iterator[Server]:
    """The same script behind uvicorn and nothing else, in the environment of our own server."""
    port = free_port()
    command = [our_python(), "-m", "uvicorn", "--app-dir", str(PEERS), "--port", str(port), "--log-level", "warning"]
    with running([*command, "bare_application:application"], port, body, environment(model), folder) as server:
        yield server


def load(server: Server, body: bytes, connections: int, seconds: float) -> dict[str, Any]:
    """Ask for some seconds: requests a second, p50 and p99 in milliseconds, failures."""
    options = ["--port", str(server.port), "--seconds", str(seconds), "--connections", str(connections)]
    command = [sys.executable, str(ROOT / "bench/client.py"), *options, "--body", body.decode()]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report
