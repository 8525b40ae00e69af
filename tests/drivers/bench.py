"""Local endpoints with entry scripts of a few lines, and what watches them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlops import archive
from mlops.driver import Scope
from mlops.drivers.local import LocalDriver, process
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.home import Home, names, read_home
from mlops.drivers.local.rules import RULES
from mlops.drivers.registry.blobs import FileBlobs
from mlops.resource import JSON, Address, Artifact, Health, HealthState, Kind, Observed, Resource, Spec, Stamp, digest
from mlops.rollout import to_live

T = TypeVar("T")

DEADLINE = 100.0
_FIRST_PORT = random.randrange(30_000, 32_500)
PORTS = f"{_FIRST_PORT}-{_FIRST_PORT + 199}"
"""Of this run: below those that systems give to clients, and no other test's; another run has most likely others."""

_SCRIPT = """import json, os

def init():
    print({text!r}, "is loading")

def run(data):
    return {{"text": {text!r}, "pid": os.getpid(), "variable": os.environ.get("VARIABLE")}}
"""

_PUT = """import json, sys
from pathlib import Path
from mlops.driver import Scope
from mlops.drivers.local import LocalDriver
from mlops.drivers.registry.blobs import FileBlobs
from mlops.resource import Address, Artifact, Resource, Stamp
request = json.loads(sys.argv[1])
root = Path(request["root"])
blobs = FileBlobs(root / ".mlops" / "registry")
scope = Scope("project", "dev", request["compute"], root, {"ports": request["ports"]}, blobs)
artifacts = tuple(Artifact(*each) for each in request["artifacts"])
resource = Resource(Address.parse(request["address"]), request["compute"], request["spec"], artifacts=artifacts)
print(json.dumps(LocalDriver(scope).put(resource, Stamp.from_json(request["stamp"]))))
"""

_COUNTED = frozenset({"open", "os.scandir", "os.listdir", "socket.connect", "sqlite3.connect", "subprocess.Popen"})
_counter = {"calls": 0}


def touches() -> int:
    """How often this process has touched files, sockets and databases."""
    return _counter["calls"]


def _count(event: str, _: tuple[object, ...]) -> None:
    if event in _COUNTED:
        _counter["calls"] += 1


sys.addaudithook(_count)


def until(condition: Callable[[], T | None], what: str) -> T:
    """Poll until a condition gives something; for what sends no event."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about within {DEADLINE:.0f} s")


def listen(port: int) -> socket.socket | None:
    """Listen on a port; None where it is taken, as it is until the last file of a killed process is closed."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def stamp_for(resource: Resource, project: str = "project", stage: str = "dev") -> Stamp:
    """The stamp that the engine would give."""
    return Stamp(project, stage, str(resource.address), digest(resource.spec))


@dataclass(frozen=True)
class Model:
    """A model as a deployment's spec has it, and where its files are."""

    spec: JSON
    artifacts: tuple[Artifact, ...]


@dataclass
class Bench:
    """Local endpoints below one root, with entry scripts of a few lines.

    Attributes:
        root: The repository.
        lock: A lock with nothing but the scoring server's requirements.
    """

    root: Path
    lock: Path
    compute: str = "here"

    @property
    def blobs(self) -> FileBlobs:
        """The registry's content."""
        return FileBlobs(self.root / ".mlops" / "registry")

    @property
    def folders(self) -> Folders:
        """Where everything is."""
        return Folders(self.root, self.compute)

    def driver(self, project: str = "project", stage: str = "dev", ports: str = PORTS) -> LocalDriver:
        """A driver as another process would make one."""
        return LocalDriver(Scope(project, stage, self.compute, self.root, {"ports": ports}, self.blobs))

    def home(self, name: str) -> Home:
        """An endpoint's folder."""
        home = read_home(self.folders, name)
        assert home is not None
        return home

    def declared(self, texts: Mapping[str, str], traffic: Mapping[str, int] | None = None, **fields: JSON) -> Resource:
        """An endpoint as declared, whose deployments answer with these texts; the code is written into the root."""
        artifacts = [
            Artifact(hashlib.sha256(self.lock.read_bytes()).hexdigest(), str(self.lock.relative_to(self.root)))
        ]
        deployments: dict[str, JSON] = {}
        for name, text in texts.items():
            folder = self.root / "code" / hashlib.sha256(text.encode()).hexdigest()[:12]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "score.py").write_text(_SCRIPT.format(text=text) if "def " not in text else text)
            code = archive.digest_directory(folder)
            artifacts.append(Artifact(code, f"{folder.relative_to(self.root)}/"))
            environment: JSON = {"name": "tiny", "version": "1", "lock": artifacts[0].sha256}
            source: JSON = {"sha256": code, "scoring_script": "score.py"}
            deployments[name] = {"environment": environment, "code": source, **fields}
        weights = traffic or {name: 100 if index == 0 else 0 for index, name in enumerate(texts)}
        spec: Spec = {"auth_mode": "none", "deployments": deployments, "traffic": weights}
        return Resource(Address(Kind.ENDPOINT, f"echo@{self.compute}"), self.compute, spec, artifacts=tuple(artifacts))

    def resource(self, name: str = "echo", text: str = "one", **fields: JSON) -> Resource:
        """An endpoint in live form with one deployment, blue."""
        return self.live(self.declared({"blue": text}, None, **fields), name)

    def live(self, declared: Resource, name: str = "echo") -> Resource:
        """The live form of an endpoint."""
        address = Address(Kind.ENDPOINT, f"{name}@{self.compute}")
        return Resource(address, self.compute, to_live(declared.spec, RULES), artifacts=declared.artifacts)

    def with_spec(self, resource: Resource, spec: Spec, artifacts: Iterable[Artifact]) -> Resource:
        """The same endpoint with another spec in live form."""
        return Resource(resource.address, self.compute, spec, artifacts=tuple(artifacts))

    def with_artifacts(self, resource: Resource, artifacts: Iterable[Artifact]) -> Resource:
        """The same endpoint with more content."""
        return self.with_spec(resource, resource.spec, [*resource.artifacts, *artifacts])

    def model(self, files: Mapping[str, bytes]) -> Model:
        """A model of these files, which are written into the root."""
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        artifacts = []
        for name, content in files.items():
            path = self.root / "models" / digests[name]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            artifacts.append(Artifact(digests[name], str(path.relative_to(self.root))))
        return Model({"name": "weights", "version": "1", "files": digests}, tuple(artifacts))

    def deployments(self, resource: Resource) -> list[str]:
        """Live names."""
        deployments = resource.spec["deployments"]
        assert isinstance(deployments, Mapping)
        return list(deployments)

    def stamp(self, resource: Resource, stage: str) -> Stamp:
        """The stamp that another stage would give."""
        return stamp_for(resource, stage=stage)

    def await_workers(self, count: int, name: str = "echo") -> None:
        """Wait until that many are ready."""

        def ready() -> bool:
            observed = self.observe(name)
            return observed is not None and (observed.health.ready, observed.health.wanted) == (count, count)

        until(ready, f"{count} workers")

    def at(self, root: Path) -> Bench:
        """The same below another root."""
        root.mkdir(exist_ok=True)
        (root / "tiny.lock").write_bytes(self.lock.read_bytes())
        return Bench(root, root / "tiny.lock", self.compute)

    def put(self, resource: Resource) -> Mapping[str, str]:
        """Put in this process."""
        return self.driver().put(resource, stamp_for(resource))

    def program(self, resource: Resource) -> list[str]:
        """A command that puts in a process of its own."""
        artifacts = [[artifact.sha256, artifact.source] for artifact in resource.artifacts]
        request: dict[str, JSON] = {
            "root": str(self.root),
            "compute": self.compute,
            "ports": PORTS,
            "artifacts": artifacts,
        }
        request |= {"address": str(resource.address), "spec": resource.spec, "stamp": stamp_for(resource).to_json()}
        return [sys.executable, "-W", "error", "-c", _PUT, json.dumps(request)]

    def text(self, name: str = "echo", deployment: str | None = None) -> object:
        """Score, and give the text of the answer."""
        return self.answer(name, deployment)["text"]

    def answer(self, name: str = "echo", deployment: str | None = None) -> dict[str, object]:
        """Score, and give the answer."""
        address = Address(Kind.ENDPOINT, f"{name}@{self.compute}")
        answered = self.driver().score(address, b"{}", deployment)
        assert answered.status == 200, answered
        value: dict[str, object] = json.loads(answered.body)
        return value

    def observe(self, name: str = "echo") -> Observed | None:
        """The endpoint as it is live."""
        address = Address(Kind.ENDPOINT, f"{name}@{self.compute}")
        found = {observed.address: observed for observed in self.driver().observe()}
        return found.get(address)

    def settled(self, name: str = "echo") -> Health:
        """The endpoint's health once its workers have said how they are; a busy machine's supervisor may be silent."""
        moving = {HealthState.TRANSITIONING, HealthState.UNHEALTHY}

        def health() -> Health | None:
            observed = self.observe(name)
            return None if observed is None or observed.health.state in moving else observed.health

        return until(health, f"a state of {name}")

    def kill_supervisor(self, name: str = "echo") -> None:
        """SIGKILL."""
        home = self.home(name)
        pid = process.pid_of(home)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        _await_end(home)

    def close(self) -> None:
        """End every supervisor below the root."""
        for compute in self.folders.all_endpoints.glob("[!.]*"):
            for name in names(Folders(self.root, compute.name)):
                home = read_home(Folders(self.root, compute.name), name)
                pid = process.pid_of(home) if home is not None else None
                if home is not None and pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    _await_end(home)


def _await_end(home: Home) -> None:
    until(lambda: not process.is_alive(home), f"the end of the supervisor of {home.name}")
