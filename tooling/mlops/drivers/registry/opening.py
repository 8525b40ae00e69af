"""How an index file is made and opened, also where nothing can be written."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from mlops.drivers.registry.durable import sync_directory
from mlops.drivers.registry.failures import index_damaged, newer_index

FORMAT = 1
_APPLICATION = 0x6D6C6F70  # "mlop": by it a file that is no index of ours is told apart
_PAGE = 4096
_PATIENCE = 30.0
"""Seconds to wait for another writer: longer than any transaction of ours."""

_SCHEMA = f"""
CREATE TABLE version (
    address TEXT PRIMARY KEY, content TEXT NOT NULL, spec TEXT NOT NULL, created TEXT NOT NULL,
    project TEXT, stage TEXT, goal TEXT, format INTEGER
) WITHOUT ROWID, STRICT;
CREATE TABLE retired (address TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID, STRICT;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {FORMAT};
"""


def create(path: Path, fill: Callable[[sqlite3.Connection], None] | None = None) -> None:
    """Make an index, in place of one that may be there; it has its name only once it is complete.

    Args:
        path: Where; the caller keeps every other writer away.
        fill: Writes what it begins with, in one transaction.

    Raises:
        OSError: The folder cannot be written.
        sqlite3.Error: As above, said by SQLite.
    """
    new = path.with_suffix(".new")
    for leftover in (new, *companions(new)):
        leftover.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
        if fill:
            connection.execute("BEGIN IMMEDIATE")
            fill(connection)
            connection.execute("COMMIT")
    for companion in companions(path):  # a log of another index would be taken for this one's
        companion.unlink(missing_ok=True)
    new.rename(path)
    sync_directory(path.parent)


def open_writer(path: Path) -> sqlite3.Connection:
    """Open an index for reading and writing.

    Raises:
        TargetError: It is none of ours, or a newer one.
        sqlite3.Error: It is damaged or cannot be written.
    """
    return _open(f"{_uri(path)}?mode=rw", path)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an index for reading, on a read-only file system and without permission to write as well.

    SQLite reads a log only where it may keep shared memory beside it. Where it may not, an index without a log is read
    as it is, and one with a log from a copy of both.

    Raises:
        TargetError: It is none of ours, or a newer one.
        sqlite3.Error: It is damaged or cannot be read.
        OSError: It cannot be copied.
    """
    try:
        return _open(f"{_uri(path)}?mode=ro", path)
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK):
            raise
    log = companions(path)[0]
    if not log.exists() or not log.stat().st_size:
        return _open(f"{_uri(path)}?immutable=1", path)
    with tempfile.TemporaryDirectory(prefix="mlops-registry-") as folder:
        for source in (path, log):
            shutil.copyfile(source, Path(folder) / source.name)
        copied = _open(f"{_uri(Path(folder) / path.name)}?mode=rw", path)
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with contextlib.closing(copied):
            copied.backup(memory)
        return memory


def companions(path: Path) -> tuple[Path, Path]:
    """The files that SQLite keeps beside an index: the log, and the shared memory."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _uri(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}"


def _open(uri: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        _expect_ours(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _expect_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no index of ours, or was cut off where SQLite would read zeros instead of what is lost.

    SQLite itself notices every whole page that is missing. While there is a log, a page that was not written to its
    end may be in the log.
    """
    log = companions(path)[0]
    if path.stat().st_size % _PAGE and not (log.exists() and log.stat().st_size):
        raise index_damaged(path, "It was cut off")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise index_damaged(path, "It is empty, or another program's file")
    if version > FORMAT:
        raise newer_index(path, version, FORMAT)
