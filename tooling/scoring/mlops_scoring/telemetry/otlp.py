"""Spans and metrics as OTLP/HTTP sends them: protobuf, messages of opentelemetry-proto 1.x.

Encoded here because the exporter's packages cost a process 8 MiB and a request 0.1 ms, of which memory the gateway and
a small worker have none to give. The tests decode what is made with opentelemetry-proto's own classes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import assert_never

from mlops_scoring import __version__
from mlops_scoring.telemetry.families import Distribution, Family, Point
from mlops_scoring.telemetry.protobuf import block, double, fixed32, fixed64, text, whole
from mlops_scoring.telemetry.spans import Attributes, AttributeValue, Span, SpanKind

_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUS_OK, _STATUS_ERROR = 1, 2
_CUMULATIVE = 2
_SAMPLED, _HAS_IS_REMOTE, _IS_REMOTE = 0x1, 0x100, 0x200
_SCOPE = "mlops_scoring"
_IDS = struct.Struct("<BB16sBB8s")
_TRACE_ID, _SPAN_ID = (0x0A, 16), (0x12, 8)  # tag and length of fields 1 and 2
_TIMES = struct.Struct("<BQBQ")
_START, _END = 0x39, 0x41  # tags of fields 7 and 8, fixed64


def encode_traces(resource: Attributes, spans: Iterable[Span]) -> bytes:
    """An `ExportTraceServiceRequest`."""
    scopes = [
        block(2, _scope(scope), *(block(2, _span(span)) for span in of_scope))
        for scope, of_scope in groupby(sorted(spans, key=lambda span: span.scope), key=lambda span: span.scope)
    ]
    return block(1, block(1, _attributes(1, resource)), *scopes)


def encode_metrics(resource: Attributes, families: Iterable[Family], start: int, now: int) -> bytes:
    """An `ExportMetricsServiceRequest`; times in nanoseconds since the epoch.

    Args:
        resource: Who sends.
        families: All values, since `start`.
        start: When counting began.
        now: When the values were read.
    """
    metrics = b"".join(block(2, _metric(family, start, now)) for family in families)
    return block(1, block(1, _attributes(1, resource)), block(2, _scope(_SCOPE), metrics))


def _scope(name: str) -> bytes:
    return block(1, text(1, name), text(2, __version__) if name == _SCOPE else b"")


def _span(span: Span) -> bytes:
    is_remote = span.remote_parent if span.parent_id else None
    parts = [
        _ids(span.trace_id, span.span_id),
        _TIMES.pack(_START, span.start, _END, span.end),
        _alike(span.name, span.kind, span.shared, (span.error, span.fine), is_remote),
        _attributes(9, span.attributes),
    ]
    if span.state:
        parts.append(text(3, span.state))
    if span.parent_id:
        parts.append(block(4, span.parent_id.to_bytes(8, "big")))
    parts += [block(11, fixed64(1, e.time), text(2, e.name), _attributes(3, e.attributes)) for e in span.events]
    parts += [block(13, _ids(n.trace_id, n.span_id), _attributes(4, n.attributes)) for n in span.links]
    return b"".join(parts)


def _ids(trace_id: int, span_id: int) -> bytes:
    return _IDS.pack(*_TRACE_ID, trace_id.to_bytes(16, "big"), *_SPAN_ID, span_id.to_bytes(8, "big"))


@lru_cache(maxsize=512)
def _alike(
    name: str,
    kind: SpanKind,
    shared: tuple[tuple[str, str | int], ...],
    ended: tuple[str | None, bool],
    is_remote: bool | None,  # noqa: FBT001 - unknown is a third value
) -> bytes:
    """What many spans have alike, and is encoded once: protobuf's fields come in any order."""
    error, fine = ended
    flags = _SAMPLED
    if is_remote is not None:
        flags |= _HAS_IS_REMOTE | (_IS_REMOTE if is_remote else 0)
    parts = [text(5, name), whole(6, _KINDS[kind]), _attributes(9, shared), fixed32(16, flags)]
    if error is not None:
        parts.append(block(15, text(2, error) if error else b"", whole(3, _STATUS_ERROR)))
    elif fine:
        parts.append(block(15, whole(3, _STATUS_OK)))
    return b"".join(parts)


def _metric(family: Family, start: int, now: int) -> bytes:
    head = text(1, family.name) + text(2, family.text) + text(3, family.unit)
    points = b"".join(block(1, _point(family, point, start, now)) for point in family.points)
    match family.kind:
        case "gauge":
            return head + block(5, points)
        case "counter":
            return head + block(7, points, whole(2, _CUMULATIVE), whole(3, 1))
        case "histogram":
            return head + block(9, points, whole(2, _CUMULATIVE))
        case _ as never:
            assert_never(never)


def _point(family: Family, point: Point, start: int, now: int) -> bytes:
    labels: Sequence[tuple[str, AttributeValue]] = point.labels
    times = (b"" if family.kind == "gauge" else fixed64(2, start)) + fixed64(3, now)
    match point.value:
        case Distribution() as found:
            counts = b"".join(count.to_bytes(8, "little") for count in found.counts)
            bounds = b"".join(double(0, bound)[1:] for bound in found.bounds)
            values = fixed64(4, found.count) + double(5, found.total) + block(6, counts) + block(7, bounds)
            return times + values + _attributes(9, labels)
        case value:
            return _attributes(7, labels) + times + double(4, value)


def _attributes(field: int, attributes: Attributes) -> bytes:
    return b"".join([block(field, _key(name), block(2, _value(value))) for name, value in attributes])


@lru_cache(maxsize=512)
def _key(name: str) -> bytes:
    return text(1, name)


def _value(value: AttributeValue | None) -> bytes:
    """An `AnyValue`; whatever a script gives as one, for its span must not be the end of all spans."""
    match value:
        case str():
            return text(1, value)
        case bool():
            return whole(2, value)
        case int():
            return whole(3, value)
        case float():
            return double(4, value)
        case list() | tuple():
            return block(5, *(block(1, _value(item)) for item in value))
        case _:
            return b"" if value is None else text(1, str(value))
