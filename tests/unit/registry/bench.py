"""A repository's root with a registry, and versions to put into it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mlops.driver import Scope
from mlops.drivers.registry import RegistryDriver
from mlops.resource import JSON, SHARED, Address, Artifact, Kind, Observed, Resource, Spec, Stamp


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Bench:
    """A repository's root, drivers for it, and versions of models."""

    root: Path
    project: str = "project"
    drivers: list[RegistryDriver] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / ".mlops/registry"

    def driver(self, project: str | None = None) -> RegistryDriver:
        made = RegistryDriver(Scope(project or self.project, SHARED, "registry", self.root))
        self.drivers.append(made)
        return made

    def model(self, reference: str = "fraud:1", content: bytes = b"weights", **more: JSON) -> Resource:
        """A model of one file, which is written below the root."""
        sha256 = sha256_of(content)
        source = f"files/{sha256}.bin"
        (self.root / "files").mkdir(exist_ok=True)
        (self.root / source).write_bytes(content)
        spec: Spec = {"files": {"model.bin": sha256}, "sha256": sha256, **more}
        artifacts = (Artifact(sha256, source, len(content)),)
        return Resource(Address(Kind.MODEL, reference), "registry", spec, artifacts=artifacts)

    def environment(self, reference: str = "onnx:1", lock: bytes = b"numpy==2.0\n") -> Resource:
        sha256 = sha256_of(lock)
        (self.root / "onnx.lock").write_bytes(lock)
        spec: Spec = {"lock": sha256, "python": "3.11", "requirements": ["numpy"]}
        artifacts = (Artifact(sha256, "onnx.lock"),)
        return Resource(Address(Kind.ENVIRONMENT, reference), "registry", spec, artifacts=artifacts)

    def stamp(self, resource: Resource, project: str | None = None) -> Stamp:
        return Stamp(project or self.project, SHARED, str(resource.address), resource.goal)

    def put(self, *resources: Resource) -> RegistryDriver:
        """Register with one driver, one by one, and give it back."""
        driver = self.driver()
        for resource in resources:
            driver.put(resource, self.stamp(resource))
        return driver

    def seen(self, driver: RegistryDriver | None = None) -> dict[str, Observed]:
        """What a new driver observes, by address."""
        return {str(o.address): o for o in (driver or self.driver()).observe()}

    def blob(self, content: bytes = b"weights") -> Path:
        sha256 = sha256_of(content)
        return self.folder / "sha256" / sha256[:2] / sha256[2:]
