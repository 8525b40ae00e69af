"""The effective declaration of an object, with the file and line of every value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mlops.errors import Location
from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.values import value_text
from mlops.resource import JSON, Address


class Value(Protocol):
    """One value of a declaration."""

    @property
    def path(self) -> str:
        """Dotted path."""

    @property
    def value(self) -> JSON:
        """What was written."""

    @property
    def where(self) -> Location:
        """The line that says so."""


_LONG = 200


def render_effective(address: Address, values: Sequence[Value], palette: Palette = PLAIN) -> str:
    """One line a value: path, value, and the place that decides it."""
    rows = [(plain(v.path), value_text(v.value, _LONG), plain(str(v.where))) for v in values]
    left = [f"{path}: {value}" for path, value, _where in rows]
    width = min(max(map(len, left), default=0), 72)
    lines = [palette.paint(Tone.STRONG, plain(str(address)))]
    for text, (_path, _value, where) in zip(left, rows, strict=True):
        lines.append(f"  {text.ljust(width)}  {palette.paint(Tone.QUIET, where)}")
    return "\n".join(lines) + "\n"


def render_effective_json(address: Address, values: Sequence[Value]) -> str:
    """Every value with its place."""
    written: list[JSON] = [
        {
            "path": item.path,
            "value": item.value,
            "file": item.where.file,
            "line": item.where.line or None,
            "column": item.where.column or None,
        }
        for item in values
    ]
    return document("effective", {"address": str(address), "values": written})
