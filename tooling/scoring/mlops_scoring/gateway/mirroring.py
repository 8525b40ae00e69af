"""Copies of requests to a deployment whose answers nobody gets.

A copy is made when the real answer is under way. It gets a worker only where one is free and nobody waits, never queues
and is never tried again; its answer is discarded and counted apart. So nothing that a mirror does can reach a client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from mlops_scoring.gateway.backend import Backend
from mlops_scoring.gateway.routing import schedule
from mlops_scoring.wire.messages import Headers, Request
from mlops_scoring.wire.pool import Upstream
from mlops_scoring.wire.upstream import Loss, UpstreamConnection

MAX_MIRRORS = 64
"""Copies under way at once; each holds a body of at most `stream_bytes`."""

_SERVER_ERRORS = 500


class Mirror:
    """Which requests are copied, and to which deployment.

    Args:
        name: The deployment's live name.
        percent: Share of the requests, exact over any hundred.
    """

    def __init__(self, name: str, percent: int) -> None:
        """Lay out the cycle."""
        self.name = name
        self.percent = percent
        self._turns = [turn == "copy" for turn in schedule({"copy": percent, "alone": 100 - percent})]
        self._next = 0

    def next(self) -> bool:
        """Whether the next request is copied."""
        turn = self._turns[self._next]
        self._next += 1
        if self._next == len(self._turns):
            self._next = 0
        return turn


class MirrorExchange:
    """Carries a copy to a worker, and drops the answer.

    Args:
        backend: The mirror.
        request: The copy.
        finished: Called once, with this exchange, when it is over; `status` is set then.

    Attributes:
        status: What the worker answered; 502 where it died, 504 where it took too long.
        seconds: How long that took.
    """

    def __init__(self, backend: Backend, request: Request, finished: Callable[[MirrorExchange], None]) -> None:
        """Know the copy; nothing is sent yet."""
        self.backend = backend
        self.request = request
        self.status = 0
        self.seconds = 0.0
        self.headers: Headers = []
        self.sent_bytes = 0
        self._finished = finished
        self._began = monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._connection: UpstreamConnection | None = None
        self._upstream: Upstream | None = None
        self._overdue = False
        self._over = False

    # What the backend says

    def assigned(self, upstream: Upstream) -> None:
        """A worker is free."""
        seconds = self.backend.settings.request_timeout_ms / 1000
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_out)
        self._upstream = upstream
        upstream.send(self.request, self)

    def overdue(self) -> None:
        """Never: a copy does not wait."""

    def stranded(self) -> None:
        """Never: a copy does not wait."""

    # What the worker says

    @property
    def wanted(self) -> bool:
        """Whether the copy is still to be sent."""
        return not self._over

    def sent(self, connection: UpstreamConnection) -> None:
        """A worker has the copy."""
        self._connection = connection

    def worker_resumed(self) -> None:
        """The copy was written at once."""

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The answer, complete."""
        self.headers, self.sent_bytes = headers, len(body)
        self._end(status)

    def begun(self, status: int, headers: Headers) -> None:
        """The head of an answer."""
        self.headers = headers
        self.status = status
        if self._over and self._connection is not None:
            self._connection.abort()

    def piece(self, body: bytes) -> None:
        """A piece of the answer."""
        self.sent_bytes += len(body)

    def ended(self) -> None:
        """The answer is complete."""
        self._end(self.status)

    def lost(self, loss: Loss) -> None:
        """The worker is gone."""
        del loss
        self._end(502)

    def _time_out(self) -> None:
        begun = bool(self.status)
        if self._upstream is not None and not begun:
            self._upstream.overdue += 1  # run() cannot be stopped: the place stays taken until it returns
            self._overdue = True
        self._end(504, recovered=False)
        if begun and self._connection is not None:
            self._connection.abort()

    def _end(self, status: int, *, recovered: bool = True) -> None:
        if recovered and self._overdue and self._upstream is not None:
            self._upstream.overdue -= 1
            self._overdue = False
        if self._over:
            return
        self._over = True
        self.status = status
        self.seconds = monotonic() - self._began
        if self._timer is not None:
            self._timer.cancel()
        self.backend.tally.mirror_errors += status >= _SERVER_ERRORS
        self._finished(self)
