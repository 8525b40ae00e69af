"""The gateway's spans, one for each request that it passes on, and its access log."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mlops_scoring.gateway.observing import Exchanged
from mlops_scoring.telemetry.exporting import SpanQueue
from mlops_scoring.telemetry.sampling import Sampler
from mlops_scoring.telemetry.spans import Span
from mlops_scoring.telemetry.trace_context import TraceContext, read_trace_context
from mlops_scoring.wire.messages import Request

_ACCESS = logging.getLogger("mlops_scoring.access")
_ANSWERED = "%(method)s %(path)s %(status)d %(milliseconds).1f ms"
_REFUSED = "%s %s %d refused: %s"
_OF_THE_CLIENT = frozenset({501, 505})
"""Refusals that begin with 5 and say what is wrong with the request: whoever sends such decides how many there are."""
_MAX_PATH = 200
_PATHS = (b"/", b"*")
"""How a target begins that was checked, or is a path at least: before that it may have a name and a password."""
_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})


class _Begun(NamedTuple):
    context: TraceContext
    parent_id: int


class GatewayTracer:
    """Begins spans, and ends them as an observer.

    Args:
        sampler: Decides which are recorded.
        queues: Where ended spans go.
        scheme: `https` where clients use TLS.
    """

    def __init__(self, sampler: Sampler, queues: Sequence[SpanQueue], scheme: str) -> None:
        """Know where spans go."""
        self._sampler = sampler
        self._queues = queues
        self._scheme = scheme

    def begin(self, request: Request) -> object:
        """Name the gateway's span as the parent of the worker's."""
        parent = read_trace_context(request.headers)
        context = self._sampler.child(parent)
        dropped = (b"traceparent",) if parent is not None else (b"traceparent", b"tracestate")
        request.headers = [pair for pair in request.headers if pair[0] not in dropped]
        request.headers.append((b"traceparent", context.traceparent))
        return _Begun(context, 0 if parent is None else parent.span_id)

    def exchanged(self, exchanged: Exchanged) -> None:
        """A request is over; a copy has no span here, but its worker's is a child of the original's."""
        begun = exchanged.trace
        if isinstance(begun, _Begun) and begun.context.sampled and not exchanged.mirrored:
            span = self._span(exchanged, begun)
            for queue in self._queues:
                queue.record(span)

    def close(self) -> None:
        """The queues are closed by whoever made them."""

    def _span(self, exchanged: Exchanged, begun: _Begun) -> Span:
        request, status, context = exchanged.request, exchanged.status, begun.context
        name, shared = _alike(request.method, path_of(request), self._scheme, status, exchanged.deployment)
        start = int(exchanged.started * 1e9)
        return Span(
            name=name,
            kind="server",
            trace_id=context.trace_id,
            span_id=context.span_id,
            parent_id=begun.parent_id,
            remote_parent=True,
            start=start,
            end=start + int(exchanged.seconds * 1e9),
            state=context.state,
            error="" if status >= 500 else None,
            attributes=(
                ("http.request.body.size", exchanged.received),
                ("http.response.body.size", exchanged.sent),
                ("mlops.queue.seconds", exchanged.waited),
                ("mlops.request_id", exchanged.request_id),
            ),
            shared=shared,
        )


@lru_cache(maxsize=512)
def _alike(
    method: bytes, path: str, scheme: str, status: int, deployment: str
) -> tuple[str, tuple[tuple[str, str | int], ...]]:
    """Name and attributes that many spans have alike."""
    known = method.decode("ascii") if method in _METHODS else "_OTHER"
    shared: tuple[tuple[str, str | int], ...] = (
        ("http.request.method", known),
        ("url.path", path),
        ("url.scheme", scheme),
        ("http.response.status_code", status),
        ("mlops.deployment", deployment),
    )
    if status >= 500:
        shared = (*shared, ("error.type", str(status)))
    return "HTTP" if known == "_OTHER" else known, shared


class AccessLog:
    """Writes a line about a share of the requests; an observer.

    Args:
        share: From 0 to 1; server errors are written whatever the share is, but for those that any client can cause.
    """

    def __init__(self, share: float) -> None:
        """Know the share."""
        self._share = share

    def exchanged(self, exchanged: Exchanged) -> None:
        """Write, or do not."""
        of_the_server = exchanged.status >= 500 and not (exchanged.refusal and exchanged.status in _OF_THE_CLIENT)
        if not of_the_server and random.random() >= self._share:  # noqa: S311 - a sample
            return
        fields = _fields(exchanged)
        if exchanged.refusal:
            known = (fields[name] or "-" for name in ("method", "path", "status", "reason"))
            _ACCESS.info(_REFUSED, *known, extra={"mlops": fields})
        else:
            _ACCESS.info(_ANSWERED, fields, extra={"mlops": fields})

    def close(self) -> None:
        """Nothing is kept."""


def _fields(exchanged: Exchanged) -> dict[str, object]:
    """What a line has; None for what is not known."""
    begun, request, refusal = exchanged.trace, exchanged.request, exchanged.refusal
    fields: dict[str, object] = {
        "method": request.method.decode("latin-1") or None,
        "path": path_of(request) or None,
        "status": exchanged.status,
        "milliseconds": None if refusal else round(exchanged.seconds * 1000, 3),
        "waited_ms": None if refusal else round(exchanged.waited * 1000, 3),
        "received": exchanged.received,
        "sent": exchanged.sent,
        "mirrored": exchanged.mirrored,
        "deployment": exchanged.deployment or None,
        "request_id": exchanged.request_id or None,
        "trace_id": f"{begun.context.trace_id:032x}" if isinstance(begun, _Begun) else None,
    }
    return {**fields, "reason": refusal} if refusal else fields


def path_of(request: Request) -> str:
    """The path without its query, which may hold credentials; cut, for a client chooses it. Empty where it is none."""
    if not request.target.startswith(_PATHS):
        return ""
    return request.path[:_MAX_PATH].decode("latin-1")
