"""Digests of files and folders, read again only when their status says that they may have changed.

The rule is that of Git's index: size, times, inode, and a file that was changed about when it was read is not trusted,
because a later change within the clock's grain would not show ("racily clean").
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mlops.errors import InvalidRepository
from mlops.loader.cache import Cache, FileRow
from mlops.resolve.repository import Content, DirectoryContent, FileContent, Unusable

_CHUNK = 1 << 20
_GRAIN = 50_000_000
"""Nanoseconds: more than the grain of time stamps on file systems that count them so finely."""
_COARSE_GRAIN = 2_000_000_000
"""Nanoseconds: the grain of file systems that count whole seconds, or two."""
_SECOND = 1_000_000_000

_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_LIMIT = 1024


class _Walked(NamedTuple):
    files: dict[str, FileContent]
    executables: frozenset[str]


@dataclass
class Digests:
    """Looks up digests of what lies in a repository.

    Attributes:
        root: The repository's root.
        cache: Where digests are kept.
    """

    root: Path
    cache: Cache
    clock: Callable[[], int] = time.time_ns
    _plain_folders: set[str] = field(default_factory=set)
    _prefix: str = field(init=False)

    def __post_init__(self) -> None:
        """Write the root as text once: joining Path objects takes longer than asking for a status."""
        self._prefix = f"{self.root}/"

    def content(self, path: str, *, archive: bool = False) -> Content:
        """What a path leads to.

        Args:
            path: Relative to the root, normalised and within it.
            archive: Whether the digest of a folder's deterministic tar is wanted too.
        """
        try:
            status = self._plain_status(path)
        except _LinkFound as link:
            todo = "Put the file or folder itself in its place."
            return Unusable("Symbolic link", f"{link.path} is a link, and links are not followed.", todo)
        except OSError as error:
            return _unreadable(path, error)
        if stat.S_ISREG(status.st_mode):
            return self.file(path, status)
        if stat.S_ISDIR(status.st_mode):
            return self._directory(path, archive=archive)
        todo = "Name a file or a folder."
        return Unusable("Not a regular file", f"{path} is a device, a socket or a pipe.", todo)

    def file(self, path: str, status: os.stat_result) -> FileContent | Unusable:
        """The digest of a regular file."""
        row = self.cache.file(path)
        if row is not None and is_same(row, status):
            return FileContent(row.sha256, row.size)
        seen = self.clock()
        try:
            sha256, after, start = _read(self.root / path)
        except OSError as error:
            return _unreadable(path, error)
        if len(start) < _LFS_LIMIT and start.startswith(_LFS):
            detail = f"{path} is a Git LFS pointer; the file itself was not fetched."
            return Unusable("Git LFS pointer", detail, "Fetch it.", f"git lfs pull --include {path}")
        if is_settled(after, seen):
            self.cache.keep_file(path, row_of(after, seen, sha256))
        return FileContent(sha256, after.st_size)

    def _plain_status(self, path: str) -> os.stat_result:
        """`os.lstat`, after making sure that no folder on the way is a link."""
        folder = path.rpartition("/")[0]
        if folder not in self._plain_folders:
            self._check_folder(folder)
        status = os.lstat(self._prefix + path)
        if stat.S_ISLNK(status.st_mode):
            raise _LinkFound(path)
        return status

    def _check_folder(self, folder: str) -> None:
        if not folder or folder in self._plain_folders:
            return
        self._check_folder(folder.rpartition("/")[0])
        if stat.S_ISLNK(os.lstat(self._prefix + folder).st_mode):
            raise _LinkFound(folder)
        self._plain_folders.add(folder)

    def _directory(self, path: str, *, archive: bool) -> Content:
        try:
            walked = self._members(path)
            if isinstance(walked, Unusable):
                return walked
            return DirectoryContent(walked.files, self._archive(path, walked) if archive else None)
        except InvalidRepository as error:
            found = error.diagnostics[0]
            where = f"{found.where}: " if found.where else ""
            return Unusable(found.summary, f"{where}{found.detail}".replace(self._prefix, ""), found.todo)

    def _members(self, path: str) -> _Walked | Unusable:
        from mlops.archive import members  # noqa: PLC0415 - only where a folder is named

        files: dict[str, FileContent] = {}
        executables: set[str] = set()
        for member in members(self.root / path):
            content = self.file(f"{path}/{member.path}", member.stat)
            if isinstance(content, Unusable):
                return content
            files[member.path] = content
            if member.executable:
                executables.add(member.path)
        return _Walked(files, frozenset(executables))

    def _archive(self, path: str, walked: _Walked) -> str:
        """The digest of the tar, which names, content and modes decide; so it is kept by them, not by time."""
        lines = "".join(f"{f.sha256} {name in walked.executables:d} {name}\0" for name, f in walked.files.items())
        key = f"archive:{hashlib.sha256(lines.encode()).hexdigest()}"
        known = self.cache.document(key)
        if isinstance(known, str):
            return known
        from mlops.archive import digest_directory  # noqa: PLC0415 - only on a cache miss

        digest = digest_directory(self.root / path)
        if self._members(path) == walked:
            self.cache.keep_document(key, digest)
        return digest


class _LinkFound(Exception):
    """A part of a path is a symbolic link."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def row_of(status: os.stat_result, seen: int, sha256: str) -> FileRow:
    """The row under which a digest is kept."""
    return FileRow(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, seen, sha256)


def is_same(row: FileRow, status: os.stat_result) -> bool:
    """Whether a file's status is that with which its digest was kept."""
    return (
        row.mtime == status.st_mtime_ns
        and row.size == status.st_size
        and row.ctime == status.st_ctime_ns
        and row.inode == status.st_ino
    )


def is_settled(status: os.stat_result, seen: int) -> bool:
    """Whether a change after the file was read would surely show in its status."""
    coarse = status.st_mtime_ns % _SECOND == 0 and status.st_ctime_ns % _SECOND == 0
    return max(status.st_mtime_ns, status.st_ctime_ns) + (_COARSE_GRAIN if coarse else _GRAIN) < seen


def _read(path: Path) -> tuple[str, os.stat_result, bytes]:
    """Digest, status before reading, and the first bytes of a regular file, with constant memory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "It is not a regular file")
        hasher = hashlib.sha256()
        start = b""
        while chunk := stream.read(_CHUNK):
            start = start or chunk[:_LFS_LIMIT]
            hasher.update(chunk)
    return hasher.hexdigest(), status, start


def _unreadable(path: str, error: OSError) -> Unusable:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unusable("File not found", f"There is no {path}.", "Correct the path, or add the file.")
    return Unusable("File cannot be read", f"{path}: {error.strerror}.", "Mend its permissions.")
