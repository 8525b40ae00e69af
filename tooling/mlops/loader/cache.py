"""What was read before: checked documents by digest of their content, and digests of files by their status.

One SQLite file, read in one go and written at the end. It may be deleted at any time, is never trusted across versions
of the toolkit or of the schemas, and where it cannot be read or written, everything is simply read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mlops import __version__
from mlops.resource import JSON

CACHE_FILE = ".mlops/cache/loader.sqlite"

_LIMIT = 256 << 20
"""A larger cache is thrown away; bytes."""

_SPARE = 2000
"""Rows that may be kept beyond those of this and one other checkout."""

_PATIENCE = 0.25
"""Seconds to wait for another process that is writing; after that, this command does without."""

_TABLES = """
CREATE TABLE IF NOT EXISTS identity (value TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY, check_sum INTEGER, data BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, seen INTEGER, sha256 TEXT
) WITHOUT ROWID;
"""


class FileRow(NamedTuple):
    """The digest of a file, and the status that it had when it was read; times in nanoseconds."""

    size: int
    mtime: int
    ctime: int
    inode: int
    seen: int
    sha256: str


@dataclass
class Cache:
    """Rows as they were on disk, and those that are new.

    Attributes:
        path: The SQLite file; None keeps nothing.
    """

    path: Path | None
    _documents: dict[str, tuple[int, object]] = field(default_factory=dict)
    _files: dict[str, FileRow] = field(default_factory=dict)
    _new_documents: dict[str, tuple[int, object]] = field(default_factory=dict)
    _new_files: dict[str, FileRow] = field(default_factory=dict)
    _used_documents: set[str] = field(default_factory=set)
    _used_files: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, root: Path, *, enabled: bool = True) -> Cache:
        """Read the cache of a repository; empty where there is none that can be used."""
        if not enabled:
            return cls(None)
        path = root / CACHE_FILE
        cache = cls(path)
        if not _is_plain(root, path):
            return cls(None)
        with contextlib.suppress(sqlite3.Error, OSError, ValueError, TypeError):
            cache._read()
        return cache

    def _read(self) -> None:
        path = self.path
        if path is None or not path.exists() or path.stat().st_size > _LIMIT:
            return
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
            if connection.execute("SELECT value FROM identity").fetchall() != [(identity(),)]:
                return
            documents = connection.execute("SELECT key, check_sum, data FROM documents").fetchall()
            files = connection.execute("SELECT path, size, mtime, ctime, inode, seen, sha256 FROM files").fetchall()
        self._documents = {key: (check_sum, data) for key, check_sum, data in documents}
        self._files = {row[0]: FileRow(*row[1:]) for row in files}

    def document(self, key: str) -> JSON:
        """The data under a key; None where it is not there or damaged (null itself is never kept)."""
        self._used_documents.add(key)
        found = self._documents.get(key, self._new_documents.get(key))
        if found is None:
            return None
        check_sum, data = found
        if not isinstance(data, bytes) or zlib.crc32(data) != check_sum:
            return None
        value: JSON = json.loads(data.decode())
        return value

    def keep_document(self, key: str, value: JSON) -> None:
        """Remember the data under a key."""
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        self._used_documents.add(key)
        self._new_documents[key] = (zlib.crc32(data), data)

    def file(self, path: str) -> FileRow | None:
        """What is known of a file."""
        self._used_files.add(path)
        return self._files.get(path)

    def keep_file(self, path: str, row: FileRow) -> None:
        """Remember a file's digest."""
        self._used_files.add(path)
        self._new_files[path] = row

    def save(self) -> None:
        """Write what is new; a cache that cannot be written is left as it is."""
        documents = _unused(self._documents, self._used_documents)
        files = _unused(self._files, self._used_files)
        if self.path is None or not any((self._new_documents, self._new_files, documents, files)):
            return
        try:
            self._write(self.path, documents, files)
        except sqlite3.OperationalError:
            return  # busy, read-only or full: the next command tries again
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError, sqlite3.Error):
                self.path.unlink()
                self._write(self.path, (), ())
        except OSError:
            return

    def _write(self, path: Path, old_documents: Iterable[str], old_files: Iterable[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LIMIT:
            path.unlink()
        with contextlib.closing(sqlite3.connect(path, timeout=_PATIENCE)) as connection, connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            if connection.execute("SELECT value FROM identity").fetchall() != [(identity(),)]:
                for table in ("identity", "documents", "files"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
                connection.execute("INSERT INTO identity VALUES (?)", (identity(),))
            connection.executemany("DELETE FROM documents WHERE key = ?", ((key,) for key in old_documents))
            connection.executemany("DELETE FROM files WHERE path = ?", ((key,) for key in old_files))
            documents = ((key, *row) for key, row in self._new_documents.items())
            connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", documents)
            files = ((key, *row) for key, row in self._new_files.items())
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", files)


def _unused(rows: Iterable[str], used: set[str]) -> tuple[str, ...]:
    """Rows that nothing asked for, once there are more of them than another checkout could need."""
    unused = [key for key in rows if key not in used]
    return tuple(unused) if len(unused) > len(used) + _SPARE else ()


def _is_plain(root: Path, path: Path) -> bool:
    """Whether the cache is a file of this repository, or could become one: nothing on the way is a link."""
    return not any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(root) and part != root)


_identity: list[str] = []


def identity() -> str:
    """What must be equal for a cache to be trusted: the toolkit's version and the code that checks documents."""
    if not _identity:
        hasher = hashlib.sha256(__version__.encode())
        for source in _sources():
            hasher.update(source.read_bytes())
        _identity.append(hasher.hexdigest())
    return _identity[0]


def _sources() -> Iterator[Path]:
    package = Path(__file__).parent.parent
    for folder in (package / "schemas", package / "loader"):
        yield from sorted(folder.glob("*.py"))
    yield package / "lockfile.py"
    yield package / "conda.py"
