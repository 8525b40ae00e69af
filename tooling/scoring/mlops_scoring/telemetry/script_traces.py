"""A script's own spans, made with OpenTelemetry's API: children of the worker's, sent with them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from mlops_scoring.telemetry.exporting import SpanQueue
from mlops_scoring.telemetry.sampling import Sampler
from mlops_scoring.telemetry.script_metrics import has_sdk
from mlops_scoring.telemetry.spans import Attributes, Span, SpanEvent, SpanKind, SpanLink

_KINDS: tuple[SpanKind, ...] = ("internal", "server", "client", "producer", "consumer")


class _Forwarder:
    """An OpenTelemetry span processor that gives ended spans to our queues."""

    def __init__(self, queues: Sequence[SpanQueue]) -> None:
        self._queues = queues

    def on_start(self, span: object, parent_context: object = None) -> None:
        """Nothing is to be done yet."""

    def _on_ending(self, span: object) -> None:
        """Nothing is to be done yet."""

    def on_end(self, span: Any) -> None:  # noqa: ANN401 - the SDK's ReadableSpan
        """Take a span that is recorded."""
        if span.context.trace_flags.sampled:
            taken = _span(span)
            for queue in self._queues:
                queue.record(taken)

    def shutdown(self) -> None:
        """The queues end with the worker."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """The queues send when they do."""
        del timeout_millis
        return True


def provide_tracers(sampler: Sampler, queues: Sequence[SpanQueue], resource: Attributes) -> bool:
    """Become the provider of OpenTelemetry's tracers.

    Returns:
        False where the script does not use them, has a provider of its own, or nothing is sent.
    """
    if not queues or "opentelemetry.trace" not in sys.modules or not has_sdk():
        return False
    api = sys.modules["opentelemetry.trace"]
    if type(api.get_tracer_provider()).__name__ != "ProxyTracerProvider":
        return False
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
    resources = importlib.import_module("opentelemetry.sdk.resources")
    root = sampling.TraceIdRatioBased(sampler.ratio)
    provider = sdk.TracerProvider(
        sampler=sampling.ParentBased(root) if sampler.follows_parent else root,
        resource=resources.Resource(dict(resource)),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(_Forwarder(queues))
    api.set_tracer_provider(provider)
    return True


def _span(span: Any) -> Span:  # noqa: ANN401 - the SDK's ReadableSpan
    parent, context, status = span.parent, span.context, span.status.status_code.name
    return Span(
        name=span.name,
        kind=_KINDS[span.kind.value],
        trace_id=context.trace_id,
        span_id=context.span_id,
        parent_id=parent.span_id if parent is not None else 0,
        remote_parent=parent.is_remote if parent is not None else None,
        start=span.start_time or 0,
        end=span.end_time or 0,
        state=context.trace_state.to_header() if context.trace_state else "",
        error=(span.status.description or "") if status == "ERROR" else None,
        fine=status == "OK",
        attributes=tuple((span.attributes or {}).items()),
        events=tuple(SpanEvent(e.name, e.timestamp, tuple((e.attributes or {}).items())) for e in span.events),
        links=tuple(
            SpanLink(link.context.trace_id, link.context.span_id, tuple((link.attributes or {}).items()))
            for link in span.links
        ),
        scope=span.instrumentation_scope.name if span.instrumentation_scope is not None else "",
    )
