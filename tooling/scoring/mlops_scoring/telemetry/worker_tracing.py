"""A worker's spans: one around each `run()`, the child of the caller's, which `run()` finds as the current one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from types import ModuleType

from mlops_scoring.telemetry.exporting import SpanQueue
from mlops_scoring.telemetry.sampling import Sampler
from mlops_scoring.telemetry.spans import Span
from mlops_scoring.telemetry.trace_context import TRACE, TraceContext, read_trace_context
from mlops_scoring.worker.observing import Scored
from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.scoring import Answer, ScoringRequest, Unfit

_API = "opentelemetry.trace"
_OTHER = "/*"


class WorkerTracer:
    """Puts a span around what scores.

    Args:
        sampler: Decides which are recorded.
        queues: Where ended spans go; none when only ids are wanted.
    """

    def __init__(self, sampler: Sampler, queues: Sequence[SpanQueue]) -> None:
        """Know where spans go."""
        self._sampler = sampler
        self._queues = queues
        self._paths: frozenset[str] = frozenset()

    def routes(self, routes: Routes) -> Routes:
        """The same routes, those that score within a span."""
        self._paths = frozenset(routes)
        return {path: self._traced(path, route) if route.scores else route for path, route in routes.items()}

    def refused(self, scored: Scored) -> None:
        """A request was answered without `run()`: it waited too long, or its client left."""
        parent = read_trace_context(scored.request.headers)
        context = self._sampler.child(parent)
        if context.sampled:
            start = int(scored.started * 1e9)
            ended = (start, start + int(scored.seconds * 1e9), scored.answer.status, False)
            path = scored.request.path if scored.request.path in self._paths else _OTHER
            span = _span(scored.request, path, context, parent, ended)
            for queue in self._queues:
                queue.record(span)

    def _traced(self, path: str, route: Route) -> Route:
        def answer(request: ScoringRequest) -> Answer:
            return self._within(path, route.answer, request)

        return replace(route, answer=answer)

    def _within(self, path: str, answer: Callable[[ScoringRequest], Answer], request: ScoringRequest) -> Answer:
        parent = read_trace_context(request.headers)
        if parent is None and not self._queues:
            return answer(request)
        context = self._sampler.child(parent)
        start = time.time_ns()
        began = time.perf_counter_ns()
        status, failed = 500, False
        token = TRACE.set(context)
        try:
            found = answer(request) if _API not in sys.modules else _as_current(context, answer, request)
        except Unfit as unfit:
            status = unfit.status
            raise
        else:
            status, failed = found.status, bool(found.run_function_failed)
            return found
        finally:
            TRACE.reset(token)
            if context.sampled and self._queues:
                end = start + time.perf_counter_ns() - began
                span = _span(request, path, context, parent, (start, end, status, failed))
                for queue in self._queues:
                    queue.record(span)


def _span(
    request: ScoringRequest,
    path: str,
    context: TraceContext,
    parent: TraceContext | None,
    ended: tuple[int, int, int, bool],
) -> Span:
    start, end, status, failed = ended
    name, error, shared = _alike(request.method, path, status, failed)
    return Span(
        name=name,
        kind="server",
        trace_id=context.trace_id,
        span_id=context.span_id,
        parent_id=parent.span_id if parent is not None else 0,
        remote_parent=True,
        start=start,
        end=end,
        state=context.state,
        error=error,
        attributes=(("http.request.body.size", len(request.body)), ("mlops.request_id", request.request_id)),
        shared=shared,
    )


@cache
def _alike(
    method: str,
    path: str,
    status: int,
    failed: bool,  # noqa: FBT001 - a cache's key
) -> tuple[str, str | None, tuple[tuple[str, str | int], ...]]:
    """Name, error and attributes of all spans of a route with one outcome; there are few of them."""
    shared: tuple[tuple[str, str | int], ...] = (
        ("http.request.method", method),
        ("http.route", path),
        ("url.path", path),
        ("url.scheme", "http"),
        ("http.response.status_code", status),
    )
    name = f"{method} {path}"
    if status < 500:
        return name, None, shared
    return name, "run() raised" if failed else "", (*shared, ("error.type", str(status)))


def _as_current(context: TraceContext, answer: Callable[[ScoringRequest], Answer], request: ScoringRequest) -> Answer:
    """Answer with a span as the current one of OpenTelemetry's API, which something in this process has imported."""
    contexts = sys.modules["opentelemetry.context"]
    token = contexts.attach(_current(sys.modules[_API], contexts, context))
    try:
        return answer(request)
    finally:
        contexts.detach(token)


def _current(trace: ModuleType, contexts: ModuleType, context: TraceContext) -> object:
    span_context = trace.SpanContext(
        context.trace_id,
        context.span_id,
        is_remote=False,
        trace_flags=trace.TraceFlags(int(context.sampled)),
        trace_state=trace.TraceState.from_header([context.state]) if context.state else None,
    )
    # An empty context, so that nothing of another request of this thread is a parent.
    return trace.set_span_in_context(trace.NonRecordingSpan(span_context), contexts.Context())
