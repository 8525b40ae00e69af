"""The admin side of a worker: probes and metrics, on an address that clients do not reach."""

from __future__ import annotations

from collections.abc import Callable

from mlops_scoring.wire.messages import Request, message
from mlops_scoring.wire.server import ServerConnection

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")
_METRICS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class AdminSide:
    """Answers probes and scrapes.

    Args:
        metrics: Makes the Prometheus text; None where nothing is measured.

    Attributes:
        ready: Whether requests are wanted; false again from the moment the worker is told to stop.
    """

    def __init__(self, metrics: Callable[[], bytes] | None) -> None:
        """Begin ready: the model is loaded."""
        self.ready = True
        self._metrics = metrics

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        if request.method not in {b"GET", b"HEAD"}:
            client.send(405, [_JSON, (b"allow", b"GET")], message("The admin side takes GET only."))
            return
        match request.path:
            case b"/healthz/startup" | b"/healthz/live":
                client.send(200, [_TEXT], b"Healthy")
            case b"/healthz/ready":
                client.send(200 if self.ready else 503, [_TEXT], b"Ready" if self.ready else b"Not ready")
            case b"/metrics" if self._metrics is not None:
                client.send(200, [_METRICS], self._metrics())
            case _:
                client.send(404, [_JSON], message("The admin side has no such route."))
