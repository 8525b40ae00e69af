"""All telemetry of one worker, put together: what is counted, shown, traced and sent."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from mlops_scoring.configuration import WorkerConfiguration
from mlops_scoring.telemetry.export_settings import ExportSettings, export_settings
from mlops_scoring.telemetry.exporting import FLUSH_SECONDS, MetricClock, SpanQueue
from mlops_scoring.telemetry.exposition import exposed_name, render
from mlops_scoring.telemetry.families import Family, counter
from mlops_scoring.telemetry.resources import merged_resource
from mlops_scoring.telemetry.script_metrics import open_telemetry_metrics, prometheus_text
from mlops_scoring.telemetry.script_traces import provide_tracers
from mlops_scoring.telemetry.spans import Attributes
from mlops_scoring.telemetry.worker_metrics import Extra, WorkerMetrics
from mlops_scoring.telemetry.worker_tracing import WorkerTracer
from mlops_scoring.worker.observing import Scored
from mlops_scoring.worker.routes import Routes
from mlops_scoring.worker.run_threads import RunThreads

_log = logging.getLogger("mlops_scoring.telemetry")


class WorkerTelemetry:
    """Counts, shows, traces and sends, for one worker; an observer.

    Args:
        configuration: What the worker serves.
        threads: Where `run()` works.
        init_seconds: How long loading took.
        extra: Further families to show and send.
    """

    def __init__(
        self, configuration: WorkerConfiguration, threads: RunThreads, init_seconds: float, extra: Iterable[Extra] = ()
    ) -> None:
        """Read the settings and start what sends. To be made when the model is loaded and the variables are set."""
        deployment = configuration.deployment
        settings = export_settings(deployment.telemetry, os.environ)
        for problem in settings.problems:
            _log.warning("%s", problem)
        self._queues: list[SpanQueue] = []
        self._clocks: list[MetricClock] = []
        resource = worker_resource(configuration, settings.resource)
        script = open_telemetry_metrics(resource)
        self._threads = threads
        families = (*extra, self._own_families, *(() if script is None else (script,)))
        self._metrics = WorkerMetrics(
            lambda: threads.pending, threads.count, init_seconds, deployment.runtime, families
        )
        if settings.active:
            self._start_sending(settings, resource)
        provide_tracers(settings.sampler, self._queues, resource)
        self._tracer = WorkerTracer(settings.sampler, tuple(self._queues))

    def _start_sending(self, settings: ExportSettings, resource: Attributes) -> None:
        # Not before it is needed: an HTTP client takes 2 MiB.
        from mlops_scoring.telemetry.sinks import OtlpSink  # noqa: PLC0415

        if settings.traces is not None:
            sink = OtlpSink(settings.traces, resource)
            self._queues.append(SpanQueue(sink, settings.span_delay, settings.span_queue, settings.span_batch))
        if settings.metrics is not None:
            clock = MetricClock(OtlpSink(settings.metrics, resource), self.families, settings.metric_interval)
            self._clocks.append(clock)
        if settings.azure_monitor is not None:
            self._start_azure_monitor(settings, settings.azure_monitor, resource)

    def _start_azure_monitor(self, settings: ExportSettings, connection_string: str, resource: Attributes) -> None:
        from mlops_scoring.telemetry import azure_monitor  # noqa: PLC0415 - as above

        try:
            spans, metrics = (azure_monitor.AzureMonitorSink(connection_string, resource) for _ in range(2))
        except azure_monitor.AzureMonitorUnavailable as unavailable:
            _log.warning("%s", unavailable)
            return
        self._queues.append(SpanQueue(spans, settings.span_delay, settings.span_queue, settings.span_batch))
        self._clocks.append(MetricClock(metrics, self.families, settings.metric_interval))

    def routes(self, routes: Routes) -> Routes:
        """The same routes, those that score within spans."""
        return self._tracer.routes(routes)

    def families(self) -> Sequence[Family]:
        """All values as they are now."""
        found: dict[str, Family] = {}
        for family in self._metrics.families():
            found.setdefault(exposed_name(family), family)
        return list(found.values())

    @property
    def exposition(self) -> Callable[[], bytes]:
        """Makes the text that Prometheus reads; may run what the script has registered, so in a thread of its own."""
        return self._expose

    def _expose(self) -> bytes:
        families = self.families()
        return render(families) + prometheus_text({exposed_name(family) for family in families})

    def scored(self, scored: Scored) -> None:
        """One request was answered."""
        self._metrics.scored(scored)
        if self._queues and scored.waited >= scored.seconds:
            self._tracer.refused(scored)

    def close(self) -> None:
        """Send what waits, in bounded time."""
        parts: list[MetricClock | SpanQueue] = [*self._clocks, *self._queues]
        ends = [threading.Thread(target=part.close, args=(FLUSH_SECONDS,), daemon=True) for part in parts]
        for end in ends:
            end.start()
        for end in ends:
            end.join(FLUSH_SECONDS + 1)

    def _own_families(self) -> Iterable[Family]:
        yield counter("mlops_worker_loans", "Clients that a thread of run() answered by itself.", self._threads.loans)
        if self._queues:
            dropped = sum(queue.dropped for queue in self._queues)
            sent = sum(queue.sent for queue in self._queues)
            yield counter("mlops_worker_spans_dropped", "Spans that could not be sent.", dropped, "{span}")
            yield counter("mlops_worker_spans_sent", "Spans that a collector has taken.", sent, "{span}")


def worker_resource(configuration: WorkerConfiguration, overrides: Mapping[str, str]) -> Attributes:
    """Who sends, in the words of the semantic conventions."""
    deployment = configuration.deployment
    return merged_resource(
        configuration.endpoint or deployment.declared_name,
        {
            "mlops.endpoint": configuration.endpoint,
            "mlops.deployment": deployment.name,
            "mlops.deployment.declared": deployment.declared_name,
            "mlops.model.name": deployment.model.name,
            "mlops.model.version": deployment.model.version,
            "mlops.component": "worker",
        },
        overrides,
    )
