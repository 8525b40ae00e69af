"""Content of versions that cannot be had from here: it lies in the store of the machine on which it was registered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlops.driver import Blobs
from mlops.resolve import Resolved
from mlops.resource import Address, Artifact, Kind, Resource


def with_waits(declared: Resolved, live: Iterable[Address], blobs: Blobs) -> Resolved:
    """Let model versions that are not registered yet wait for content that is neither in the store nor in Git.

    Args:
        declared: What is declared.
        live: What is registered: its content was taken in then.
        blobs: The registry's store.
    """
    there = set(live)
    waits = {r.address: tuple(_missing(r, blobs)) for r in declared.shared if r.address not in there}
    if not any(waits.values()):
        return declared
    shared = (replace(r, waits=(*r.waits, *waits.get(r.address, ()))) for r in declared.shared)
    return replace(declared, shared=tuple(shared))


def _missing(resource: Resource, blobs: Blobs) -> Iterator[str]:
    files = resource.spec.get("files")
    if resource.address.kind is not Kind.MODEL or not isinstance(files, Mapping):
        return
    sources = {artifact.sha256: artifact for artifact in resource.artifacts}
    for name, sha256 in files.items():
        if not _is_here(sources.get(str(sha256))) and not blobs.has(str(sha256)):
            yield f"content of {name}, sha256 {str(sha256)[:12]}"


def _is_here(artifact: Artifact | None) -> bool:
    """Whether the content lies in the repository, where the loader has seen it, or at a file's address."""
    if artifact is None:
        return False
    return "://" not in artifact.source or Path(unquote(urlsplit(artifact.source).path)).exists()
