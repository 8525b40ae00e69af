"""A request whose body is passed on to a worker while it is still coming.

The worker that is chosen gets the body but for its end, so it cannot begin `run()`. When the rest has come, the request
waits for one of the worker's places as any other does, and the end is sent when it has one. So a slow client holds no
place, and the gateway holds no more than a bounded piece of the body.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from mlops_scoring.gateway.backend import Backend
from mlops_scoring.gateway.exchange import ProxyExchange
from mlops_scoring.wire.inflow import Inflow
from mlops_scoring.wire.messages import Headers, Request
from mlops_scoring.wire.pool import Upstream
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.wire.upstream import Loss, UpstreamConnection

if TYPE_CHECKING:
    from mlops_scoring.gateway.gateway import Gateway


class StreamedExchange(ProxyExchange):
    """Carries a request whose body is still coming."""

    __slots__ = ("_claiming", "_inflow", "_touched")

    def __init__(
        self,
        gateway: Gateway,
        request: Request,
        inflow: Inflow,
        client: ServerConnection,
        pinned: str | None,
        *,
        counted: bool,
    ) -> None:
        """Know both ends and the body."""
        super().__init__(gateway, request, client, pinned, counted=counted)
        self._inflow = inflow
        self._claiming = False  # the body is whole but for what is kept back
        self._touched = False  # a piece has left, so the request cannot be sent again

    def _submit(self, backend: Backend) -> bool:
        return backend.submit_stream(self)

    def assigned(self, upstream: Upstream) -> None:
        """A worker can take the body; or, when it has it, the request."""
        if self._claiming:
            self._complete(upstream)
            return
        self._note_attempt(upstream)
        upstream.send(self._request, self)

    def _complete(self, upstream: Upstream) -> None:
        if self._connection is None:
            return
        self._start_clock()
        upstream.give_place(self._connection)
        self._connection.write(self._inflow.take(), last=True)

    def overdue(self) -> None:
        """The queue's time has passed."""
        super().overdue()
        self._abandon()

    def sent(self, connection: UpstreamConnection) -> None:
        """The worker has the head of the request."""
        self._connection = connection
        self._waited += monotonic() - self._waits_since
        self._backend.tally.streamed += self._counted
        self._inflow.taker = self
        self.body_came()

    def worker_resumed(self) -> None:
        """The worker reads on."""
        self.body_came()

    def body_came(self) -> None:
        """Pass on what there is but for one piece, as far as the worker reads."""
        connection, inflow = self._connection, self._inflow
        if connection is None or self._done or self._begun:
            return
        while inflow.pieces > 1 and connection.writable:
            self._touched = True
            connection.write(inflow.take(), last=False)
        if inflow.complete and inflow.pieces == 1 and not self._claiming and self._upstream is not None:
            self._claiming = True
            self._waits_since = monotonic()
            self._backend.claim(self, self._upstream)

    def begun(self, status: int, headers: Headers) -> None:
        """An answer comes, perhaps before the body was whole; then the rest of that is of no use."""
        super().begun(status, headers)
        self._inflow.close()

    def lost(self, loss: Loss) -> None:
        """The worker is gone."""
        self._inflow.taker = None
        self._backend.withdraw(self)
        if not self._touched:
            self._claiming = False
        super().lost(loss)

    def _may_repeat(self, loss: Loss) -> bool:
        del loss  # a worker that did not get the whole body cannot have acted on it
        return not self._touched and self._inflow.pieces > 0
