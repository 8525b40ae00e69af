"""Files and folders that are still there after a power loss.

Bytes are durable once their file is synchronised, a name once the folder that holds it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

_MANY = 16
"""From so many on, one call for the whole file system is quicker than one a file (measured on ext4: 4 to 8 times)."""


def sync_directory(path: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: The folder is not there or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(descriptors: Collection[int]) -> None:
    """Make the bytes of open files durable.

    Raises:
        OSError: The disk failed or is full.
    """
    if len(descriptors) >= _MANY and _sync_file_system(next(iter(descriptors))):
        return
    for descriptor in descriptors:
        os.fsync(descriptor)


def sync_directories(paths: Iterable[Path]) -> None:
    """Make the names in folders of one file system durable.

    Raises:
        OSError: A folder is not there or the disk failed.
    """
    unique = dict.fromkeys(paths)
    if len(unique) >= _MANY:
        descriptor = os.open(next(iter(unique)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _sync_file_system(descriptor):
                return
        finally:
            os.close(descriptor)
    for path in unique:
        sync_directory(path)


def make_directory(path: Path) -> None:
    """Make a folder, and those above it, durably; nothing happens when it is there.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def _sync_file_system(descriptor: int) -> bool:
    """Linux's syncfs, which the standard library lacks; False where there is none.

    It waits for the disk, and reports errors since Linux 5.8 (syncfs(2)).
    """
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 - 10 ms that only many files at once are worth

    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return True
