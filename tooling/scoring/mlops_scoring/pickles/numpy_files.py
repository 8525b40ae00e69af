"""NumPy's own files, several arrays in one perhaps: those of objects are pickles."""

from __future__ import annotations

import ast
import math
import re
from typing import IO

from mlops_scoring.pickles.expanding import Unreadable

MARK = b"\x93NUMPY"
"""What each array begins with."""

_HEADER = 128 * 1024
_PLAIN_CODE = re.compile(r"[<>=|]?([biufcmMSUV])([0-9]{1,8})(?:\[\d*[A-Za-z]+\])?")


def refuse_objects(file: IO[bytes]) -> None:
    """Refuse arrays of objects, which NumPy unpickles, and anything but arrays behind the first one.

    Raises:
        Unreadable: There is such, or a type that cannot be checked.
        ValueError, KeyError, SyntaxError, TypeError: It is damaged.
    """
    end = file.seek(0, 2)
    place = 0
    while place < end or not place:
        file.seek(place)
        head = file.read(_HEADER)
        if not head.startswith(MARK):
            raise Unreadable("something stands behind its array")
        start = 10 if head[6:7] == b"\x01" else 12
        length = int.from_bytes(head[8:start], "little")
        described = ast.literal_eval(head[start : start + length].decode("latin-1").strip())
        place += start + length + _size_of(described["descr"]) * _count(described["shape"])
        if place > end:
            raise Unreadable("its array is not whole")


def _count(shape: object) -> int:
    match shape:
        case int(length) if length >= 0:
            return length
        case tuple() if all(type(length) is int and length >= 0 for length in shape):
            return math.prod(shape)
    raise Unreadable("an array of a shape that cannot be checked")


def _size_of(descr: object) -> int:
    """Bytes of one item."""
    if isinstance(descr, list):
        return sum(_size_of(code) * _count(shape[0] if shape else 1) for _, code, *shape in descr)
    found = _PLAIN_CODE.fullmatch(descr) if isinstance(descr, str) else None
    if found is None:
        raise Unreadable("an array of objects, which NumPy unpickles, or of a type that cannot be checked")
    return int(found[2]) * (4 if found[1] == "U" else 1)
