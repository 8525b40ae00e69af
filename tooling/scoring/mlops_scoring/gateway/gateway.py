"""The gateway of one endpoint: its own routes, and the way of everything else to a deployment."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.gateway.authentication import OPEN, Guard
from mlops_scoring.gateway.backend import Backend
from mlops_scoring.gateway.exchange import ProxyExchange, answer_error
from mlops_scoring.gateway.figures import DeploymentFigures, Tally
from mlops_scoring.gateway.mirroring import MAX_MIRRORS, Mirror, MirrorExchange
from mlops_scoring.gateway.observing import Exchanged, Observer, Tracer, request_identity
from mlops_scoring.gateway.routing import Route
from mlops_scoring.gateway.streaming import StreamedExchange
from mlops_scoring.wire.messages import Headers, Refusal, Request, identifying_headers, message
from mlops_scoring.wire.server import ServerConnection

DEPLOYMENT_HEADER = b"azureml-model-deployment"
"""Request header that chooses a deployment, and response header that names the one that answered (Azure ML's)."""

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_LOCAL = frozenset({b"/", b"/healthz/live", b"/healthz/ready"})
_MIRRORED = frozenset({b"POST", b"GET"})
"""Methods that score."""


class Gateway:
    """Answers the health routes and passes on the rest.

    Attributes:
        draining: The endpoint is being shut down: not ready, though what comes is still answered.
        guard: Who may pass.
        observers: Hear of each exchange.
        tracer: Begins a span for each exchange.
        refusals: Requests for which there was no deployment, by status.
    """

    def __init__(self) -> None:
        """Begin without deployments."""
        self.draining = False
        self.guard: Guard = OPEN
        self.observers: list[Observer] = []
        self.tracer: Tracer | None = None
        self.refusals: Counter[int] = Counter()
        self._backends: dict[str, Backend] = {}
        self._tallies: dict[str, Tally] = {}
        self._mirror: Mirror | None = None
        self._mirrors = 0
        self._route = Route({}, {}, self._backends.get)

    # What the supervisor calls

    def add(self, name: str, settings: RequestSettings) -> Backend:
        """Make a deployment known; it gets no traffic by this. Counters of a name outlive its backends."""
        backend = Backend(name, settings, self._tallies.setdefault(name, Tally()))
        self._backends[name] = backend
        return backend

    def remove(self, backend: Backend) -> None:
        """Forget a deployment."""
        if self._backends.get(backend.name) is backend:
            del self._backends[backend.name]

    def switch(
        self, traffic: Mapping[str, int], aliases: Mapping[str, str], mirror_traffic: Mapping[str, int] | None = None
    ) -> bool:
        """Replace weights, aliases and mirror at once.

        Returns:
            Whether they differ from those in force; what stays keeps its place in its cycle.
        """
        wanted = {name: percent for name, percent in (mirror_traffic or {}).items() if percent}
        changed = wanted != self.mirror_traffic
        if changed:
            self._mirror = next((Mirror(name, percent) for name, percent in wanted.items()), None)
        if self._route.traffic == traffic and self._route.aliases == aliases:
            return changed
        self._route = Route(traffic, aliases, self._backends.get)
        return True

    @property
    def mirror_traffic(self) -> Mapping[str, int]:
        """The mirror in force."""
        return {} if self._mirror is None else {self._mirror.name: self._mirror.percent}

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

    def figures(self) -> Mapping[str, DeploymentFigures]:
        """What was counted for each live name, those that have left included."""
        return {
            name: self._backends[name].figures()
            if name in self._backends
            else tally.figures(in_flight=0, waiting=0, ready=0)
            for name, tally in self._tallies.items()
        }

    # What connections and exchanges call

    def admit(self, request: Request) -> Refusal | None:
        """Look at the head of a client's request."""
        if request.target in _LOCAL and request.method in {b"GET", b"HEAD"}:
            return None
        return self.guard.refuse(request)

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer a client's request."""
        if request.target in _LOCAL and request.method in {b"GET", b"HEAD"}:
            self._answer_health(request, client)
        elif self.draining and request.path == b"/v2/health/ready":
            answer_error(client, request, 503, "This endpoint is about to end.")
        else:
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
            headers = answer_error(client, request, 404, f"This endpoint has no deployment {name!r}.")
            self._turned_away(request, 404, "This endpoint has no such deployment.", headers, counted=counted)
            return
        self._exchange(request, client, name, counted=counted).begin(backend)

    def _exchange(
        self, request: Request, client: ServerConnection, pinned: str | None, *, counted: bool
    ) -> ProxyExchange:
        if request.inflow is not None:
            return StreamedExchange(self, request, request.inflow, client, pinned, counted=counted)
        return ProxyExchange(self, request, client, pinned, counted=counted)

    def instead(self, pinned: str | None) -> Iterator[Backend]:
        """Deployments that may answer in another's place."""
        return self._route.instead(pinned)

    def _pass_on(self, request: Request, client: ServerConnection) -> None:
        backend = self._route.by_weight()
        if backend is None:
            text = "No deployment of this endpoint has traffic. Try again later."
            self._turned_away(request, 503, text, answer_error(client, request, 503, text), counted=True)
            return
        mirrored = self._mirror is not None and request.method in _MIRRORED and self._mirror.next()
        if request.inflow is None:
            ProxyExchange(self, request, client, None, counted=True, mirrored=mirrored).begin(backend)
            return
        if mirrored:
            self._drop_copy()
        StreamedExchange(self, request, request.inflow, client, None, counted=True).begin(backend)

    def refused(self, refusal: Refusal, request: Request) -> None:
        """A client's request was refused while it was read; what was read of it is no request yet."""
        self._tell_refused(request, refusal.status, refusal.text, list(refusal.headers))

    def _turned_away(self, request: Request, status: int, text: str, headers: Headers, *, counted: bool) -> None:
        """A request for which there is no deployment was answered."""
        self.refusals[status] += counted
        self._tell_refused(request, status, text, headers)

    def _tell_refused(self, request: Request, status: int, text: str, headers: Headers) -> None:
        if not self.observers:
            return
        whole = bool(request.method)
        self.tell(
            Exchanged(
                deployment="",
                request=request,
                status=status,
                started=time.time(),
                seconds=0.0,
                waited=0.0,
                mirrored=False,
                request_id=request_identity(headers),
                trace=self.tracer.begin(request) if whole and self.tracer is not None else None,
                received=len(request.body) if request.inflow is None else request.inflow.received,
                sent=len(message(text)),
                refusal=text,
            )
        )

    def mirror(self, request: Request) -> None:
        """Send a copy of a request whose answer is under way."""
        asyncio.get_running_loop().call_soon(self._send_copy, request)

    def _send_copy(self, request: Request) -> None:
        backend = None if self._mirror is None else self._backends.get(self._mirror.name)
        if backend is None or self._mirrors >= MAX_MIRRORS:
            self._drop_copy()
            return
        self._mirrors += 1
        if backend.submit_if_idle(MirrorExchange(backend, request.copy_for_mirror(), self._mirrored)):
            backend.tally.mirrored += 1
        else:
            self._mirrors -= 1
            self._drop_copy()

    def _drop_copy(self) -> None:
        if self._mirror is not None:
            self._tallies.setdefault(self._mirror.name, Tally()).mirror_dropped += 1

    def _mirrored(self, copy: MirrorExchange) -> None:
        self._mirrors -= 1
        if self.observers:
            self.tell(
                Exchanged(
                    deployment=copy.backend.name,
                    request=copy.request,
                    status=copy.status,
                    started=time.time() - copy.seconds,
                    seconds=copy.seconds,
                    waited=0.0,
                    mirrored=True,
                    request_id=request_identity(copy.headers),
                    trace=None,
                    received=len(copy.request.body),
                    sent=copy.sent_bytes,
                )
            )

    def tell(self, exchanged: Exchanged) -> None:
        """Tell the observers of an exchange that is over."""
        for observer in self.observers:
            observer.exchanged(exchanged)

    def _answer_health(self, request: Request, client: ServerConnection) -> None:
        headers = [_TEXT, *identifying_headers(request)]
        if request.target == b"/healthz/ready" and not self.ready:
            client.send(503, headers, b"Not ready")
        else:
            client.send(200, headers, b"Healthy")
