"""Compressed files, expanded onto the disk within bounds: a small file may become a large one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, cast

MAX_EXPANDED = 8 * 1024**3
"""Bytes that a compressed file may become; more is refused."""

MAX_RATIO = 2000
"""Times that it may grow."""

DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What the standard library raises for compressed data that is not in order."""

HEAD = 16
"""Bytes that tell how a file is compressed."""

_IN_MEMORY = 32 << 20
_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_BZ2 = b"BZh"
_XZ = b"\xfd7zXZ"
_LZMA = b"\x5d\x00"
_LZMA_HEADER = 13
_ZLIB_FIRST = 0x78
_LZ4 = (b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18")
_SKIPPED = b"\x2a\x4d\x18"  # bytes 1 to 3 of a frame that LZ4 and Zstandard pass over
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


class Unreadable(ValueError):
    """A file that cannot be understood, and so is refused."""


def compressed(head: bytes) -> bool:
    """Whether a file that begins so is one of joblib's compressed forms, or one that `lzma.open` reads."""
    zlib_mark = len(head) > 1 and head[0] == _ZLIB_FIRST and (head[0] * 256 + head[1]) % 31 == 0
    return head.startswith((_GZIP, _BZ2, _XZ, _LZMA)) or zlib_mark or _other_lzma(head)


def _other_lzma(head: bytes) -> bool:
    """Whether it is LZMA's first form, without a mark but with bounds, in other settings than the usual ones.

    Source: lzma-file-format.txt of LZMA SDK, and `is_format_lzma` of liblzma.
    """
    if len(head) <= _LZMA_HEADER or head[0] >= 9 * 5 * 5 or head[_LZMA_HEADER]:
        return False
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:_LZMA_HEADER], "little")
    odd = dictionary >> max((dictionary & -dictionary).bit_length() - 1, 0)
    return dictionary >= 1 << 12 and odd in {1, 3} and (size == (1 << 64) - 1 or 0 < size < 1 << 38)


def uncheckable(head: bytes) -> bool:
    """Whether it is compressed as joblib may do it, but in a way that the standard library cannot undo."""
    old_joblib = head.startswith(b"ZF") and head[2:4].lower().strip(b"0123456789abcdefx") == b"" and len(head) > 3
    passed_over = head[1:4] == _SKIPPED and head[0] >> 4 == 5
    return head.startswith((*_LZ4, _ZSTANDARD)) or passed_over or old_joblib


def head_of(file: IO[bytes], size: int) -> bytes:
    """The first bytes; the file stands at its beginning again."""
    file.seek(0)
    head = file.read(size)
    file.seek(0)
    return head


def expanded(file: IO[bytes]) -> IO[bytes]:
    """The content of a compressed file, in memory or in a temporary file without a name.

    Raises:
        Unreadable: Compressed in a way that is not read here, damaged, or suspiciously large when expanded.
    """
    head = head_of(file, HEAD)
    if uncheckable(head):
        raise Unreadable("compressed in a form that cannot be checked; write it with zlib, gzip, bz2, xz or lzma")
    limit = most(file)
    made = cast("IO[bytes]", SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - the caller closes it
    size = 0
    try:
        for piece in pieces(file, head):
            size += len(piece)
            if size > limit:
                raise Unreadable(f"cannot be expanded: it becomes more than {limit} bytes")
            made.write(piece)
    except DAMAGED as error:
        made.close()
        raise Unreadable(f"cannot be expanded: {error}") from None
    made.seek(0)
    return made


def most(file: IO[bytes]) -> int:
    """Bytes that a compressed file may become; it stands at its beginning afterwards."""
    limit = min(MAX_EXPANDED, max(file.seek(0, 2), 1024) * MAX_RATIO)
    file.seek(0)
    return limit


def pieces(file: IO[bytes], head: bytes) -> Iterator[bytes]:
    """The content piece by piece.

    Raises:
        OSError, EOFError, ValueError, zlib.error, lzma.LZMAError: It is damaged.
    """
    if head.startswith(_GZIP):
        with gzip.open(file, "rb") as source:
            while piece := source.read1(_PIECE):
                yield piece
        return
    if head[0] == _ZLIB_FIRST:
        yield from _inflated(file)
        return
    make = bz2.BZ2Decompressor if head.startswith(_BZ2) else lzma.LZMADecompressor
    yield from _undone(file, make, head[:3] if head.startswith((_BZ2, _XZ)) else None)


def _undone(
    file: IO[bytes], make: type[bz2.BZ2Decompressor | lzma.LZMADecompressor], mark: bytes | None
) -> Iterator[bytes]:
    """One stream, or several that begin with the mark; readers disagree about anything else behind the first."""
    machine, rest = make(), b""
    while True:
        if machine.needs_input and not rest:
            rest = file.read(_PIECE)
            if not rest:
                raise EOFError("it ends too early")
        yield machine.decompress(rest, _PIECE)
        rest = b""
        if machine.eof:
            rest = machine.unused_data or file.read(_PIECE)
            if not rest:
                return
            if mark is None or not rest.startswith(mark):
                raise ValueError("something stands behind its end")
            machine = make()


def _inflated(file: IO[bytes]) -> Iterator[bytes]:
    machine = zlib.decompressobj()
    while not machine.eof:
        rest = machine.unconsumed_tail or file.read(_PIECE)
        if not rest:
            raise EOFError("it ends too early")
        yield machine.decompress(rest, _PIECE)
    if machine.unused_data or file.read(1):
        # joblib would read a second stream here as if it belonged to the first.
        raise ValueError("something stands behind its end")
