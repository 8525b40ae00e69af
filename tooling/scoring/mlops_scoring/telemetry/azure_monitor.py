"""Azure Monitor, by Microsoft's own exporter (extra `azure-monitor`), which costs a worker about 32 MiB.

Its usage statistics and its store on disk are turned off: a worker writes nothing outside its own folders, and tells
nobody but those who are named.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from mlops_scoring.telemetry.families import Distribution, Family, Labels, Point
from mlops_scoring.telemetry.posting import Outcome
from mlops_scoring.telemetry.spans import Attributes, Span

_MODULE = "azure.monitor.opentelemetry.exporter"


class AzureMonitorUnavailable(Exception):
    """It cannot be used; the message says what to do."""


class AzureMonitorSink:
    """Sends spans or metrics to Azure Monitor; used by one thread.

    Args:
        connection_string: Where to; it holds the key, and is never shown.
        resource: Who sends.

    Raises:
        AzureMonitorUnavailable: The exporter is not installed, or does not take the connection string.
    """

    def __init__(self, connection_string: str, resource: Attributes) -> None:
        """Import the exporter and make its client; nothing is sent."""
        os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
        try:
            exporter = importlib.import_module(_MODULE)
        except ImportError:
            raise AzureMonitorUnavailable(
                "Azure Monitor gets nothing: its exporter is not in the environment. "
                "Add azure-monitor-opentelemetry-exporter to its requirements, and lock them."
            ) from None
        options = {"connection_string": connection_string, "disable_offline_storage": True}
        try:
            self._traces = exporter.AzureMonitorTraceExporter(**options)
            self._metrics = exporter.AzureMonitorMetricExporter(**options)
        except ValueError:  # whose text may have the key in it
            raise AzureMonitorUnavailable("Azure Monitor gets nothing: its connection string is none.") from None
        self._resource = importlib.import_module("opentelemetry.sdk.resources").Resource(dict(resource))
        self._sent: dict[tuple[str, Labels], float | Distribution] = {}

    def send_spans(self, spans: Sequence[Span], timeout: float) -> Outcome:
        """Send some spans; the exporter keeps its own time."""
        del timeout
        return self._export(lambda: self._traces.export([_readable(span, self._resource) for span in spans]))

    def send_metrics(self, families: Sequence[Family], timeout: float) -> Outcome:
        """Send what was added since the last time: Azure Monitor adds up what it gets."""
        changes = [(family, [self._change(family, point) for point in family.points]) for family in families]
        data = _metrics_data(changes, self._resource)
        outcome = self._export(lambda: self._metrics.export(data, timeout_millis=timeout * 1000))
        if outcome.problem is None:
            self._sent = {
                (family.name, point.labels): point.value
                for family in families
                if family.kind != "gauge"
                for point in family.points
            }
        return outcome

    def close(self) -> None:
        """End the exporter's connections."""
        self._traces.shutdown()
        self._metrics.shutdown()

    def _change(self, family: Family, point: Point) -> Point:
        before = self._sent.get((family.name, point.labels))
        match before, point.value:
            case None, _:
                return point
            case Distribution() as old, Distribution() as new:
                counts = [now - then for now, then in zip(new.counts, old.counts, strict=True)]
                return Point(point.labels, Distribution(new.bounds, counts, new.total - old.total))
            case (int() | float()) as old, (int() | float()) as new:
                return Point(point.labels, new - old)
            case _:
                return point

    def _export(self, export: Any) -> Outcome:  # noqa: ANN401 - gives one of two enumerations of the SDK
        context = importlib.import_module("opentelemetry.context")
        # Or `requests`, where a script has it traced, would make spans of sending spans.
        token = context.attach(context.set_value("suppress_instrumentation", True))
        try:
            result = export()
        except Exception as error:  # noqa: BLE001 - others' code: a bug there must cost spans only
            return Outcome(f"Azure Monitor's exporter failed: {type(error).__name__}")
        finally:
            context.detach(token)
        return Outcome() if result.name == "SUCCESS" else Outcome("Azure Monitor did not take them")


def _readable(span: Span, resource: Any) -> object:  # noqa: ANN401 - the SDK's Resource
    trace = importlib.import_module("opentelemetry.trace")
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    scope = importlib.import_module("opentelemetry.sdk.util.instrumentation").InstrumentationScope(span.scope)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    parent = trace.SpanContext(span.trace_id, span.parent_id, bool(span.remote_parent), flags)
    code = trace.StatusCode.ERROR if span.error is not None else trace.StatusCode.UNSET
    return sdk.ReadableSpan(
        name=span.name,
        context=trace.SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=flags),
        parent=parent if span.parent_id else None,
        resource=resource,
        attributes=span.all_attributes,
        events=[sdk.Event(event.name, dict(event.attributes), event.time) for event in span.events],
        kind=trace.SpanKind[span.kind.upper()],
        instrumentation_scope=scope,
        status=trace.Status(code, span.error or None),
        start_time=span.start,
        end_time=span.end,
    )


def _metrics_data(changes: Sequence[tuple[Family, list[Point]]], resource: Any) -> object:  # noqa: ANN401 - as above
    export = importlib.import_module("opentelemetry.sdk.metrics.export")
    scope = importlib.import_module("opentelemetry.sdk.util.instrumentation").InstrumentationScope("mlops_scoring")
    metrics = [
        export.Metric(family.name, family.text, family.unit, _data(export, family, points))
        for family, points in changes
        if points
    ]
    scopes = [export.ScopeMetrics(scope, metrics, "")]
    return export.MetricsData([export.ResourceMetrics(resource, scopes, "")])


def _data(export: Any, family: Family, points: list[Point]) -> object:  # noqa: ANN401 - a module
    if family.kind == "gauge":
        return export.Gauge([export.NumberDataPoint(dict(point.labels), 0, 0, point.value) for point in points])
    if family.kind == "counter":
        numbers = [export.NumberDataPoint(dict(point.labels), 0, 0, point.value) for point in points]
        return export.Sum(numbers, export.AggregationTemporality.DELTA, is_monotonic=True)
    found = [(point, point.value) for point in points if isinstance(point.value, Distribution)]
    histograms = [
        export.HistogramDataPoint(
            dict(point.labels), 0, 0, value.count, value.total, value.counts, value.bounds, 0.0, value.total
        )
        for point, value in found
    ]
    return export.Histogram(histograms, export.AggregationTemporality.DELTA)
