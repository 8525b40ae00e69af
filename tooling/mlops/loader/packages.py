"""What an environment installs, as it was read before; what is new or changed is read by `locks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlops.loader.cache import Cache
from mlops.loader.listing import listing
from mlops.resolve.repository import Content, DirectoryContent, Document, FileContent, Packages, Unusable
from mlops.resolve.versions import content_at, unusable
from mlops.resource import JSON, digest
from mlops.schemas.problems import Problem


def packages_of(
    root: Path, cache: Cache, key: str, document: Document, content: Mapping[str, Content], lock: str | None
) -> Packages:
    """What an environment installs.

    Args:
        root: The repository's root.
        cache: Keeps what is in order.
        key: `name:version`.
        document: The environment.
        content: Digests of the files that documents name.
        lock: Path of the lock, where there is one.
    """
    name = _cache_key(document, content, lock)
    known = cache.document(name) if name is not None else None
    if isinstance(known, Mapping):
        return Packages(_texts(known["requirements"]), lock, conda_only=_texts(known["conda_only"]))
    if (problem := _listing_problem(document, content)) is not None:
        return Packages(lock=lock, problems=(problem,))
    from mlops.loader.locks import read_packages  # noqa: PLC0415 - only on a cache miss

    packages = read_packages(root, key, document, lock)
    if name is not None and not packages.problems and not packages.diagnostics:
        cache.keep_document(name, {"requirements": packages.requirements, "conda_only": packages.conda_only})
    return packages


def _cache_key(document: Document, content: Mapping[str, Content], lock: str | None) -> str | None:
    """A key made of all that decides the outcome; None where some of it cannot be read."""
    parts: list[JSON] = [dict(document.data)]
    for path in (lock, listing(document)):
        found = content.get(path) if path is not None else None
        if path is not None and not isinstance(found, FileContent):
            return None
        parts.append(found.sha256 if isinstance(found, FileContent) else None)
    return f"packages:{digest(parts)}"


def _listing_problem(document: Document, content: Mapping[str, Content]) -> Problem | None:
    """Why the file that lists the packages cannot be used."""
    key = "requirements" if "requirements" in document.data else "conda_file"
    named = document.data.get(key)
    if not isinstance(named, str):
        return None
    path, found = content_at(content, document.file, named)
    match found:
        case Unusable():
            return unusable((key,), found)
        case DirectoryContent():
            return Problem((key,), "Not a file", f"{path} is a folder.", "Name a file.")
        case FileContent():
            return None


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
