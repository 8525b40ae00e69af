"""The admin side of a server: start-up, liveness and readiness apart, as Kubernetes asks for them."""

from __future__ import annotations

from mlops_scoring.server.fleet import Fleet
from mlops_scoring.wire.messages import Request, message
from mlops_scoring.wire.server import ServerConnection

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_JSON = (b"content-type", b"application/json")


class ServerAdmin:
    """Answers probes.

    Attributes:
        draining: The server was told to stop: it is not ready, though what comes is still answered.
    """

    def __init__(self, fleet: Fleet) -> None:
        """Know the workers."""
        self.draining = False
        self._fleet = fleet

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        match request.method, request.path:
            case b"GET" | b"HEAD", b"/healthz/live":
                client.send(200, [_TEXT], b"Healthy")
            case b"GET" | b"HEAD", b"/healthz/startup":
                self._answer(client, well=self._fleet.started)
            case b"GET" | b"HEAD", b"/healthz/ready":
                self._answer(client, well=bool(self._fleet.ready) and not self.draining)
            case _:
                client.send(404, [_JSON], message("The admin side has no such route."))

    def _answer(self, client: ServerConnection, *, well: bool) -> None:
        client.send(200 if well else 503, [_TEXT], b"Ready" if well else b"Not ready")
