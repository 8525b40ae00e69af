"""What a repository declares, as values: checked documents, and the digests of the files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from mlops.errors import Diagnostic, Location
from mlops.resource import JSON
from mlops.schemas.problems import DocumentPath, Problem

Data: TypeAlias = "Mapping[str, Any]"
"""Plain JSON data that a schema has checked; Any, because the schema knows the types and Python does not."""

PROJECT_FILE = "mlops.yaml"


class Locator(Protocol):
    """Finds the line and column of a value; reads the file again, so it is for errors and for `show` only."""

    def __call__(self, files: tuple[str, ...], path: DocumentPath, *, at_key: bool = False) -> Location:
        """Where the first of these files that holds the value holds it; otherwise what is nearest to it.

        Args:
            files: Paths relative to the repository, the strongest first.
            path: The value within the document.
            at_key: Point at the key instead of the value.
        """


@dataclass(frozen=True, slots=True)
class Document:
    """One file's checked data.

    Attributes:
        file: Path relative to the repository.
        data: What the user wrote, without defaults; of a stage file, endpoint.yaml merged with it.
    """

    file: str
    data: Data


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint's folder.

    Attributes:
        name: The folder's name.
        file: Path of endpoint.yaml, relative to the repository.
        stages: For each stage that deploys it, the merged declaration; its `file` is the stage file.
    """

    name: str
    file: str
    stages: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file that a document names.

    Attributes:
        sha256: Digest of its bytes.
        size: Bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class DirectoryContent:
    """A folder that a document names.

    Attributes:
        files: Its files by path relative to it, as `mlops.archive` packs them.
        archive: Digest of its deterministic tar; None where nobody asked.
    """

    files: Mapping[str, FileContent]
    archive: str | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """A path that a document names and that cannot be used, and why."""

    summary: str
    detail: str = ""
    todo: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Packages:
    """What an environment installs, and how far it is locked.

    Attributes:
        requirements: Normalised pip requirements, from the file, the list or the Conda file.
        lock: Path of the lock file, relative to the repository; None where there is none.
        problems: Why the lock is missing or out of date.
        conda_only: Conda packages that pip cannot install.
        diagnostics: Why the requirements cannot be used, with places in the file that lists them.
    """

    requirements: tuple[str, ...] = ()
    lock: str | None = None
    problems: tuple[Problem, ...] = ()
    conda_only: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


Content: TypeAlias = "FileContent | DirectoryContent | Unusable"


@dataclass(frozen=True)
class Repository:
    """Everything that is declared in a repository.

    Attributes:
        root: The repository's root folder.
        project: `mlops.yaml`.
        models: Versions of models by `name:version`.
        environments: Versions of environments by `name:version`.
        endpoints: Endpoints by name.
        tombstones: Versions of each model that were deleted.
        content: What the paths in documents lead to, by path relative to the root.
        values: What is in the JSON files that documents name, by path relative to the root.
        packages: What each environment installs, by `name:version`.
        broken: Files whose problems were reported, so that nothing else is said about what they declare.
        locate: Finds lines.
    """

    root: Path
    project: Document
    models: Mapping[str, Document]
    environments: Mapping[str, Document]
    endpoints: Mapping[str, Endpoint]
    tombstones: Mapping[str, frozenset[str]]
    content: Mapping[str, Content]
    values: Mapping[str, JSON | Unusable]
    packages: Mapping[str, Packages]
    locate: Locator
    broken: frozenset[str] = frozenset()

    @property
    def project_id(self) -> str:
        """The project's id."""
        return str(self.project.data.get("project", ""))

    @property
    def stages(self) -> Mapping[str, Data]:
        """The declared stages with their rules, in the order of promotion."""
        stages: Mapping[str, Data] = self.project.data.get("stages", {})
        return stages

    @property
    def computes(self) -> Mapping[str, Data]:
        """The declared computes with their options, the type among them."""
        computes: Mapping[str, Data] = self.project.data.get("computes", {})
        return computes

    @property
    def registry(self) -> Data:
        """The registry's options."""
        registry: Data = self.project.data.get("registry") or {"type": "embedded"}
        return registry

    @property
    def ledger(self) -> Data:
        """The ledger's options: `remote`, if it is shared."""
        ledger: Data = self.project.data.get("ledger") or {}
        return ledger

    @property
    def formats(self) -> Mapping[str, Data]:
        """The formats of model files that can run code and are allowed, with the classes that they may name."""
        formats: Mapping[str, Data] = (self.project.data.get("models") or {}).get("formats") or {}
        return formats
