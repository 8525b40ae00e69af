"""Files read once: copied and hashed in the same pass, in constant memory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from mlops.drivers.registry.failures import disk_failed

_CHUNK = 1 << 20
_WRITE_BACK = 4 << 20


def hash_file(path: Path) -> str:
    """Sha256 of a file's bytes, in constant memory.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy(source: Path, target: int) -> str:
    """Copy a file, or a directory as a tar, to an open file; return the digest of what was written.

    Raises:
        TargetError: The source is not there, a link, or neither a file nor a folder.
        OSError: It cannot be read, or the target cannot be written.
    """
    try:
        opened = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise disk_failed(error, source) from error
    try:
        status = os.fstat(opened)
        if stat.S_ISDIR(status.st_mode):
            from mlops.archive import write  # noqa: PLC0415 - registering models does not need it

            with open(target, "wb", closefd=False) as stream:
                return write(source, stream)
        if not stat.S_ISREG(status.st_mode):
            raise disk_failed(OSError(errno.EINVAL, "It is neither a file nor a folder"), source)
        return _copy_bytes(opened, target, min(status.st_size + 1, _CHUNK))
    finally:
        os.close(opened)


def _copy_bytes(source: int, target: int, size: int) -> str:
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(size))
    written = begun = 0
    while count := os.readv(source, [buffer]):
        chunk = buffer[:count]
        hasher.update(chunk)
        while chunk:
            done = os.write(target, chunk)
            written += done
            chunk = chunk[done:]
        if written - begun >= _WRITE_BACK:
            _begin_write_back(target, begun, written - begun)
            begun = written
    return hasher.hexdigest()


def _begin_write_back(target: int, start: int, length: int) -> None:
    """Let the disk write while the next bytes are hashed, instead of all at the end.

    On Linux this advice begins to write what is dirty and returns at once (posix_fadvise(2)); it says only that the
    bytes are not needed soon, so where it does something else it does no harm.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(target, start, length, os.POSIX_FADV_DONTNEED)


def copy_file(source: Path, target: Path) -> str:
    """Copy a file to a new one, durably, making its folders; return the digest of what was written.

    Raises:
        TargetError: The source is not there, a link, or neither a file nor a folder.
        OSError: The target is there, or cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        digest = copy(source, descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest
