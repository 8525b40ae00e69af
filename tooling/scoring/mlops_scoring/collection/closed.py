"""Files that nobody writes to any more: how they are found, held, mended and read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from mlops_scoring.collection.files import NASCENT
from mlops_scoring.collection.layout import EVENTS

_FORGOTTEN_SECONDS = 3600.0
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Torn:
    """A line that is no event: its process was killed while it wrote, or the machine stopped.

    Attributes:
        number: Of the line, from 1.
    """

    number: int


def event_files(folder: Path) -> Iterator[Path]:
    """Files of events below a folder, in the order of their names; drafts that were left behind are removed."""
    for path in sorted(folder.rglob(f"*{EVENTS}")):
        if path.is_file() and not path.is_symlink():
            yield path
    for draft in folder.rglob(f"*{EVENTS}{NASCENT}"):
        with contextlib.suppress(OSError):
            if draft.stat().st_mtime < time.time() - _FORGOTTEN_SECONDS:
                draft.unlink()


@contextlib.contextmanager
def held(path: Path) -> Iterator[BufferedReader | None]:
    """Hold a file of events so that nobody else does; None where a process writes to it, or it is gone.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(descriptor, "rb") as stream:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have rolled it up between the opening and the lock.
            there = os.path.samestat(path.lstat(), os.fstat(descriptor))
        except (BlockingIOError, FileNotFoundError):
            there = False
        yield stream if there else None


def repair(folder: Path) -> int:
    """Cut off the torn last lines of files below a folder that nobody writes to; how many there were."""
    mended = 0
    for path in event_files(folder):
        with contextlib.suppress(OSError):
            if path.stat().st_size and not _ends_whole(path):
                with held(path) as stream:
                    if stream is not None:
                        mended += _cut(stream)
    return mended


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _cut(stream: BufferedReader) -> bool:
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return False
    position = end
    while position:
        start = max(position - _BLOCK, 0)
        stream.seek(start)
        place = stream.read(position - start).rfind(b"\n")
        if place >= 0:
            position = start + place + 1
            break
        position = start
    if position == end:
        return False
    os.ftruncate(stream.fileno(), position)
    os.fsync(stream.fileno())
    return True


def parse_events(stream: BufferedReader) -> Iterator[dict[str, object] | Torn]:
    """The events of a file, line by line; lines that are none are named."""
    stream.seek(0)
    for number, line in enumerate(stream, 1):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            yield Torn(number)
            continue
        yield event if isinstance(event, dict) and event.get("specversion") == "1.0" else Torn(number)
