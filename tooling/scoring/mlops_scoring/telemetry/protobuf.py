"""The few of protobuf's wire types that OTLP needs (https://protobuf.dev/programming-guides/encoding/).

Each function gives one field: its tag and its value.
"""

from __future__ import annotations

import struct
from functools import cache

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80
_SMALL = tuple(bytes([value]) for value in range(_MORE))


def varint(value: int) -> bytes:
    """A whole number of at most 64 bits; negative ones as two's complement."""
    if 0 <= value < _MORE:
        return _SMALL[value]
    value &= 2**64 - 1
    parts = bytearray()
    while value >= _MORE:
        parts.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    parts.append(value)
    return bytes(parts)


@cache
def _tag(field: int, wire: int) -> bytes:
    return varint(field << 3 | wire)


def whole(field: int, value: int) -> bytes:
    """An int64, uint32, bool or enum."""
    return _tag(field, _VARINT) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """A fixed64."""
    return _tag(field, _FIXED64) + struct.pack("<Q", value & (2**64 - 1))


def fixed32(field: int, value: int) -> bytes:
    """A fixed32."""
    return _tag(field, _FIXED32) + struct.pack("<I", value)


def double(field: int, value: float) -> bytes:
    """A double."""
    return _tag(field, _FIXED64) + struct.pack("<d", value)


def block(field: int, *parts: bytes) -> bytes:
    """Bytes, or a message within the message."""
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return _tag(field, _LENGTH) + varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    """A string; lone surrogates, which UTF-8 does not have, are replaced."""
    return block(field, value.encode(errors="replace"))
