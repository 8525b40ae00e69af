"""One request on its way through the gateway: choice, queue, worker, answer; with its retry and its time limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mlops_scoring.gateway.backend import Backend
from mlops_scoring.wire.messages import Headers, Request, identifying_headers, message
from mlops_scoring.wire.pool import Upstream
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.wire.upstream import Loss, UpstreamConnection

if TYPE_CHECKING:
    from mlops_scoring.gateway.gateway import Gateway

_JSON = (b"content-type", b"application/json")
_RETRY_AFTER = (b"retry-after", b"1")
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_MAX_ATTEMPTS = 3


def answer_error(
    client: ServerConnection, request: Request, status: int, text: str, headers: Headers | None = None
) -> None:
    """Answer with an error of the gateway's own, in the form of Azure ML's server."""
    client.send(status, [_JSON, *(headers or []), *identifying_headers(request)], message(text))


class ProxyExchange:
    """Carries a request to a worker and the answer back.

    Args:
        gateway: Finds another deployment when the chosen one has no worker.
        request: The request.
        client: Where the answer goes.
        pinned: The deployment's name where the client chose it.
        counted: Whether the deployment's counters hear of it.
    """

    __slots__ = (
        "_attempts",
        "_backend",
        "_begun",
        "_client",
        "_connection",
        "_counted",
        "_done",
        "_failed",
        "_gateway",
        "_overdue",
        "_pinned",
        "_request",
        "_timer",
        "_upstream",
    )

    def __init__(
        self, gateway: Gateway, request: Request, client: ServerConnection, pinned: str | None, *, counted: bool
    ) -> None:
        """Know both ends; nothing is sent yet."""
        self._gateway = gateway
        self._request = request
        self._client = client
        self._pinned = pinned
        self._counted = counted
        self._backend: Backend
        self._connection: UpstreamConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._attempts = 0
        self._begun = False
        self._failed = False
        self._overdue = False
        self._upstream: Upstream | None = None
        self._done = False  # answered, or given up; what still comes from the worker is dropped

    def begin(self, backend: Backend) -> None:
        """Start with the chosen deployment."""
        self._client.exchange = self
        self._backend = backend
        if not backend.submit(self):
            self.stranded()

    # What the backend says

    def assigned(self, upstream: Upstream) -> None:
        """A worker is free: send."""
        self._attempts += 1
        if self._timer is None:
            seconds = self._backend.settings.request_timeout_ms / 1000
            self._timer = asyncio.get_running_loop().call_later(seconds, self._time_out)
        self._upstream = upstream
        upstream.send(self._request, self)

    def overdue(self) -> None:
        """The queue's time has passed."""
        self._fail(429, "Too many requests: no worker became free in time. Try again later.", _RETRY_AFTER)

    def stranded(self) -> None:
        """The deployment has no ready worker: try another, or say so."""
        for other in self._gateway.instead(self._pinned):
            if other is not self._backend and self._attempts < _MAX_ATTEMPTS:
                self._backend = other
                if other.submit(self):
                    return
        self._fail(503, f"The deployment {self._backend.name} has no ready worker. Try again later.", _RETRY_AFTER)

    # What the worker says

    @property
    def wanted(self) -> bool:
        """Whether the client still waits."""
        return not self._done

    def sent(self, connection: UpstreamConnection) -> None:
        """A worker has the request."""
        self._connection = connection

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The answer, complete."""
        if self._recovered() or self._done:
            return
        self._settle(failed=status >= 500)
        headers.append(self._backend.header)
        self._client.send(status, headers, body)

    def begun(self, status: int, headers: Headers) -> None:
        """The head of an answer whose body is still coming."""
        self._begun = True
        if self._recovered() or self._done:
            return
        self._failed = status >= 500
        length = next((int(value) for name, value in headers if name == b"content-length"), None)
        headers.append(self._backend.header)
        self._client.start(status, headers, length)

    def piece(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._done:
            self._client.write(body)

    def ended(self) -> None:
        """The body is complete."""
        if not self._done:
            self._settle(failed=self._failed)
            self._client.finish()

    def lost(self, loss: Loss) -> None:
        """The worker is gone: try again where that is safe, else say so."""
        self._connection = None
        if self._recovered() or self._done:
            return
        if self._begun:
            self._settle(failed=True)
            self._client.abort()
            return
        again = loss is Loss.UNSENT or (loss is Loss.UNANSWERED and self._request.method in _IDEMPOTENT)
        if again and self._attempts < (_MAX_ATTEMPTS if loss is Loss.UNSENT else 2):
            if not self._backend.submit(self):
                self.stranded()
            return
        self._fail(502, f"The worker of {self._backend.name} that had the request died. The request may be sent again.")

    def _time_out(self) -> None:
        if self._begun:
            self._settle(failed=True)
            self._client.abort()
            self._abandon()
            return
        self._backend.withdraw(self)
        if self._upstream is not None:
            self._upstream.overdue += 1
            self._overdue = True
        self._fail(504, f"Scoring timeout after {self._backend.settings.request_timeout_ms} ms")
        self._abandon()

    # What the client says

    def client_lost(self) -> None:
        """Nobody waits for the answer. The worker cannot be stopped, but a queued request can be dropped."""
        if not self._done:
            self._settle(failed=False)
            self._backend.withdraw(self)
            self._abandon()

    def client_paused(self) -> None:
        """Read no faster than the client does."""
        if self._connection is not None and self._begun:
            self._connection.pause()

    def client_resumed(self) -> None:
        """Go on."""
        if self._connection is not None and self._begun:
            self._connection.resume()

    def _abandon(self) -> None:
        # A worker that has begun to answer has left run(); otherwise its slot stays taken until run() returns.
        connection, self._connection = self._connection, None
        if connection is not None and self._begun:
            connection.abort()

    def _fail(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        if self._done:
            return
        self._settle(failed=status >= 500)
        answer_error(self._client, self._request, status, text, [*headers, self._backend.header])

    def _recovered(self) -> bool:
        """Whether this was a request that had timed out; its worker is free again."""
        if not self._overdue or self._upstream is None:
            return False
        self._upstream.overdue -= 1
        self._overdue = False
        return True

    def _settle(self, *, failed: bool) -> None:
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._counted:
            self._backend.counters.requests += 1
            self._backend.counters.errors += failed
