"""Declared versions of models and environments as resources of the stage `shared`."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from mlops.errors import Location
from mlops.resolve.findings import Findings
from mlops.resolve.paths import folder_of, within
from mlops.resolve.repository import Content, DirectoryContent, Document, FileContent, Repository, Unusable
from mlops.resource import JSON, Address, Artifact, Kind, Resource
from mlops.schemas.problems import DocumentPath, Problem

REGISTRY = "registry"
"""The driver that owns models and environments."""

_AS_WRITTEN_OF_MODEL = ("type", "flavors", "description", "tags", "properties", "metrics", "trained_by")
_AS_WRITTEN_OF_ENVIRONMENT = ("python", "platforms", "image", "environment_variables", "tags", "description")
_PICKLES = {".joblib": "joblib", ".pkl": "pickle", ".pickle": "pickle", ".skops": "skops"}
_SAFE_WITHOUT_POLICY = frozenset({"skops"})


@dataclass(frozen=True, slots=True)
class Version:
    """A declared version, as a resource and as a deployment's spec has it.

    Attributes:
        resource: The version in the registry.
        part: What a deployment that names it holds of it.
        document: What is declared.
        pickles: For a model, the policy for its pickles; None where it holds none.
        lock: For an environment, its lock file.
    """

    resource: Resource
    part: Mapping[str, JSON]
    document: Document
    pickles: Mapping[str, JSON] | None = None
    lock: Artifact | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """All declared versions by `name:version`; a version with problems is None."""

    models: Mapping[str, Version | None] = field(default_factory=dict)
    environments: Mapping[str, Version | None] = field(default_factory=dict)


def combined_digest(files: Mapping[str, str]) -> str:
    """Digest of several files: that of their sorted `sha256sum` lines, two spaces between digest and name."""
    lines = sorted(f"{sha256}  {name}\n" for name, sha256 in files.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def resolve_versions(repository: Repository, findings: Findings) -> Versions:
    """Every declared version of a model or an environment."""
    return Versions(
        {key: _model(repository, key, document, findings) for key, document in repository.models.items()},
        {key: _environment(repository, key, document, findings) for key, document in repository.environments.items()},
    )


def content_at(contents: Mapping[str, Content], file: str, text: str) -> tuple[str, Content]:
    """What a path in a document leads to: the path relative to the repository, and the content.

    Args:
        contents: What the paths in documents lead to.
        file: The document.
        text: The path as it is written.
    """
    path = within(folder_of(file), text)
    if path is None:
        todo = "Name a file or folder of this repository, outside of .git and .mlops."
        return text, Unusable("Path leaves the repository", f'"{text}" does.', todo)
    return path, contents.get(path) or Unusable("File not found", f"There is no {path}.")


def unusable(path: DocumentPath, content: Unusable) -> Problem:
    """The problem of a value that names something unusable."""
    return Problem(path, content.summary, content.detail, content.todo, content.command)


def _model(repository: Repository, key: str, document: Document, findings: Findings) -> Version | None:
    name, _, version = key.partition(":")
    data = document.data
    before = len(findings)
    for problem in _tombstone(repository, name, version):
        findings.add((document.file,), problem)
    outcome = _model_files(repository, document)
    if isinstance(outcome, Problem):
        findings.add((document.file,), outcome)
        return None
    files, artifacts = outcome
    pickles = _pickles(repository, files, document, findings)
    if len(findings) > before:
        return None
    spec: dict[str, JSON] = {k: data[k] for k in _AS_WRITTEN_OF_MODEL if k in data}
    spec["files"] = files
    spec["sha256"] = data["sha256"]
    part: dict[str, JSON] = {"name": name, "version": version, "files": files}
    part.update((k, data[k]) for k in ("flavors", "type") if k in data)
    address = Address(Kind.MODEL, key)
    resource = Resource(address, REGISTRY, spec, artifacts=artifacts, origin=Location(document.file))
    return Version(resource, part, document, pickles)


def _tombstone(repository: Repository, name: str, version: str) -> Iterator[Problem]:
    if version in repository.tombstones.get(name, ()):
        detail = f"{name}:{version} was deleted, and a version number is never used again."
        todo = f"Use the next number, or take {version} out of models/{name}/tombstones.yaml if it never was deleted."
        yield Problem((), "Deleted version declared again", detail, todo)


def _model_files(repository: Repository, document: Document) -> tuple[dict[str, str], tuple[Artifact, ...]] | Problem:
    data = document.data
    if "path" not in data:
        return _remote_files(data)
    path, content = content_at(repository.content, document.file, data["path"])
    artifacts: tuple[Artifact, ...]
    match content:
        case Unusable():
            return unusable(("path",), content)
        case FileContent():
            files = {posixpath.basename(path): content.sha256}
            artifacts = (Artifact(content.sha256, path, content.size),)
        case DirectoryContent() if not content.files:
            return Problem(("path",), "Folder is empty", f"There is no file in {path}.", "Name another.")
        case DirectoryContent():
            files = {name: file.sha256 for name, file in content.files.items()}
            artifacts = tuple(Artifact(f.sha256, f"{path}/{name}", f.size) for name, f in content.files.items())
    found = content.sha256 if isinstance(content, FileContent) else combined_digest(files)
    if found != data["sha256"]:
        return _other_digest(path, found)
    return files, artifacts


def _other_digest(path: str, found: str) -> Problem:
    return Problem(
        ("sha256",),
        "Content has another sha256",
        f"The content of {path} has the sha256 {found}.",
        "A version is immutable: put the declared content back, or register the new content as the next version.",
        f"git log -- {path}",
    )


def _remote_files(data: Mapping[str, Any]) -> tuple[dict[str, str], tuple[Artifact, ...]] | Problem:
    uri: str | None = data.get("uri")
    files: dict[str, str] = dict(data.get("files") or {unquote(posixpath.basename(str(uri))): data["sha256"]})
    found = next(iter(files.values())) if len(files) == 1 else combined_digest(files)
    if found != data["sha256"]:
        detail = f"The digests under files together give {found}."
        return Problem(("sha256",), "Content has another sha256", detail, "Write that digest, or correct the files.")
    if uri is None:
        return files, ()
    if "files" not in data or len(files) == 1:
        return files, tuple(Artifact(sha256, uri) for sha256 in files.values())
    return files, tuple(Artifact(sha256, f"{uri.rstrip('/')}/{name}") for name, sha256 in files.items())


def _pickles(
    repository: Repository, files: Mapping[str, str], document: Document, findings: Findings
) -> Mapping[str, JSON] | None:
    """The policy for the formats that can run code, where a model has files of them."""
    held: dict[str, str] = {}
    for name in files:
        if found := _PICKLES.get(posixpath.splitext(name)[1].lower()):
            held.setdefault(found, name)
    for name in sorted(held.keys() - repository.formats.keys() - _SAFE_WITHOUT_POLICY):
        at: DocumentPath = ("path",) if "path" in document.data else ()
        detail = f"{held[name]} is a {name} file: reading one can run any code, and mlops.yaml does not allow it."
        policy = f"models: {{formats: {{{name}: {{classes: [CLASS, ...]}}}}}}"
        todo = f"Write into mlops.yaml which classes it may name: {policy}."
        findings.add((document.file,), Problem(at, "Format is not allowed", detail, todo))
    allowed = sorted(held.keys() & repository.formats.keys())
    if not allowed:
        return None
    classes = sorted({text for name in allowed for text in repository.formats[name]["classes"]})
    return {"formats": allowed, "classes": classes}


def _environment(repository: Repository, key: str, document: Document, findings: Findings) -> Version | None:
    name, _, version = key.partition(":")
    data = document.data
    before = len(findings)
    packages = repository.packages[key]
    findings.ready.extend(packages.diagnostics)
    for problem in packages.problems:
        findings.add((document.file,), problem)
    spec: dict[str, JSON] = {k: data[k] for k in _AS_WRITTEN_OF_ENVIRONMENT if k in data}
    artifacts: list[Artifact] = []
    lock = _lock(repository, packages.lock)
    if lock is not None:
        spec["lock"] = lock.sha256
        artifacts.append(lock)
    if "requirements" in data:
        spec["requirements"] = list(packages.requirements)
    if "conda_file" in data:
        spec["conda"] = _conda(repository, document, artifacts, findings)
    if len(findings) > before:
        return None
    part: dict[str, JSON] = {"name": name, "version": version}
    part.update((k, spec[k]) for k in ("lock", "python", "image") if k in spec)
    if "environment_variables" in data:
        part["variables"] = data["environment_variables"]
    address = Address(Kind.ENVIRONMENT, key)
    resource = Resource(address, REGISTRY, spec, artifacts=tuple(artifacts), origin=Location(document.file))
    return Version(resource, part, document, lock=lock)


def _lock(repository: Repository, path: str | None) -> Artifact | None:
    content = repository.content.get(path) if path is not None else None
    return Artifact(content.sha256, str(path), content.size) if isinstance(content, FileContent) else None


def _conda(repository: Repository, document: Document, artifacts: list[Artifact], findings: Findings) -> JSON:
    conda: JSON = document.data["conda_file"]
    if not isinstance(conda, str):
        return conda
    path, content = content_at(repository.content, document.file, conda)
    match content:
        case Unusable():
            findings.add((document.file,), unusable(("conda_file",), content))
            return None
        case DirectoryContent():
            problem = Problem(("conda_file",), "Not a file", f"{path} is a folder.", "Name the Conda environment file.")
            findings.add((document.file,), problem)
            return None
        case FileContent():
            artifacts.append(Artifact(content.sha256, path, content.size))
            return {"sha256": content.sha256}
