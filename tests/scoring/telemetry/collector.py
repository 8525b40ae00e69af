"""An OpenTelemetry collector for tests: real HTTP, opentelemetry-proto's own classes, and moods."""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.scoring.rig import PATIENCE


@dataclass
class ReceivedSpan:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    state: str
    status: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    events: list[str]


@dataclass
class Collector:
    """What was received, and how the next message is answered.

    Attributes:
        status: What posts are answered with.
        hold: While cleared, answers wait; nothing is kept of what arrives then.
        posts: Messages by path, whatever they were answered with.
    """

    port: int = 0
    status: int = 200
    hold: threading.Event = field(default_factory=threading.Event)
    headers: list[dict[str, str]] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)
    spans: list[ReceivedSpan] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self, claim: Callable[[], object], what: str) -> None:
        """Wait until what was received makes something true."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while not claim():
                left = deadline - time.monotonic()
                assert left > 0, f"never received: {what}; posts {self.posts}, spans {self.spans}"
                self.changed.wait(left)

    def named(self, component: str) -> list[ReceivedSpan]:
        """Spans of one component."""
        return [span for span in self.spans if span.resource.get("mlops.component") == component]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep one message."""
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self.changed:
            self.posts.append(path)
            self.headers.append(headers)
            if self.status == 200 and path.endswith("/v1/traces"):
                self.spans += _spans(body)
            elif self.status == 200 and path.endswith("/v1/metrics"):
                self.metrics.append(_metrics(body))
            self.changed.notify_all()


def _spans(body: bytes) -> list[ReceivedSpan]:
    return [
        ReceivedSpan(
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            state=span.trace_state,
            status=span.status.code,
            attributes=_values(span.attributes),
            resource=_values(group.resource.attributes),
            scope=scope.scope.name,
            events=[event.name for event in span.events],
        )
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _metrics(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                found[metric.name] = (kind, list(getattr(metric, str(kind)).data_points), metric)
        found["resource"] = _values(group.resource.attributes)
    return found


def _values(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - repeated KeyValue
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:  # noqa: ANN401 - AnyValue
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def listen(collector: Collector, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Collector]:
    """Let a collector receive, on a port of loopback."""

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            collector.hold.wait()
            try:
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:  # whoever sent it has given up
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    collector.port = server.server_address[1]
    collector.hold.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        collector.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
