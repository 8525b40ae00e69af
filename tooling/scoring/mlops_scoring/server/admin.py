"""The admin side of a server: start-up, liveness and readiness apart, as Kubernetes asks for them, and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mlops_scoring.server.fleet import Fleet
from mlops_scoring.wire.messages import Request, message
from mlops_scoring.wire.server import ServerConnection

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_METRICS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_JSON = (b"content-type", b"application/json")


class ServerAdmin:
    """Answers probes and scrapes.

    Args:
        fleet: The workers.
        scrape: Asks all workers for their metrics, and joins them as Prometheus' text.

    Attributes:
        draining: The server was told to stop: it is not ready, though what comes is still answered.
    """

    def __init__(self, fleet: Fleet, scrape: Callable[[], Awaitable[bytes]]) -> None:
        """Know the workers."""
        self.draining = False
        self._fleet = fleet
        self._scrape = scrape
        self._scraping: set[asyncio.Future[None]] = set()

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        match request.method, request.path:
            case b"GET" | b"HEAD", b"/healthz/live":
                client.send(200, [_TEXT], b"Healthy")
            case b"GET" | b"HEAD", b"/healthz/startup":
                self._answer(client, well=self._fleet.started)
            case b"GET" | b"HEAD", b"/healthz/ready":
                self._answer(client, well=bool(self._fleet.ready) and not self.draining)
            case b"GET", b"/metrics":
                task = asyncio.ensure_future(self._show_metrics(client))
                self._scraping.add(task)
                task.add_done_callback(self._scraping.discard)
            case _:
                client.send(404, [_JSON], message("The admin side has no such route."))

    async def _show_metrics(self, client: ServerConnection) -> None:
        client.send(200, [_METRICS], await self._scrape())

    def _answer(self, client: ServerConnection, *, well: bool) -> None:
        client.send(200 if well else 503, [_TEXT], b"Ready" if well else b"Not ready")
