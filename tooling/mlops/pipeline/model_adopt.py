"""Adopting a version that only the registry has: its YAML is written, so that people can review it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mlops.drivers.registry import copy_file
from mlops.errors import Blocked, Diagnostic
from mlops.pipeline.model_document import render, write_new
from mlops.pipeline.model_numbers import checked_name, checked_reference
from mlops.pipeline.model_register import BESIDE_LIMIT
from mlops.pipeline.model_staging import model_folder, staging
from mlops.pipeline.registry_access import registry_of
from mlops.pipeline.registry_versions import show_version
from mlops.pipeline.workspace import Workspace
from mlops.resource import JSON, Kind, Spec
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.names import Reference


@dataclass(frozen=True, slots=True)
class Adopted:
    """A version that Git declares from now on.

    Attributes:
        reference: `name:version`.
        file: The YAML, relative to the repository.
        beside: Whether its content was copied beside the YAML; otherwise it stays in the blob store alone.
    """

    reference: str
    file: str
    beside: bool


def adopt(workspace: Workspace, reference: str, *, beside_limit: int = BESIDE_LIMIT) -> Adopted:
    """Write the YAML of a registered model version that Git does not declare.

    Args:
        workspace: The opened repository.
        reference: `name:version`.
        beside_limit: Bytes up to which its content is copied beside the YAML.

    Raises:
        NotFound: The registry has no such version.
        Blocked: Git declares it already, or its number was deleted.
        TargetError: Its content is missing or damaged.
    """
    found = checked_reference(reference)
    checked_name(workspace, found.name)
    _refuse_known(workspace, found)
    spec = show_version(workspace, Kind.MODEL, found).version.spec
    files = cast("Mapping[str, str]", spec.get("files") or {})
    blobs = registry_of(workspace).blobs
    paths = {name: blobs.path(sha256) for name, sha256 in files.items()}
    file = f"models/{found.name}/{found.version}.yaml"
    folder = model_folder(workspace, found.name)
    inside = _path(found, files, spec)
    beside = inside is not None and sum(path.stat().st_size for path in paths.values()) <= beside_limit
    text = render(DocumentKind.MODEL, _document(spec, inside if beside else None), file)
    target = folder / found.version
    try:
        if beside:
            _copy(paths, target)
        write_new(folder / f"{found.version}.yaml", text)
    except FileExistsError as error:
        raise _in_the_way(found, str(error.filename)) from error
    return Adopted(str(found), file, beside)


def _refuse_known(workspace: Workspace, reference: Reference) -> None:
    if str(reference) in workspace.repository.models:
        raise Blocked(
            Diagnostic("Version is declared already", f"Git has {reference}.", command=f"mlops model show {reference}")
        )
    if reference.version in workspace.repository.tombstones.get(reference.name, ()):
        detail = f"{reference} was deleted, and a version number is never used again."
        raise Blocked(Diagnostic("Version was deleted", detail, todo="Register its content as the next version."))


def _path(reference: Reference, files: Mapping[str, str], spec: Spec) -> str | None:
    """What the YAML's `path` says so that its digest stays the same; None where no path can say it."""
    only = next(iter(files)) if len(files) == 1 else None
    if only is None or spec.get("sha256") != files[only]:
        return reference.version
    return f"{reference.version}/{only}" if "/" not in only else None


def _document(spec: Spec, path: str | None) -> dict[str, JSON]:
    document = {key: value for key, value in spec.items() if key not in {"files", "sha256"}}
    if path is None:
        document["files"] = spec["files"]
    else:
        document["path"] = path
    document["sha256"] = spec["sha256"]
    return document


def _copy(paths: Mapping[str, Path], target: Path) -> None:
    """Copy content into a folder that is there complete or not at all.

    Raises:
        FileExistsError: The folder is there.
    """
    with staging(target.parent) as staged:
        for name, path in paths.items():
            copy_file(path, staged / name)
        target.mkdir()
        staged.replace(target)


def _in_the_way(reference: Reference, path: str) -> Blocked:
    detail = f"{path} is where the files of {reference} belong."
    return Blocked(Diagnostic("Something is in the way", detail, todo="Move it away and adopt again."))
