"""The gateway of one endpoint: its own routes, and the way of everything else to a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.gateway.backend import Backend, Counters
from mlops_scoring.gateway.exchange import ProxyExchange, answer_error
from mlops_scoring.gateway.routing import Route
from mlops_scoring.wire.messages import Request, identifying_headers
from mlops_scoring.wire.server import ServerConnection

DEPLOYMENT_HEADER = b"azureml-model-deployment"
"""Request header that chooses a deployment, and response header that names the one that answered (Azure ML's)."""

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_LOCAL = frozenset({b"/", b"/healthz/live", b"/healthz/ready"})


class Gateway:
    """Answers the health routes and passes on the rest.

    Attributes:
        draining: The endpoint is being shut down: not ready, though what comes is still answered.
    """

    def __init__(self) -> None:
        """Begin without deployments."""
        self.draining = False
        self._backends: dict[str, Backend] = {}
        self._counters: dict[str, Counters] = {}
        self._route = Route({}, {}, self._backends.get)

    # What the supervisor calls

    def add(self, name: str, settings: RequestSettings) -> Backend:
        """Make a deployment known; it gets no traffic by this. Counters of a name outlive its backends."""
        backend = Backend(name, settings, self.counters(name))
        self._backends[name] = backend
        return backend

    def remove(self, backend: Backend) -> None:
        """Forget a deployment."""
        if self._backends.get(backend.name) is backend:
            del self._backends[backend.name]

    def counters(self, name: str) -> Counters:
        """Counters of a live name, since the supervisor began."""
        return self._counters.setdefault(name, Counters())

    def switch(self, traffic: Mapping[str, int], aliases: Mapping[str, str]) -> bool:
        """Replace weights and aliases at once.

        Returns:
            Whether they differ from those in force; a route that stays keeps its place in the cycle of weights.
        """
        if self._route.traffic == traffic and self._route.aliases == aliases:
            return False
        self._route = Route(traffic, aliases, self._backends.get)
        return True

    @property
    def traffic(self) -> Mapping[str, int]:
        """The weights in force."""
        return self._route.traffic

    @property
    def aliases(self) -> Mapping[str, str]:
        """The aliases in force."""
        return self._route.aliases

    @property
    def ready(self) -> bool:
        """Whether a request without a deployment header would find a worker."""
        return not self.draining and next(self._route.instead(None), None) is not None

    # What connections and exchanges call

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer a client's request."""
        if request.target in _LOCAL and request.method in {b"GET", b"HEAD"}:
            self._answer_health(request, client)
            return
        self.route(request, client)

    def route(self, request: Request, client: ServerConnection) -> None:
        """Pass a request on to the deployment that it names, or that the weights choose; nobody is asked for a key."""
        chosen = request.header(DEPLOYMENT_HEADER)
        if chosen is None:
            self._pass_on(request, client)
        else:
            self.pass_to(chosen.decode("latin-1"), request, client, counted=True)

    def pass_to(self, name: str, request: Request, client: ServerConnection, *, counted: bool) -> None:
        """Pass a request to one deployment, whatever its weight."""
        backend = self._route.by_name(name)
        if backend is None:
            answer_error(client, request, 404, f"This endpoint has no deployment {name!r}.")
            return
        ProxyExchange(self, request, client, name, counted=counted).begin(backend)

    def instead(self, pinned: str | None) -> Iterator[Backend]:
        """Deployments that may answer in another's place."""
        return self._route.instead(pinned)

    def _pass_on(self, request: Request, client: ServerConnection) -> None:
        backend = self._route.by_weight()
        if backend is None:
            text = "No deployment of this endpoint has traffic. Try again later."
            answer_error(client, request, 503, text, [(b"retry-after", b"1")])
            return
        ProxyExchange(self, request, client, None, counted=True).begin(backend)

    def _answer_health(self, request: Request, client: ServerConnection) -> None:
        headers = [_TEXT, *identifying_headers(request)]
        if request.target == b"/healthz/ready" and not self.ready:
            client.send(503, headers, b"Not ready")
        else:
            client.send(200, headers, b"Healthy")
