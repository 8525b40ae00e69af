"""Files as text: bounded, regular, UTF-8 without a byte order mark; or why not."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

SIZE_LIMIT = 1 << 20
"""Largest document; bytes."""

_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class TextProblem:
    """Why a file cannot be read as text."""

    summary: str
    detail: str
    todo: str
    command: str = ""
    line: int = 0
    column: int = 0


def read_bounded(path: Path, limit: int = SIZE_LIMIT) -> tuple[bytes, os.stat_result, int] | TextProblem:
    """A file's bytes, its status and the time just before it was read, in nanoseconds.

    Never more than the limit is read, no link is followed, and nothing that is no file is waited for.
    """
    seen = time.time_ns()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return TextProblem("Not a regular file", "It is no file.", "Put a file in its place, or remove it.")
            if status.st_size > limit:
                return _too_large(status.st_size, limit)
            content = b"".join(iter(lambda: stream.read(limit + 1), b""))
    except OSError as error:
        return TextProblem("File cannot be read", f"{error.strerror}.", "Mend its permissions, or what it is.")
    return _too_large(len(content), limit) if len(content) > limit else (content, status, seen)


def decode(content: bytes) -> str | TextProblem:
    """Bytes as UTF-8 text."""
    if content.startswith(_BYTE_ORDER_MARKS):
        detail = "It begins with a byte order mark."
        return TextProblem("Not plain UTF-8", detail, "Save it as UTF-8 without a byte order mark.", "", 1, 1)
    if content.startswith(_LFS):
        detail = "It is a Git LFS pointer; the file itself was not fetched."
        return TextProblem("Git LFS pointer", detail, "Documents are small: keep them out of Git LFS.", "git lfs pull")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        detail = f"The byte 0x{content[error.start]:02X} is not UTF-8."
        return TextProblem("Not plain UTF-8", detail, "Save it as UTF-8.", "", line, column)


def _too_large(size: int, limit: int) -> TextProblem:
    detail = f"It has {size:,} bytes; at most {limit:,} are read."
    return TextProblem("File is too large", detail, "Keep data out of documents: name a file instead.")
