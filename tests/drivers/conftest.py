"""Real targets for drivers, small enough to be made for every test."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from mlops import archive
from mlops.driver import Driver, Scope
from mlops.drivers import memory
from mlops.drivers.local import LocalDriver, process
from mlops.drivers.local.folders import Folders
from mlops.drivers.local.home import Home, names, read_home
from mlops.drivers.local.rules import RULES
from mlops.drivers.registry import RegistryDriver
from mlops.drivers.registry.blobs import FileBlobs
from mlops.lockfile import LockInput, server_requirements
from mlops.pipeline.lock_making import make_lock
from mlops.resource import JSON, Address, Artifact, Health, HealthState, Kind, Observed, Resource, Spec, Stamp, digest
from mlops.rollout import to_live

T = TypeVar("T")

DEADLINE = 60.0
PORTS = "18600-18799"

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
        """The endpoint's health once its workers have said how they are."""

        def health() -> Health | None:
            observed = self.observe(name)
            moving = observed is None or observed.health.state is HealthState.TRANSITIONING
            return None if observed is None or moving else observed.health

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


@pytest.fixture(scope="session")
def tiny_lock(test_cache: Path) -> Path:
    """A lock with the scoring server's requirements only."""
    source = LockInput((), None, (), server_requirements())
    path = test_cache / f"tiny-{source.sha256[:16]}.lock"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(make_lock("tiny:1", source))
        part.replace(path)
    return path


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory, tiny_lock: Path) -> Path:
    """A root whose virtual environments are made once for all tests that do not break them."""
    root = tmp_path_factory.mktemp("root")
    (root / "tiny.lock").write_bytes(tiny_lock.read_bytes())
    return root


@pytest.fixture
def bench(shared_root: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Local endpoints on a compute of the test's own."""
    compute = "c" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]
    made = Bench(shared_root, shared_root / "tiny.lock", compute)
    yield made
    made.close()


@pytest.fixture
def fresh_bench(tmp_path: Path, tiny_lock: Path) -> Iterator[Bench]:
    """Local endpoints below a root of the test's own, without virtual environments yet."""
    (tmp_path / "tiny.lock").write_bytes(tiny_lock.read_bytes())
    made = Bench(tmp_path, tmp_path / "tiny.lock")
    yield made
    made.close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary folder whose path is short."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        yield Path(folder)


@dataclass
class Rig:
    """What the contract test needs of a driver.

    Attributes:
        make: A new driver for a project and stage, as another process would make one.
        resource: The nth object.
        edit: The same object with a change in place.
        orphan: The same object with content that is nowhere.
        plant: Put somebody else's object in an object's place; None where nobody else can be there.
        calls: How often the target was touched so far.
        calls_each: How many more touches one more object may cost when all are observed.
    """

    make: Callable[[str, str], Driver]
    resource: Callable[[int], Resource]
    edit: Callable[[Resource], Resource]
    orphan: Callable[[Resource], Resource]
    plant: Callable[[Address], None] | None
    calls: Callable[[], int]
    calls_each: int


def _memory(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    name = request.node.nodeid
    far = memory.target(name)

    def resource(number: int) -> Resource:
        spec: Spec = {
            "deployments": {"blue-1": {"deployment": "blue", "instance_count": 1}},
            "traffic": {"blue-1": 100},
        }
        return Resource(Address(Kind.ENDPOINT, f"echo{number}@far"), "far", spec)

    def plant(address: Address) -> None:
        far.objects[address] = Observed(address, {}, None)

    def make(project: str, stage: str) -> Driver:
        return memory.MemoryDriver(Scope(project, stage, "far", tmp_path, {"target": name}))

    return Rig(make, resource, _with_tag, _same, plant, lambda: sum(far.calls.values()), 0)


def _registry(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    drivers: list[RegistryDriver] = []

    def close() -> None:
        for driver in drivers:
            driver.close()

    request.addfinalizer(close)

    def resource(number: int) -> Resource:
        content = f"model {number}".encode()
        (tmp_path / f"{number}.bin").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        spec: Spec = {"files": {f"{number}.bin": sha256}, "sha256": sha256}
        address = Address(Kind.MODEL, f"echo:{number}")
        return Resource(address, "registry", spec, artifacts=(Artifact(sha256, f"{number}.bin"),))

    def orphan(resource: Resource) -> Resource:
        spec: Spec = {"files": {"lost.bin": "0" * 64}, "sha256": "0" * 64}
        return Resource(resource.address, "registry", spec, artifacts=(Artifact("0" * 64, "lost.bin"),))

    def make(project: str, stage: str) -> Driver:
        drivers.append(RegistryDriver(Scope(project, stage, "registry", tmp_path)))
        return drivers[-1]

    return Rig(make, resource, _with_tag, orphan, None, lambda: _counter["calls"], 0)


def _local(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    del tmp_path
    bench: Bench = request.getfixturevalue("bench")

    def plant(address: Address) -> None:
        folder = bench.folders.endpoints / address.name.partition("@")[0]
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("somebody's")

    def orphan(resource: Resource) -> Resource:
        lost: JSON = {"sha256": "0" * 64, "scoring_script": "score.py"}
        return bench.resource(resource.address.name.partition("@")[0], code=lost)

    return Rig(
        bench.driver,
        lambda number: bench.resource(f"echo{number}"),
        _with_tag,
        orphan,
        plant,
        lambda: _counter["calls"],
        2,
    )


def _with_tag(resource: Resource) -> Resource:
    spec = {**resource.spec, "tags": {"edited": "yes"}}
    return Resource(resource.address, resource.driver, spec, artifacts=resource.artifacts)


def _same(resource: Resource) -> Resource:
    return resource


RIGS: Mapping[str, Callable[[pytest.FixtureRequest, Path], Rig]] = {
    "memory": _memory,
    "registry": _registry,
    "local": _local,
}


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """Each driver in turn, with a target of its own."""
    return RIGS[request.param](request, tmp_path)


@pytest.fixture(scope="session")
def rigged() -> frozenset[str]:
    """Names of the drivers that the contract test covers."""
    return frozenset(RIGS)
