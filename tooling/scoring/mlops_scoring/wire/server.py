"""The side that clients talk to: the listener of an address, and what its connections share."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable

from mlops_scoring.wire.connection import ServerConnection
from mlops_scoring.wire.inflow import Buffered
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Refusal, Request

__all__ = ["Admission", "Handler", "Listener", "Refused", "ServerConnection"]

_SWEEP_SECONDS = 1.0

Handler = Callable[[Request, ServerConnection], None]
"""Answers one request, then or later, by `send` or by `start`, `write` and `finish` of the connection. It may set the
connection's `exchange` to hear of the client's going."""


Admission = Callable[[Request], Refusal | None]
"""Looks at the head of a request before its body is read, and may refuse it."""


Refused = Callable[[Refusal, Request], None]
"""Hears of a request that was refused while it was read, and what there is of it; without a method, part of a head."""


class Listener:
    """What the connections of one address share: handler, limits, and the count of what they hold.

    Args:
        handler: Answers requests.
        limits: Bounds; new connections get what is set when they come.
        admit: Sees each request's head before its body is read.
        streaming: Hand over requests with large bodies before they are whole.
        refused: Hears of the requests that the handler never had.

    Attributes:
        refusals: Requests that never reached the handler, by the status that was answered.
        connections_refused: Connections closed because there were too many.
        leaving: Whether clients are asked to come back on another connection, because this address is about to end.
        handshaking: Connections that are not yet connections, because TLS is being agreed upon.
    """

    _connection: type[ServerConnection] = ServerConnection

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        *,
        admit: Admission | None = None,
        streaming: bool = False,
        refused: Refused | None = None,
    ) -> None:
        """Begin without connections, and watch their deadlines."""
        self.handler = handler
        self.limits = limits
        self.admit = admit
        self.streaming = streaming
        self.refused = refused
        self.refusals: Counter[int] = Counter()
        self.connections_refused = 0
        self.buffered = Buffered()
        self.connections: set[ServerConnection] = set()
        self.draining = False
        self.leaving = False
        self.loop = asyncio.get_running_loop()
        self.handshaking = 0
        self._missed = 0.0
        self._due = self.loop.time() + _SWEEP_SECONDS
        self._sweeper = self.loop.call_at(self._due, self._sweep)
        self._empty: asyncio.Future[None] | None = None

    def __call__(self) -> ServerConnection:
        """Make the protocol of a new connection."""
        return self._connection(self)

    @property
    def crowded(self) -> bool:
        """Whether there are as many connections as there may be."""
        return len(self.connections) + self.handshaking >= self.limits.connections

    def now(self) -> float:
        """Seconds by which clients are measured: of the loop's time, no more than there should be from sweep to sweep.

        Time in which this process was stopped or starved is no client's: what a client sent in it has not been read.
        """
        return min(self.loop.time(), self._due) - self._missed

    def _sweep(self) -> None:
        time = self.loop.time()
        self._missed += max(0.0, time - self._due)
        self._due = time + _SWEEP_SECONDS
        now = self.now()
        for connection in list(self.connections):
            connection.check(now)
        self._sweeper = self.loop.call_at(self._due, self._sweep)

    def lost(self, connection: ServerConnection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    async def drain(self, seconds: float) -> None:
        """Let the requests that are under way be answered, for so long at most, then end all connections."""
        self.draining = True
        for connection in list(self.connections):
            connection.retire()
        if self.connections:
            self._empty = self.loop.create_future()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty, seconds)
        for connection in list(self.connections):
            connection.abort()
        self._sweeper.cancel()
