"""The admin side of a worker: probes and metrics, on an address that clients do not reach."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

from mlops_scoring.wire.messages import Request, message
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.condition import Condition

_log = logging.getLogger("mlops_scoring.worker")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")
_METRICS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class AdminSide:
    """Answers probes and scrapes.

    Args:
        condition: What probes are told.
        metrics: Makes the Prometheus text.
    """

    def __init__(self, condition: Condition, metrics: Callable[[], bytes]) -> None:
        """Know the worker."""
        self._condition = condition
        self._metrics = metrics
        self._scraping = False

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        if request.method not in {b"GET", b"HEAD"}:
            client.send(405, [_JSON, (b"allow", b"GET")], message("The admin side takes GET only."))
            return
        match request.path:
            case b"/healthz/startup":
                client.send(200, [_TEXT], b"Healthy")
            case b"/" | b"/healthz/live":
                live = self._condition.live
                client.send(200 if live else 503, [_TEXT], b"Healthy" if live else b"run() does not return")
            case b"/healthz/ready":
                ready = self._condition.ready
                client.send(200 if ready else 503, [_TEXT], b"Ready" if ready else b"Not ready")
            case b"/metrics":
                self._scrape(self._metrics, client)
            case _:
                client.send(404, [_JSON], message("The admin side has no such route."))

    def _scrape(self, metrics: Callable[[], bytes], client: ServerConnection) -> None:
        """Read the metrics in a thread, for a script's own collectors may take long; one scrape at a time."""
        if self._scraping:
            client.send(503, [_JSON, (b"retry-after", b"1")], message("Another scrape has not ended."))
            return
        self._scraping = True
        loop = asyncio.get_running_loop()

        def answer(status: int, body: bytes) -> None:
            self._scraping = False
            client.send(status, [_METRICS], body)

        def read() -> None:
            try:
                status, body = 200, metrics()
            except Exception:  # noqa: BLE001 - a script's collectors raise anything
                _log.exception("metrics cannot be read")
                status, body = 500, b""
            with contextlib.suppress(RuntimeError):  # the worker has ended meanwhile
                loop.call_soon_threadsafe(answer, status, body)

        threading.Thread(target=read, name="scrape", daemon=True).start()
