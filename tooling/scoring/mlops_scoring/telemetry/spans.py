"""Spans as plain values: made on the way of a request, encoded by the thread that sends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

_Single = str | bool | int | float
AttributeValue = _Single | Sequence[str | None] | Sequence[bool | None] | Sequence[int | None] | Sequence[float | None]
"""What OpenTelemetry allows as a value."""

Attributes = Sequence[tuple[str, AttributeValue]]
"""Names and values."""

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
"""OpenTelemetry's kinds of spans."""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span; the time in nanoseconds since the epoch."""

    name: str
    time: int
    attributes: Attributes = ()


@dataclass(frozen=True, slots=True)
class SpanLink:
    """Another span that this one has to do with."""

    trace_id: int
    span_id: int
    attributes: Attributes = ()


class Span(NamedTuple):
    """A span that has ended; a tuple, because one is made for each request.

    Attributes:
        parent_id: 0 for the root of a trace.
        remote_parent: Whether the parent is another process's; None where that is not known.
        start: Nanoseconds since the epoch; `end` likewise.
        error: What its status says: None is unset, a text is an error.
        scope: Name of the library that made it.
        shared: Attributes that many spans have alike, encoded once; their values are texts and whole numbers.
    """

    name: str
    kind: SpanKind
    trace_id: int
    span_id: int
    parent_id: int
    start: int
    end: int
    state: str = ""
    remote_parent: bool | None = None
    error: str | None = None
    fine: bool = False
    attributes: Attributes = ()
    shared: tuple[tuple[str, str | int], ...] = ()
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    scope: str = "mlops_scoring"

    @property
    def all_attributes(self) -> dict[str, AttributeValue]:
        """Those of its own and those that are shared."""
        return {**dict(self.shared), **dict(self.attributes)}
