"""Deleting a version: refused while anything uses it; its number is remembered in Git and never used again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mlops.errors import Blocked, Diagnostic, Location
from mlops.pipeline.model_document import append_tombstone
from mlops.pipeline.model_numbers import checked_reference, declared_file
from mlops.pipeline.usage import users_of
from mlops.pipeline.workspace import Workspace
from mlops.resource import JSON, Address, Kind
from mlops.schemas.names import Reference


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion came to; the next apply takes the version out of the registry.

    Attributes:
        reference: `name:version`.
        removed: Files and folders that are gone, relative to the repository.
        tombstones: The file that remembers the number.
    """

    reference: str
    removed: tuple[str, ...]
    tombstones: str


def delete(workspace: Workspace, reference: str, reason: str = "") -> Deleted:
    """Take a model version out of Git.

    Args:
        workspace: The opened repository.
        reference: `name:version`.
        reason: Why; kept with the tombstone.

    Raises:
        NotFound: Git declares no such version.
        Blocked: Something uses it, or cannot be asked whether it does; names every user.
    """
    found = checked_reference(reference)
    file = declared_file(workspace, found)
    address = Address(Kind.MODEL, str(found))
    refuse_used(found, users_of(workspace, frozenset({address})).get(address, ()), file)
    tombstones = f"models/{found.name}/tombstones.yaml"
    tombstone: dict[str, JSON] = {"version": found.version}
    if reason:
        tombstone["reason"] = reason
    now = datetime.fromtimestamp(workspace.clock.time(), UTC)
    tombstone["when"] = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    content = _content_beside(workspace, found, file)
    if found.version not in workspace.repository.tombstones.get(found.name, ()):
        append_tombstone(workspace.root / tombstones, tombstones, tombstone)
    (workspace.root / file).unlink()
    removed = [file]
    if content is not None:
        _remove(workspace.root / content)
        removed.append(content)
    return Deleted(str(found), tuple(removed), tombstones)


def refuse_used(reference: Reference, users: Sequence[str], file: str) -> None:
    """Refuse to delete what is used.

    Raises:
        Blocked: There are users; one problem for each.
    """
    if users:
        raise Blocked(
            *(
                Diagnostic(
                    "Model is in use",
                    f"{reference} is used by {user}.",
                    Location(file),
                    "Let what uses it use another version, apply that, and delete it then.",
                )
                for user in users
            )
        )


def _content_beside(workspace: Workspace, reference: Reference, file: str) -> str | None:
    """What lies beside the YAML under the version's number, and only where this YAML alone names it."""
    path = workspace.repository.models[str(reference)].data.get("path")
    if not isinstance(path, str):
        return None
    first = PurePosixPath(path).parts[0]
    if first.partition(".")[0] != reference.version or _shared_with_another(workspace, reference, first):
        return None
    content = str(PurePosixPath(file).parent / first)
    return content if (workspace.root / content).exists() else None


def _shared_with_another(workspace: Workspace, reference: Reference, folder: str) -> bool:
    """Whether another version's YAML names files in this version's folder."""
    return any(
        PurePosixPath(str(document.data.get("path", "."))).parts[:1] == (folder,)
        for key, document in workspace.repository.models.items()
        if key != str(reference) and key.startswith(f"{reference.name}:")
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
