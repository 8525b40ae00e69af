"""Both servers with every setup: the reference, a worker asked directly, and an endpoint behind its gateway."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.scoring.conformance.replies import Aspects, Request, send
from tests.scoring.conformance.servers import Reference, start_reference
from tests.scoring.conformance.setups import SETUPS
from tests.scoring.environments import FLASK, ROOT, SCHEMAS, make_environment
from tests.scoring.rig import Supervised, Worker, launch_worker

_LOCK = Path(__file__).with_name("reference.lock")


@dataclass(frozen=True)
class Servers:
    """All of them, by the name of their setup.

    Attributes:
        replies: What the reference has answered, by the request's name; each request is sent to it once.
    """

    references: dict[str, Reference]
    workers: dict[str, Worker]
    endpoint: Supervised
    replies: dict[str, Aspects]

    def reference(self, request: Request) -> Aspects:
        """What the reference answers; where that ends its worker, the next one is waited for."""
        if request.name not in self.replies:
            server = self.references[request.setup]
            self.replies[request.name] = send(server.port, request)
            if self.replies[request.name]["status"] is None:
                server.await_ready()
        return self.replies[request.name]

    def worker(self, request: Request) -> Aspects:
        """What our worker answers."""
        return send(self.workers[request.setup].socket, request)

    def gateway(self, request: Request) -> Aspects:
        """What our endpoint answers."""
        return send(self.endpoint.port, request)


@pytest.fixture(scope="session")
def reference_python(test_cache: Path) -> Path:
    """An interpreter with Azure ML's server."""
    del test_cache  # it makes the folder that holds the environments
    command = [sys.executable, "tooling/locked_environment.py", str(_LOCK)]
    return Path(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip())


@pytest.fixture(scope="module")  # some forty processes, which are not to live on beside all other tests
def servers(reference_python: Path, test_cache: Path) -> Iterator[Servers]:
    """All servers, ready."""
    plain, installed = make_environment(test_cache, SCHEMAS), make_environment(test_cache, FLASK)
    folder = Path(tempfile.mkdtemp(prefix="ms-"))
    started = Servers({}, {}, Supervised(folder / "e", python=sys.executable), {})
    try:
        for name, setup in SETUPS.items():
            started.references[name] = start_reference(reference_python, setup.write(folder / name / "code"), setup)
        deployments: dict[str, dict[str, object]] = {}
        for name, setup in SETUPS.items():
            python = installed if setup.installed else plain
            deployments[f"{name}-1"] = setup.deployment(folder / name / "code", python)
            worker, announced = launch_worker(folder / name, deployments[f"{name}-1"])
            started.workers[name] = worker
            assert announced == {"event": "ready"}, (name, announced, worker.log())
        aliases = {name: f"{name}-1" for name in SETUPS}
        started.endpoint.start(started.endpoint.document(deployments, {"text-1": 100}, aliases))
        for name in SETUPS:
            started.references[name].await_ready()
            started.endpoint.await_state(f"{name}-1", "Healthy")
        yield started
    finally:
        for reference in started.references.values():
            reference.stop()
        for worker in started.workers.values():
            worker.kill()
        started.endpoint.stop()
        shutil.rmtree(folder, ignore_errors=True)
