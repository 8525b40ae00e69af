"""The file that a process is writing to: one a designation and period, locked while it is open.

The lock is `flock`; it tells the compactor which files still grow, and ends with the process however that ends. A file
is made and locked under another name and then renamed, so that there is no moment at which it looks abandoned.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from mlops_scoring.collection.layout import EVENTS, Period, make_private

NASCENT = ".new"
"""End of a file's name until it is locked."""


class HotFile:
    """An open file of events.

    Args:
        folder: Where it lies; made where it is missing.
        name: Its name without ending, which no other file has.
        period: What it is for.

    Attributes:
        path: Its path.
        dirty: Whether it has events that are not on the disk for sure.
        refusal: Why the last lines were not all written; None where they were.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path, name: str, period: Period) -> None:
        """Make, lock and rename it."""
        self.path = folder / f"{name}{EVENTS}"
        self.period = period
        self.dirty = False
        self.refusal: OSError | None = None
        self._size = 0
        make_private(folder)
        draft = folder / f"{name}{EVENTS}{NASCENT}"
        self._descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self.path)
            self._identity = _identity(os.fstat(self._descriptor))
        except BaseException:
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def in_place(self) -> bool:
        """Whether the path still leads to this file: somebody may have removed it, or its folder."""
        try:
            return _identity(self.path.lstat()) == self._identity
        except OSError:
            return False

    def append(self, lines: list[bytes]) -> tuple[int, int]:
        """Write lines; the file then ends in a whole one, whatever happens.

        Returns:
            How many lines were written, and how many bytes they have. Fewer than given where the disk refused one.
        """
        self.refusal = None
        data = b"".join(lines)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError as error:
            self.refusal = error
            lines, kept = _whole(lines, written)
            os.ftruncate(self._descriptor, self._size + kept)
            written = kept
        self._size += written
        self.dirty = self.dirty or bool(written)
        return len(lines), written

    def sync(self) -> None:
        """Have what was written put onto the disk.

        Raises:
            OSError: The disk refuses.
        """
        if self.dirty:
            self.dirty = False
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync, give up the lock, and remove the file where nothing was written."""
        try:
            with contextlib.suppress(OSError):
                if not self._size and self.in_place():
                    self.path.unlink()
                self.sync()
        finally:
            os.close(self._descriptor)


def _whole(lines: list[bytes], written: int) -> tuple[list[bytes], int]:
    kept = 0
    for number, line in enumerate(lines):
        if kept + len(line) > written:
            return lines[:number], kept
        kept += len(line)
    return lines, kept


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
