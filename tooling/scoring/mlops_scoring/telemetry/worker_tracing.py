"""A worker's spans: one around each `run()`, the child of the caller's, which `run()` finds as the current one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from mlops_scoring.telemetry.exporting import SpanQueue
from mlops_scoring.telemetry.sampling import Sampler
from mlops_scoring.telemetry.spans import AttributeValue, Span
from mlops_scoring.telemetry.trace_context import TRACE, TraceContext, read_trace_context
from mlops_scoring.worker.routes import Route, Routes
from mlops_scoring.worker.scoring import Answer, ScoringRequest, Unfit


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

    def routes(self, routes: Routes) -> Routes:
        """The same routes, those that score within a span."""
        return {path: self._traced(path, route) if route.scores else route for path, route in routes.items()}

    def _traced(self, path: str, route: Route) -> Route:
        def answer(request: ScoringRequest) -> Answer:
            return self._within(path, route.answer, request)

        return Route(route.methods, answer, scores=True)

    def _within(self, path: str, answer: Callable[[ScoringRequest], Answer], request: ScoringRequest) -> Answer:
        parent = read_trace_context(request.headers)
        context = self._sampler.child(parent)
        start = time.time_ns()
        began = time.perf_counter_ns()
        status, failed = 500, False
        token = TRACE.set(context)
        try:
            with as_current(context):
                found = answer(request)
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
    attributes: list[tuple[str, AttributeValue]] = [
        ("http.request.method", request.method),
        ("http.route", path),
        ("url.path", path),
        ("url.scheme", "http"),
        ("http.response.status_code", status),
        ("http.request.body.size", len(request.body)),
        ("mlops.request_id", request.request_id),
    ]
    error = None
    if status >= 500:
        error = "run() raised" if failed else ""
        attributes.append(("error.type", str(status)))
    return Span(
        name=f"{request.method} {path}",
        kind="server",
        trace_id=context.trace_id,
        span_id=context.span_id,
        parent_id=parent.span_id if parent is not None else 0,
        remote_parent=True,
        start=start,
        end=end,
        state=context.state,
        error=error,
        attributes=attributes,
    )


@contextmanager
def as_current(context: TraceContext) -> Iterator[None]:
    """Make a span the current one of OpenTelemetry's API, where the script or one of its libraries has imported it."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        yield
        return
    token = _attach(api, sys.modules["opentelemetry.context"], context)
    try:
        yield
    finally:
        sys.modules["opentelemetry.context"].detach(token)


def _attach(trace: ModuleType, contexts: ModuleType, context: TraceContext) -> object:
    span_context = trace.SpanContext(
        context.trace_id,
        context.span_id,
        is_remote=False,
        trace_flags=trace.TraceFlags(int(context.sampled)),
        trace_state=trace.TraceState.from_header([context.state]) if context.state else None,
    )
    # An empty context, so that nothing of another request of this thread is a parent.
    fresh = trace.set_span_in_context(trace.NonRecordingSpan(span_context), contexts.Context())
    return contexts.attach(fresh)
