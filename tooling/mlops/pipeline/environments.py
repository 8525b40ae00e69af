"""Locking environments: `mlops environment lock`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from mlops import drivers
from mlops.conda import unmet_packages
from mlops.driver import Scope
from mlops.errors import Blocked, Diagnostic, InvalidRepository, Location, NotFound, did_you_mean
from mlops.loader import read
from mlops.loader.locks import lock_input
from mlops.lockfile import LockInput, lock_is_current
from mlops.pipeline.lock_making import make_lock, packages
from mlops.resolve import Repository
from mlops.resolve.repository import Document
from mlops.resource import SHARED, Address, Kind


@dataclass(frozen=True, slots=True)
class LockedEnvironment:
    """What became of a lock.

    Attributes:
        reference: `name:version`.
        path: The lock file, relative to the repository.
        packages: What it pins: "numpy 2.4.6".
        added: What it pins that it did not before.
        removed: What it pinned before and does not now.
        changed: Whether the file was written.
    """

    reference: str
    path: str
    packages: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: bool


def lock_environment(root: Path, reference: str, *, upgrade: bool = False) -> LockedEnvironment:
    """Write the lock of an environment beside its YAML; nothing is done where it is up to date.

    Args:
        root: The repository.
        reference: `name:version`, or a name: its highest version.
        upgrade: Make it anew with the newest versions, also where it is up to date.

    Raises:
        NotFound: The environment is not declared.
        InvalidRepository: Its file or its requirements cannot be used.
        Blocked: It is registered with another lock, and a version never changes.
        TargetError: There is no resolution, or not for every platform.
    """
    loaded = read(root)
    repository = loaded.repository
    reference = _find(repository, reference)
    document = repository.environments[reference]
    broken = [problem for problem in loaded.problems if problem.where and problem.where.file == document.file]
    source = _source(root, repository, reference, broken)
    path = Path(document.file).with_suffix(".lock")
    before = _read(root / path)
    if lock_is_current(before, source) and not upgrade:
        return LockedEnvironment(reference, path.as_posix(), packages(before), (), (), changed=False)
    after = make_lock(reference, source, before, upgrade=upgrade)
    if after != before:
        _refuse_registered(root, repository, reference, after)
        _write(root / path, after)
    return _compare(reference, path, before, after)


def _find(repository: Repository, reference: str) -> str:
    name, _, version = reference.partition(":")
    versions = [key.partition(":")[2] for key in repository.environments if key.partition(":")[0] == name]
    if version in versions:
        return reference
    if versions and not version:
        return f"{name}:{max(versions, key=_rank)}"
    known = sorted(repository.environments)
    raise NotFound(
        Diagnostic(
            "No such environment",
            f'Git declares no environment "{reference}". {did_you_mean(reference, known)}'.rstrip(),
            todo=f"Declared are {', '.join(known)}." if known else "Write environments/NAME/1.yaml.",
        )
    )


def _rank(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isascii() and version.isdigit() else (-1, version)


def _source(root: Path, repository: Repository, reference: str, broken: list[Diagnostic]) -> LockInput:
    """What is to be locked.

    Raises:
        InvalidRepository: Nothing can be locked, because of what the environment's own file says.
    """
    document = repository.environments[reference]
    if document.file in repository.broken:
        raise InvalidRepository(*broken)
    unmet = repository.packages[reference].conda_only
    if unmet:
        raise InvalidRepository(unmet_packages(unmet, Location(document.file)))
    if not {"requirements", "conda_file"} & document.data.keys():
        raise InvalidRepository(_nothing_to_lock(document, reference))
    return lock_input(root, document)


def _nothing_to_lock(document: Document, reference: str) -> Diagnostic:
    return Diagnostic(
        "Nothing to lock",
        f"{reference} declares neither requirements nor a Conda file.",
        Location(document.file),
        "Write requirements: as a list of packages or a path; an empty list locks the scoring server's packages only.",
    )


def _refuse_registered(root: Path, repository: Repository, reference: str, lock: str) -> None:
    """A registered version keeps its lock: what served must be there to be served again."""
    address = Address(Kind.ENVIRONMENT, reference)
    scope = Scope(repository.project_id, SHARED, drivers.REGISTRY, root, repository.registry)
    registered = drivers.make(drivers.REGISTRY, scope).observe(frozenset({address}))
    sha256 = hashlib.sha256(lock.encode()).hexdigest()
    if any(live.spec.get("lock", sha256) != sha256 for live in registered):
        raise Blocked(
            Diagnostic(
                "Environment is registered",
                f"{reference} is registered with another lock, and a version never changes.",
                Location(repository.environments[reference].file),
                "Copy its YAML to the next version, and lock that one.",
            )
        )


def _compare(reference: str, path: Path, before: str, after: str) -> LockedEnvironment:
    old, new = packages(before), packages(after)
    added = tuple(package for package in new if package not in old)
    removed = tuple(package for package in old if package not in new)
    return LockedEnvironment(reference, path.as_posix(), new, added, removed, before != after)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
