"""How a damaged registry is made good: from what can be read of its index, from its journal, and from Git."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.drivers.registry.blobs import FileBlobs
from mlops.drivers.registry.driver import RegistryDriver, utc_now
from mlops.drivers.registry.durable import sync_directory
from mlops.drivers.registry.failures import NewerFormat, disk_failed, index_failed
from mlops.drivers.registry.index import Index
from mlops.drivers.registry.journal import Replay, replay
from mlops.drivers.registry.opening import companions, create
from mlops.drivers.registry.rows import Row, content_digest, contents
from mlops.drivers.registry.transaction import Transaction, to_row
from mlops.errors import MlopsError, TargetError
from mlops.resource import SHARED, Resource, Stamp


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What making the index again came to.

    Attributes:
        versions: How many versions the new index holds.
        from_git: Addresses that only Git still knew.
        set_aside: Where damaged files were moved to.
        restored: Digests of content that was taken in again from the repository.
    """

    versions: int
    from_git: tuple[str, ...]
    set_aside: tuple[Path, ...]
    restored: tuple[str, ...]


def rebuild(registry: RegistryDriver, declared: Iterable[Resource], project: str) -> Rebuilt:
    """Make the index again, and restore content from the repository.

    What the old index and the journal say is kept. What Git declares beside that is registered only where the journal
    is damaged or lost; otherwise it was never applied, and stays for the next apply.

    Args:
        registry: Where; no other process may be writing to it.
        declared: The models and environments that Git declares.
        project: The project's id, for the stamps of what only Git knows.

    Raises:
        TargetError: The index is of a newer format, another process is writing, or the disk is full.
    """
    resources = list(declared)
    set_aside = list(_set_aside_damaged(registry.blobs))
    restored = _restore(registry, resources)
    index = registry.index
    try:
        with index.alone():
            old = _salvage(index)
            told = replay(index.journal.path)
            rows = {**{a: r for a, r in told.rows.items() if a not in old.retired}, **old.rows}
            retired = {a: c for a, c in {**told.retired, **old.retired}.items() if a not in rows}
            found = _only_in_git(registry, resources, rows, retired, project) if _lossy(index, told) else {}
            set_aside.extend(_keep_old(index))
            _write(index, {**rows, **found}, retired)
    except sqlite3.Error as error:
        raise index_failed(error, index.path) from error
    except OSError as error:
        raise disk_failed(error, index.path) from error
    return Rebuilt(len(rows) + len(found), tuple(sorted(found)), tuple(set_aside), restored)


def _set_aside_damaged(blobs: FileBlobs) -> Iterable[Path]:
    for sha256 in sorted(blobs.present()):
        try:
            blobs.verify(sha256)
        except TargetError:
            yield blobs.set_aside(sha256)


def _restore(registry: RegistryDriver, resources: Iterable[Resource]) -> tuple[str, ...]:
    """Take in what is missing of the declared content and can be had here."""
    restored: list[str] = []
    for resource in resources:
        try:
            missing = list(registry.missing(resource))
            registry.blobs.add_many(missing)
        except MlopsError:  # it stays missing, and `verify` says so
            continue
        restored.extend(sha256 for _, sha256 in missing)
    return tuple(restored)


def _salvage(index: Index) -> Replay:
    """What can be read of an index that may be damaged; a row that has another digest than its own is none."""
    try:
        rows = [to_row(record) for record in index.records()]
        retired = index.retired()
    except NewerFormat:
        raise
    except TargetError:
        return Replay({}, {}, 1)
    finally:
        index.close_reader()
    return Replay({row.address: row for row in rows if _sound(row)}, retired, 0)


def _sound(row: Row) -> bool:
    try:
        return content_digest(row.parsed) == row.content
    except ValueError:
        return False


def _lossy(index: Index, told: Replay) -> bool:
    return told.unreadable > 0 or not index.journal.path.exists()


def _only_in_git(
    registry: RegistryDriver,
    resources: Iterable[Resource],
    rows: Mapping[str, Row],
    retired: Mapping[str, str],
    project: str,
) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for resource in resources:
        address = str(resource.address)
        known = address in rows or address in retired
        if not known and all(registry.blobs.has(sha256) for _, sha256 in contents(resource.spec)):
            stamp = Stamp(project, SHARED, address, resource.goal)
            found[address] = Row.of(resource, stamp, utc_now())
    return found


def _keep_old(index: Index) -> Iterable[Path]:
    """Copy nothing, lose nothing: link what is there of the old index into `damaged/` before it is replaced."""
    folder = index.path.parent / "damaged"
    mark = secrets.token_hex(4)
    for path in (index.path, companions(index.path)[0], index.journal.path):
        if path.exists():
            folder.mkdir(exist_ok=True)
            kept = folder / f"{mark}-{path.name}"
            os.link(path, kept)
            yield kept


def _write(index: Index, rows: Mapping[str, Row], retired: Mapping[str, str]) -> None:
    """Replace the index, then the journal; after each step the registry is whole."""
    lines: list[bytes] = []

    def fill(connection: sqlite3.Connection) -> None:
        transaction = Transaction(connection, lines)
        for address, content in sorted(retired.items()):
            transaction.retire(address, content)
        for _, row in sorted(rows.items()):
            transaction.put(row)

    create(index.path, fill)
    new = index.journal.path.with_suffix(".new")
    with new.open("wb") as stream:
        stream.writelines(lines)
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(index.journal.path)
    sync_directory(index.path.parent)
