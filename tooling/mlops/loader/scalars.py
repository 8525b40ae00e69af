"""Plain scalars by the core schema of YAML 1.2 (chapter 10.3), which the C parser leaves to its caller.

So `no` is text, `010` is ten, `0o10` is eight, `1:30` and dates are text.
"""

from __future__ import annotations

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_NUMERIC_STARTS = frozenset("0123456789+-.")
_INT_BITS = 64
_LONGEST_NUMBER = 400


class NotJson(ValueError):
    """A number that JSON, and so a spec, cannot hold."""


def resolve_plain(text: str) -> bool | int | float | str | None:
    """The value of a scalar that is written without quotes.

    Raises:
        NotJson: It is infinite, not a number, or beyond 64 bits.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in _NUMERIC_STARTS:
        return text
    return _number(text)


def _number(text: str) -> int | float | str:
    if _NOT_FINITE.fullmatch(text):
        raise NotJson(f"{text} is no finite number.")
    if _INT.fullmatch(text):
        return _bounded(text, 10)
    if _OCTAL.fullmatch(text):
        return _bounded(text[2:], 8)
    if _HEX.fullmatch(text):
        return _bounded(text[2:], 16)
    if not _FLOAT.fullmatch(text):
        return text
    value = float(text) if len(text) <= _LONGEST_NUMBER else float("inf")
    if value in (float("inf"), float("-inf")):
        raise NotJson(f"{text[:20]} is too large for a number.")
    return value


def _bounded(digits: str, base: int) -> int:
    value = int(digits, base) if len(digits) <= _LONGEST_NUMBER else 1 << _INT_BITS
    if value.bit_length() >= _INT_BITS:
        raise NotJson(f"{digits[:20]} is too large for a number.")
    return value
