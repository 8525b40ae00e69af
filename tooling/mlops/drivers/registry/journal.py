"""What was ever registered and deleted, in order, as lines of JSON: from it a lost index is made again.

A line is appended within the index's own write transaction, so the order of lines is the order of commits. It begins
with a checksum, so a line that a power loss cut off, or a flipped bit, is seen and left out. The journal is not
synchronised: it is needed only if the index is lost as well, and then Git declares what its last seconds held.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops.drivers.registry.rows import Row
from mlops.resource import JSON, Stamp, canonical

_CHECKSUM = 16


@dataclass(frozen=True, slots=True)
class Replay:
    """What a journal adds up to.

    Attributes:
        rows: The versions that are registered, by address.
        retired: The content of versions that were deleted, by address.
        unreadable: Lines that were damaged and left out.
    """

    rows: Mapping[str, Row]
    retired: Mapping[str, str]
    unreadable: int


def put_line(row: Row) -> bytes:
    """The line that says that a version is registered, as this."""
    stamp = row.stamp.to_json() if row.stamp else None
    return _line(
        {"address": row.address, "content": row.content, "created": row.created, "spec": row.spec, "stamp": stamp}
    )


def delete_line(address: str, content: str) -> bytes:
    """The line that says that a version is no longer registered, and what its number stood for."""
    return _line({"address": address, "content": content})


class Journal:
    """The file, while one process writes to it."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self.path = path
        self._descriptor: int | None = None

    def append(self, lines: Iterable[bytes]) -> tuple[int, int]:
        """Add lines; return the sizes before and after, for `take_back`.

        Only the holder of the index's write lock may call it.

        Raises:
            OSError: They could not be written; none of them is there then.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        before = os.fstat(self._descriptor).st_size
        text = memoryview(b"".join(lines))
        after = before + len(text)
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise
        return before, after

    def take_back(self, appended: tuple[int, int]) -> None:
        """Remove what was appended, when the index did not commit; not where somebody has appended since."""
        before, after = appended
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                if os.fstat(self._descriptor).st_size == after:
                    os.ftruncate(self._descriptor, before)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def replay(path: Path) -> Replay:
    """Read a journal from its beginning; one that is absent is empty.

    Raises:
        OSError: It is there and cannot be read.
    """
    rows: dict[str, Row] = {}
    retired: dict[str, str] = {}
    unreadable = 0
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return Replay(rows, retired, 0)
    with stream:
        for line in stream:
            if line.strip() and not _fold(line, rows, retired):
                unreadable += 1
    return Replay(rows, retired, unreadable)


def _line(body: dict[str, JSON]) -> bytes:
    """A line on its own, even after one that was cut off."""
    text = canonical(body)
    return b"\n" + hashlib.sha256(text).hexdigest()[:_CHECKSUM].encode() + b" " + text + b"\n"


def _fold(line: bytes, rows: dict[str, Row], retired: dict[str, str]) -> bool:
    """Apply one line; False where it is damaged."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if hashlib.sha256(text).hexdigest()[:_CHECKSUM].encode() != checksum:
        return False
    body = json.loads(text)
    address, content = body["address"], body["content"]
    if "spec" in body:
        row = Row(address, content, body["spec"], Stamp.from_json(body["stamp"]), body["created"])
        first = rows.get(address)
        rows[address] = replace(row, created=first.created) if first else row
        retired.pop(address, None)
    else:
        rows.pop(address, None)
        retired[address] = content
    return True
