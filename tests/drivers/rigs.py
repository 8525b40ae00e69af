"""What the contract test needs of each driver: a real target, and objects for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.drivers.bench import Bench, touches

from mlops.driver import Driver, Scope
from mlops.drivers import memory
from mlops.drivers.registry import RegistryDriver
from mlops.resource import JSON, Address, Artifact, Kind, Observed, Resource, Spec


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

    return Rig(make, resource, _with_tag, orphan, None, touches, 0)


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
        touches,
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
