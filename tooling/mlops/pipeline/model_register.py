"""Registering a model: the next version gets a YAML in Git, its digest, and a place for its bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from mlops.drivers.registry import copy_file
from mlops.errors import Diagnostic, TargetError
from mlops.git import GitRepository
from mlops.pipeline.model_document import render, write_new
from mlops.pipeline.model_files import Content, find_content
from mlops.pipeline.model_numbers import checked_name, next_number
from mlops.pipeline.model_pickles import refuse_pickles
from mlops.pipeline.model_staging import model_folder, staging
from mlops.pipeline.registry_access import registry_of
from mlops.pipeline.workspace import Workspace
from mlops.resolve import combined_digest
from mlops.resource import JSON
from mlops.schemas.kinds import DocumentKind

BESIDE_LIMIT = 10 * 1024 * 1024
"""Bytes up to which content goes into Git; larger content makes every clone slow."""

_CLAIMS = 1000


@dataclass(frozen=True)
class Registration:
    """What is said of a new version.

    Attributes:
        description: What it is.
        tags: Searchable, may be edited later.
        properties: Searchable, immutable.
        metrics: What was measured.
        trained_by: Where it comes from, as the YAML's `trained_by`.
        training: A folder of the Git repository that trained it; its address, branch and commit are written down.
        type: In Azure ML's words; None guesses from the files.
        flavors: How it can be loaded; None guesses from the files.
        beside_limit: Bytes up to which content is copied beside the YAML instead of into the blob store.
    """

    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    trained_by: Mapping[str, JSON] = field(default_factory=dict)
    training: Path | None = None
    type: str | None = None
    flavors: Mapping[str, Mapping[str, JSON]] | None = None
    beside_limit: int = BESIDE_LIMIT


@dataclass(frozen=True, slots=True)
class Registered:
    """A new version.

    Attributes:
        name: The model.
        version: Its number.
        file: The YAML, relative to the repository.
        sha256: Digest of the content.
        files: Digest by name.
        size: Bytes of all files.
        beside: Whether the content lies beside the YAML; otherwise it is in the blob store.
    """

    name: str
    version: str
    file: str
    sha256: str
    files: Mapping[str, str]
    size: int
    beside: bool

    @property
    def reference(self) -> str:
        """`name:version`, as an endpoint names it."""
        return f"{self.name}:{self.version}"


def register(
    workspace: Workspace, name: str, paths: Sequence[Path], registration: Registration | None = None
) -> Registered:
    """Declare the next version of a model; an apply puts it into the registry.

    Args:
        workspace: The opened repository.
        name: The model's name.
        paths: Its files, or a folder.
        registration: What is said of it.

    Raises:
        InvalidRepository: A name or a file cannot be used; nothing has changed then.
        Blocked: A file holds a pickle that `mlops.yaml` does not allow.
        TargetError: The content cannot be stored.
    """
    said = registration or Registration()
    checked_name(workspace, name)
    content = find_content(paths)
    refuse_pickles(content, workspace.repository)
    document = _describe(content, said)
    render(DocumentKind.MODEL, {**document, "path": "unknown", "sha256": "0" * 64}, f"models/{name}")
    if content.size > said.beside_limit:
        return _store(workspace, name, content, document)
    return _lay_beside(workspace, name, content, document)


def _describe(content: Content, said: Registration) -> dict[str, JSON]:
    """What the YAML says, but for the content."""
    document: dict[str, JSON] = {}
    if said.description:
        document["description"] = said.description
    document["type"] = said.type or content.type
    flavors = content.flavors if said.flavors is None else said.flavors
    parts: Mapping[str, Mapping[str, JSON]] = {
        "flavors": flavors,
        "tags": said.tags,
        "properties": said.properties,
        "metrics": said.metrics,
        "trained_by": {**(_trained_in(said.training) if said.training else {}), **said.trained_by},
    }
    document.update((key, dict(value)) for key, value in parts.items() if value)
    return document


def _trained_in(folder: Path) -> dict[str, JSON]:
    """Address, branch and commit of a repository; an address may hold a password, which stays out."""
    git = GitRepository.open(folder)
    revision = git.revision()
    url = git.remote_url("origin")
    found: dict[str, JSON | None] = {
        "repository": _without_password(url) if url else None,
        "branch": revision.branch,
        "commit": revision.commit,
        "dirty": True if revision.dirty else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    keep = f"{user}@" if parts.scheme == "ssh" and ":" not in user else ""
    return urlunsplit(parts._replace(netloc=keep + host))


def _store(workspace: Workspace, name: str, content: Content, document: Mapping[str, JSON]) -> Registered:
    """Put the content into the blob store at once; the YAML holds digests only."""
    digests = registry_of(workspace).blobs.take(file.path for file in content.files)
    files = {file.name: sha256 for file, sha256 in zip(content.files, digests, strict=True)}
    sha256 = digests[0] if len(digests) == 1 else combined_digest(files)
    whole = {**document, "files": files, "sha256": sha256}
    folder = model_folder(workspace, name)
    for number in _numbers(workspace, name):
        file = f"models/{name}/{number}.yaml"
        try:
            write_new(folder / f"{number}.yaml", render(DocumentKind.MODEL, whole, file))
        except FileExistsError:
            continue
        return Registered(name, str(number), file, sha256, files, content.size, beside=False)
    raise _no_number(name)


def _lay_beside(workspace: Workspace, name: str, content: Content, document: Mapping[str, JSON]) -> Registered:
    """Copy the content into a folder of the version's number beside the YAML."""
    folder = model_folder(workspace, name)
    with _copied(folder, content) as (staged, files):
        alone = None if content.folder or len(files) > 1 else next(iter(files))
        sha256 = files[alone] if alone else combined_digest(files)
        for number in _numbers(workspace, name):
            file = f"models/{name}/{number}.yaml"
            path = f"{number}/{alone}" if alone else str(number)
            text = render(DocumentKind.MODEL, {**document, "path": path, "sha256": sha256}, file)
            if _claim(folder, number, staged, text):
                return Registered(name, str(number), file, sha256, files, content.size, beside=True)
    raise _no_number(name)


def _claim(folder: Path, number: int, staged: Path, text: bytes) -> bool:
    """Take a number by its folder, then write the YAML; False where somebody else has it."""
    target = folder / str(number)
    try:
        target.mkdir()
    except FileExistsError:
        return False
    staged.replace(target)
    try:
        write_new(folder / f"{number}.yaml", text)
    except FileExistsError:
        target.replace(staged)
        return False
    except BaseException:
        shutil.rmtree(target)
        raise
    return True


@contextmanager
def _copied(folder: Path, content: Content) -> Iterator[tuple[Path, dict[str, str]]]:
    """The files in a hidden folder, and their digests; what is not claimed is removed."""
    try:
        with staging(folder) as staged:
            yield staged, {file.name: copy_file(file.path, staged / file.name) for file in content.files}
    except OSError as error:
        detail = f"{error.filename or folder}: {error.strerror}."
        todo = "Mend it and register again."
        raise TargetError(Diagnostic("Model file cannot be copied", detail, todo=todo)) from error


def _numbers(workspace: Workspace, name: str) -> Iterator[int]:
    first = next_number(workspace, name)
    yield from range(first, first + _CLAIMS)


def _no_number(name: str) -> TargetError:
    detail = f"{_CLAIMS} numbers after the last version of {name} were taken while this was registering."
    return TargetError(Diagnostic("No free version number", detail, todo="Look at the model's folder and try again."))
