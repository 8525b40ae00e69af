"""One request on its way through the gateway: choice, queue, worker, answer; with its retry and its time limit."""

from __future__ import annotations

import asyncio
from time import monotonic, time
from typing import TYPE_CHECKING

from mlops_scoring.gateway.backend import Backend
from mlops_scoring.gateway.figures import CLIENT_GONE
from mlops_scoring.gateway.observing import Exchanged, request_identity
from mlops_scoring.wire.messages import Headers, Request, identifying_headers, message
from mlops_scoring.wire.pool import Upstream
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.wire.upstream import Loss, UpstreamConnection

if TYPE_CHECKING:
    from mlops_scoring.gateway.gateway import Gateway

_JSON = (b"content-type", b"application/json")
_RETRY_AFTER = (b"retry-after", b"1")
_RETRY_LATER = frozenset({429, 503})
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_MAX_ATTEMPTS = 3


def answer_error(
    client: ServerConnection, request: Request, status: int, text: str, headers: Headers | None = None
) -> Headers:
    """Answer with an error of the gateway's own, in the form of Azure ML's server.

    Returns:
        The headers that were sent.
    """
    sent = [_JSON, *(headers or []), *identifying_headers(request)]
    if status in _RETRY_LATER:
        sent.append(_RETRY_AFTER)
    client.send(status, sent, message(text))
    return sent


class ProxyExchange:
    """Carries a request to a worker and the answer back.

    Args:
        gateway: Finds another deployment when the chosen one has no worker.
        request: The request.
        client: Where the answer goes.
        pinned: The deployment's name where the client chose it.
        counted: Whether the deployment's counters hear of it.
        mirrored: Whether a copy goes to the mirror once the answer is under way.
    """

    __slots__ = (
        "_answered",
        "_attempts",
        "_backend",
        "_began",
        "_begun",
        "_client",
        "_connection",
        "_counted",
        "_done",
        "_gateway",
        "_mirrored",
        "_overdue",
        "_pinned",
        "_request",
        "_seen",
        "_sent",
        "_status",
        "_timer",
        "_trace",
        "_upstream",
        "_waited",
        "_waits_since",
    )

    def __init__(
        self,
        gateway: Gateway,
        request: Request,
        client: ServerConnection,
        pinned: str | None,
        *,
        counted: bool,
        mirrored: bool = False,
    ) -> None:
        """Know both ends; nothing is sent yet."""
        self._gateway = gateway
        self._request = request
        self._client = client
        self._pinned = pinned
        self._counted = counted
        self._mirrored = mirrored
        self._backend: Backend
        self._connection: UpstreamConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._attempts = 0
        self._begun = False
        self._overdue = False
        self._upstream: Upstream | None = None
        self._done = False  # answered, or given up; what still comes from the worker is dropped
        self._status = 0
        self._answered: Headers = []
        self._sent = 0
        self._seen = -1  # of it, when time was last looked at
        self._waited = 0.0
        self._began = self._waits_since = monotonic()
        self._trace = gateway.tracer.begin(request) if gateway.tracer is not None else None

    def begin(self, backend: Backend) -> None:
        """Start with the chosen deployment."""
        self._client.exchange = self
        self._backend = backend
        if not self._submit(backend):
            self.stranded()

    def _submit(self, backend: Backend) -> bool:
        return backend.submit(self)

    # What the backend says

    def assigned(self, upstream: Upstream) -> None:
        """A worker is free: send."""
        self._note_attempt(upstream)
        self._start_clock()
        upstream.send(self._request, self)

    def _note_attempt(self, upstream: Upstream) -> None:
        self._attempts += 1
        if self._attempts > 1:
            self._backend.tally.retried += 1
        self._upstream = upstream

    def _start_clock(self) -> None:
        self._waited += monotonic() - self._waits_since
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        seconds = self._backend.settings.request_timeout_ms / 1000
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_out)

    def overdue(self) -> None:
        """The queue's time has passed."""
        self._waited += monotonic() - self._waits_since
        self._backend.tally.queue_full += self._counted
        self._fail(429, "Too many requests: no worker became free in time. Try again later.")

    def stranded(self) -> None:
        """The deployment has no ready worker: try another, or say so."""
        for other in self._gateway.instead(self._pinned):
            if other is not self._backend and self._attempts < _MAX_ATTEMPTS:
                self._backend = other
                if self._submit(other):
                    return
        self._fail(503, f"The deployment {self._backend.name} has no ready worker. Try again later.")

    # What the worker says

    @property
    def wanted(self) -> bool:
        """Whether the client still waits."""
        return not self._done

    def sent(self, connection: UpstreamConnection) -> None:
        """A worker has the request."""
        self._connection = connection

    def worker_resumed(self) -> None:
        """The worker reads on; the whole request was written at once."""

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The answer, complete."""
        if self._done:
            self._let_go()
            return
        self._settle(status)
        headers.append(self._backend.header)
        self._client.send(status, headers, body)
        self._sent = len(body)
        self._tell(headers)
        if self._mirrored:
            self._gateway.mirror(self._request)

    def begun(self, status: int, headers: Headers) -> None:
        """The head of an answer whose body is still coming."""
        self._begun = True
        if self._done:
            self._let_go()
            self._abandon()  # a stream that nobody reads would keep its place
            return
        self._status = status
        length = next((int(value) for name, value in headers if name == b"content-length"), None)
        headers.append(self._backend.header)
        self._answered = headers
        self._client.start(status, headers, length)
        if self._mirrored:
            self._gateway.mirror(self._request)

    def piece(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._done:
            self._sent += len(body)
            self._client.write(body)

    def ended(self) -> None:
        """The body is complete."""
        if not self._done:
            self._settle(self._status)
            self._client.finish()
            self._tell(self._answered)

    def lost(self, loss: Loss) -> None:
        """The worker is gone: try again where that is safe, else say so."""
        self._connection = None
        if self._done:
            self._let_go()
            return
        if self._begun:
            self._break_off(502)
            return
        if self._may_repeat(loss) and self._attempts < (_MAX_ATTEMPTS if loss is Loss.UNSENT else 2):
            self._waits_since = monotonic()
            if not self._submit(self._backend):
                self.stranded()
            return
        if loss is Loss.UNSENT:
            self._fail(503, f"No worker of {self._backend.name} can be reached now. Try again later.")
            return
        self._fail(502, f"The worker of {self._backend.name} that had the request died. The request may be sent again.")

    def _may_repeat(self, loss: Loss) -> bool:
        return loss is Loss.UNSENT or (loss is Loss.UNANSWERED and self._request.method in _IDEMPOTENT)

    def _time_out(self) -> None:
        self._timer = None
        if self._begun and (self._sent != self._seen or not self._client.writable):
            # It comes, or waits for its reader, to whom the listener's slowest rate applies.
            self._seen = self._sent
            self._set_timer()
            return
        if self._connection is not None and not self._begun and self._upstream is not None:
            self._upstream.overdue += 1
            self._overdue = True
        if self._done:
            return  # the client left before
        self._backend.tally.timed_out += self._counted
        if self._begun:
            self._break_off(504)
            return
        self._backend.withdraw(self)
        self._fail(504, f"Scoring timeout after {self._backend.settings.request_timeout_ms} ms")
        self._abandon()

    def _break_off(self, status: int) -> None:
        """End an answer that the client has a part of."""
        self._settle(status)
        self._client.abort()
        self._abandon()
        self._tell(self._answered)

    # What the client says

    def client_lost(self) -> None:
        """Nobody waits for the answer. The worker cannot be stopped, but a queued request can be dropped."""
        self._give_up(CLIENT_GONE)

    def body_lost(self, status: int) -> None:
        """The client's body will not come to its end; the connection tells the client."""
        self._give_up(status)

    def _give_up(self, status: int) -> None:
        if not self._done:
            self._settle(status, watching=True)
            self._backend.withdraw(self)
            self._abandon()
            self._tell([])

    def client_paused(self) -> None:
        """Read no faster than the client does."""
        if self._connection is not None and self._begun:
            self._connection.pause()

    def client_resumed(self) -> None:
        """Go on."""
        if self._connection is not None and self._begun:
            self._connection.resume()

    def _abandon(self) -> None:
        # A worker that has begun to answer has left run(), and one without the whole body has not entered it;
        # otherwise its place stays taken until run() returns.
        connection = self._connection
        if connection is not None and (self._begun or not connection.placed):
            self._connection = None
            connection.abort()

    def _fail(self, status: int, text: str) -> None:
        if self._done:
            return
        self._settle(status)
        self._tell(answer_error(self._client, self._request, status, text, [self._backend.header]))

    def _let_go(self) -> None:
        """A worker has answered or died for whose answer the client had not waited."""
        self._silence()
        if self._overdue and self._upstream is not None:
            self._upstream.overdue -= 1
            self._overdue = False

    def _silence(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _running(self) -> bool:
        """Whether `run()` may be at work on it."""
        return self._connection is not None and self._connection.placed and not self._begun

    def _settle(self, status: int, *, watching: bool = False) -> None:
        """Count the end; where `watching`, a `run()` that goes on is still watched, for it may never return."""
        self._done = True
        self._status = status
        if not (watching and self._running):
            self._silence()
        if self._counted:
            self._backend.tally.count(status, monotonic() - self._began, self._waited)

    def _tell(self, headers: Headers) -> None:
        """Tell the observers, now that the answer is written."""
        if not self._gateway.observers:
            return
        request, seconds = self._request, monotonic() - self._began
        self._gateway.tell(
            Exchanged(
                deployment=self._backend.name,
                request=request,
                status=self._status,
                started=time() - seconds,
                seconds=seconds,
                waited=self._waited,
                mirrored=False,
                request_id=request_identity(headers),
                trace=self._trace,
                received=len(request.body) if request.inflow is None else request.inflow.received,
                sent=self._sent,
            )
        )
