"""Content by digest, in plain files: `sha256/ab/<the other 62 digits>`.

A blob gets its name only when its bytes are on the disk: it is written under a temporary name and hashed in the same
pass, synchronised, renamed, and its folder is synchronised. So a name that is there was complete when it was given,
whatever was killed meanwhile. What a killed writer leaves is a temporary file that nobody holds a lock on; the next
writer sweeps it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mlops.drivers.registry.copying import copy, hash_file
from mlops.drivers.registry.durable import make_directory, sync_directories, sync_directory, sync_files
from mlops.drivers.registry.failures import absent, damaged, disk_failed, not_as_declared

_BATCH = 256
"""Files that are open at once while many are added; far below the usual limit of 1,024."""

_RACY = 2.0
"""Seconds for which a file may still change without its times showing it; the coarsest common file system has 2."""

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(slots=True)
class _Incoming:
    """A temporary file that is complete but has no digest for a name yet; its lock is held while it is open."""

    descriptor: int
    path: str
    sha256: str = ""
    named: bool = False


class FileBlobs:
    """A folder of blobs that several processes may use at once; see `mlops.driver.Blobs`."""

    def __init__(self, root: Path) -> None:
        """Touch nothing yet.

        Args:
            root: The registry's folder.
        """
        self._root = root
        self._store = root / "sha256"
        self._incoming = root / "incoming"
        self._verified = root / "verified"
        self._swept = False

    def has(self, sha256: str) -> bool:
        """Whether the content is here; its bytes are not read."""
        return _is_digest(sha256) and os.path.isfile(self._place(sha256))  # noqa: PTH113 - asked once a file of thousands

    def file(self, sha256: str) -> Path:
        """Where the content is, or would be."""
        return Path(self._place(sha256))

    def _place(self, sha256: str) -> str:
        """The same as text: of thousands of files, building paths took a third of the time."""
        return f"{self._store}/{sha256[:2]}/{sha256[2:]}"

    def path(self, sha256: str) -> Path:
        """The file with the content; see `mlops.driver.Blobs.path`.

        The bytes are hashed on first use, and again only when size, times or inode of the file have changed since.

        Raises:
            TargetError: It is not here, or its bytes no longer have this digest.
        """
        if not _is_digest(sha256):
            raise absent(sha256)
        path = self.file(sha256)
        try:
            before = _identity(path)
            if self._marker(sha256) != before:
                if hash_file(path) != sha256:
                    raise damaged(sha256, path)
                self._mark(sha256, path, before)
        except FileNotFoundError:
            raise absent(sha256) from None
        except OSError as error:
            raise disk_failed(error, path) from error
        return path

    def add(self, source: Path, sha256: str) -> None:
        """Take in a file, or a directory as a deterministic tar; see `mlops.driver.Blobs.add`.

        Raises:
            TargetError: The content has another digest, or cannot be read or written.
        """
        if not self.has(sha256):
            self.add_many([(source, sha256)])

    def add_many(self, items: Iterable[tuple[Path, str]]) -> None:
        """Take in several at once, whether they are there or not; see `mlops.drivers.registry.durable` for the gain.

        Raises:
            TargetError: As `add`; of those in the same batch none is kept then.
        """
        missing = iter({sha256: source for source, sha256 in items}.items())
        while batch := [(sha256, source) for sha256, source in islice(missing, _BATCH)]:
            self._add_batch(batch)

    def take(self, sources: Iterable[Path]) -> list[str]:
        """Take in files whose digests nobody knows yet, reading each once; return the digests.

        Raises:
            TargetError: One cannot be read, or written; of those in the same batch none is kept then.
        """
        digests: list[str] = []
        rest = iter(sources)
        while batch := [(None, source) for source in islice(rest, _BATCH)]:
            digests.extend(self._add_batch(batch))
        return digests

    def present(self) -> frozenset[str]:
        """The digests of everything that is here, by one listing a folder."""
        return frozenset(self._listed())

    def verify(self, sha256: str) -> None:
        """Hash the content again, whatever is known about it.

        Raises:
            TargetError: It is not here, or its bytes no longer have this digest.
        """
        with contextlib.suppress(OSError):
            (self._verified / sha256).unlink()
        self.path(sha256)

    def set_aside(self, sha256: str) -> Path:
        """Move a damaged blob out of the way, so that it can be added again; return where it is kept.

        Raises:
            TargetError: It cannot be moved.
        """
        kept = self._root / "damaged" / f"{sha256}-{secrets.token_hex(4)}"
        try:
            kept.parent.mkdir(exist_ok=True)
            self.file(sha256).rename(kept)
        except OSError as error:
            raise disk_failed(error, kept) from error
        return kept

    def sweep(self) -> int:
        """Remove temporary files whose writers are gone; return how many."""
        swept = 0
        with contextlib.suppress(OSError), os.scandir(self._incoming) as entries:
            for entry in entries:
                swept += _sweep_one(Path(entry.path))
        return swept

    def _listed(self) -> Iterator[str]:
        try:
            shards = os.listdir(self._store)  # noqa: PTH208 - names are wanted, and ten thousand of them
        except OSError:
            return
        for shard in shards:
            with contextlib.suppress(OSError):
                for rest in os.listdir(self._store / shard):  # noqa: PTH208 - as above
                    yield shard + rest

    def _marker(self, sha256: str) -> str:
        try:
            return (self._verified / sha256).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return ""

    def _mark(self, sha256: str, path: Path, before: str) -> None:
        """Remember that the bytes are good, unless a change could still go unseen; failing to is no harm."""
        if _identity(path) != before or time.time() - path.stat().st_ctime < _RACY:
            return
        temporary = self._verified / f"{sha256}.{secrets.token_hex(4)}"
        try:
            self._verified.mkdir(exist_ok=True)
            temporary.write_text(before, encoding="ascii")
            temporary.replace(self._verified / sha256)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _add_batch(self, batch: Sequence[tuple[str | None, Path]]) -> list[str]:
        """Copy, synchronise and name some files; return their digests."""
        incoming: list[_Incoming] = []
        try:
            self._prepare()
            for declared, source in batch:
                self._receive(source, declared, incoming)
            sync_files([file.descriptor for file in incoming])
            sync_directories(Path(shard) for shard in dict.fromkeys([self._name(file) for file in incoming]))
        except OSError as error:
            raise disk_failed(error, self._root) from error
        finally:
            for file in incoming:
                os.close(file.descriptor)
                if not file.named:
                    Path(file.path).unlink(missing_ok=True)
        return [file.sha256 for file in incoming]

    def _prepare(self) -> None:
        if self._swept:
            return
        make_directory(self._incoming)
        if not self._store.is_dir():
            make_directory(self._store)
            for shard in range(256):  # at once, since each by itself would cost a write to the disk
                (self._store / f"{shard:02x}").mkdir(exist_ok=True)
            sync_directory(self._store)
        self.sweep()
        self._swept = True

    def _receive(self, source: Path, declared: str | None, incoming: list[_Incoming]) -> None:
        """Copy and hash in one pass, in constant memory."""
        descriptor, path = self._open_incoming()
        file = _Incoming(descriptor, path)
        incoming.append(file)
        file.sha256 = copy(source, descriptor)
        if declared is not None and declared != file.sha256:
            raise not_as_declared(source, declared, file.sha256)

    def _open_incoming(self) -> tuple[int, str]:
        while True:
            path = f"{self._incoming}/{os.urandom(12).hex()}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # a sweeper may have come between the two lines
                return descriptor, path
            os.close(descriptor)

    def _name(self, file: _Incoming) -> str:
        """Give it its name; return the folder that must be synchronised."""
        target = self._place(file.sha256)
        shard = f"{self._store}/{file.sha256[:2]}"
        try:
            os.rename(file.path, target)  # noqa: PTH104 - as in `_place`
        except FileNotFoundError:
            make_directory(Path(shard))
            os.rename(file.path, target)  # noqa: PTH104 - as in `_place`
        file.named = True
        return shard


def _identity(path: Path) -> str:
    """What changes when a file's content does: size, times and inode."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _sweep_one(path: Path) -> bool:
    """Remove a temporary file that nobody holds a lock on."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False


def _is_digest(text: str) -> bool:
    return _DIGEST.match(text) is not None
