"""A zip archive's directory, where every reader has to find the same one.

Python believes that the directory stands right before its end record, and PyTorch's reader goes where the record
points; a file may have one for each of them. Formats: APPNOTE.TXT of PKWARE, sections 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
from typing import IO

from mlops_scoring.pickles.expanding import Unreadable

_RECORD = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_LARGE_RECORD = struct.Struct("<4sQ2H2L4Q")
SEARCHED = (1 << 16) + _RECORD.size
"""Bytes at the end of a file in which readers look for an end record: behind it stands a comment."""


def refuse_two_directories(file: IO[bytes]) -> None:
    """Check that the end record's directory stands where it says, right before it, and ends the file.

    Raises:
        Unreadable: It does not, so that other readers may see other members.
        struct.error: It is cut off.
    """
    end = file.seek(0, 2)
    tail_start = max(end - SEARCHED, 0)
    file.seek(tail_start)
    tail = file.read()
    found = tail.rfind(b"PK\x05\x06")
    *_, size, offset, comment = _RECORD.unpack_from(tail, found) if found >= 0 else (0, -1, 0)
    place = tail_start + found
    if place + _RECORD.size + comment != end:
        raise Unreadable("an archive with something behind its end")
    locator = place - _LOCATOR.size
    if locator >= 0 and _at(file, locator, 4) == b"PK\x06\x07":
        _, _, pointed, _ = _LOCATOR.unpack(_at(file, locator, _LOCATOR.size))
        place = locator - _LARGE_RECORD.size
        mark, *_, size, offset = _LARGE_RECORD.unpack(_at(file, max(place, 0), _LARGE_RECORD.size))
        if pointed != place or mark != b"PK\x06\x06":
            raise Unreadable("an archive with two directories")
    if offset + size != place:
        raise Unreadable("an archive whose directory stands elsewhere than it says")


def _at(file: IO[bytes], place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
