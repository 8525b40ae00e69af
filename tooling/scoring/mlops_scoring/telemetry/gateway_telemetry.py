"""All telemetry of one gateway, put together, and changed while it runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from mlops_scoring.configuration import EndpointConfiguration
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.gateway.observing import Observer, Tracer
from mlops_scoring.telemetry.export_settings import ExportSettings, export_settings
from mlops_scoring.telemetry.exporting import MetricClock, SpanQueue
from mlops_scoring.telemetry.families import Family
from mlops_scoring.telemetry.gateway_tracing import AccessLog, GatewayTracer
from mlops_scoring.telemetry.resources import merged_resource
from mlops_scoring.telemetry.spans import Attributes

_READ_SECONDS = 2.0
_log = logging.getLogger("mlops_scoring.telemetry")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What sends, for one set of settings."""

    tracer: Tracer | None = None
    observers: tuple[Observer, ...] = ()
    closing: tuple[Callable[[], None], ...] = ()


class GatewayTelemetry:
    """Gives a gateway its tracer and observers.

    Args:
        gateway: Gets them; they are changed on its event loop only.
        families: Reads all values; called on the event loop.
        environment: Environment variables of this process.
    """

    def __init__(
        self, gateway: Gateway, families: Callable[[], Sequence[Family]], environment: Mapping[str, str]
    ) -> None:
        """Begin with nothing that is sent."""
        self._gateway = gateway
        self._families = families
        self._environment = environment
        self._key: object = None
        self._parts = _Parts()

    def apply(self, configuration: EndpointConfiguration) -> None:
        """Let what a configuration says hold from the next request on."""
        key = (configuration.telemetry, configuration.tls is None)
        if key == self._key:
            return
        self._key = key
        settings = export_settings(configuration.telemetry, self._environment)
        for problem in settings.problems:
            _log.warning("%s", problem)
        before, self._parts = self._parts, self._build(configuration, settings)
        self._gateway.tracer = self._parts.tracer
        kept = [observer for observer in self._gateway.observers if observer not in before.observers]
        self._gateway.observers[:] = [*kept, *self._parts.observers]
        for close in before.closing:
            threading.Thread(target=close, daemon=True).start()

    def close(self) -> None:
        """Send what waits, in bounded time; not on the event loop, which must still run."""
        parts, self._parts = self._parts, _Parts()
        for close in parts.closing:
            close()

    def _build(self, configuration: EndpointConfiguration, settings: ExportSettings) -> _Parts:
        observers: list[Observer] = []
        closing: list[Callable[[], None]] = []
        tracer: GatewayTracer | None = None
        resource = _resource(configuration.endpoint, settings.resource)
        if settings.metrics is not None:
            closing.append(self._send_metrics(settings, resource))
        if settings.traces is not None:
            from mlops_scoring.telemetry.sinks import OtlpSink  # noqa: PLC0415 - an HTTP client takes 2 MiB

            sink = OtlpSink(settings.traces, resource)
            queue = SpanQueue(sink, settings.span_delay, settings.span_queue, settings.span_batch)
            closing.append(queue.close)
            tracer = GatewayTracer(settings.sampler, (queue,), "http" if configuration.tls is None else "https")
            observers.append(tracer)
        if settings.access_log:
            observers.append(AccessLog(settings.access_log))
        return _Parts(tracer, tuple(observers), tuple(closing))

    def _send_metrics(self, settings: ExportSettings, resource: Attributes) -> Callable[[], None]:
        from mlops_scoring.telemetry.sinks import OtlpSink  # noqa: PLC0415 - as above

        loop = asyncio.get_running_loop()

        def read() -> Sequence[Family]:
            """Read on the event loop, where nothing changes meanwhile."""
            found: Future[Sequence[Family]] = Future()
            loop.call_soon_threadsafe(lambda: found.set_result(self._families()))
            return found.result(_READ_SECONDS)

        if settings.metrics is None:
            return lambda: None
        return MetricClock(OtlpSink(settings.metrics, resource), read, settings.metric_interval).close


def _resource(endpoint: str, overrides: Mapping[str, str]) -> Attributes:
    return merged_resource(endpoint, {"mlops.endpoint": endpoint, "mlops.component": "gateway"}, overrides)
