"""One worker as the gateway sees it: its connections, kept alive, and how many requests it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.upstream import Loss, Reply, UpstreamConnection

UNREAD_BYTES = 128 * 1024 * 1024
"""Answers that one worker may hold for their readers without a place. The last of them may go beyond; further ones keep
their places until they are read, so that slow readers cannot fill the worker's memory."""


class Upstream:
    """One worker as the gateway sees it.

    Attributes:
        in_flight: Requests that the worker has, those included whose client has given up.
        overdue: Those of them that have exceeded their time; `run()` cannot be stopped, so they keep their place.
        accepting: Whether it may get further requests.
        streams: Requests whose body it is getting; they have no place among those in flight yet.
        unread: Bytes of answers that are on their way; their requests have no place any more.
    """

    def __init__(self, name: str, path: str, concurrency: int, on_free: Callable[[Upstream], None]) -> None:
        """Begin without connections; they are opened when needed."""
        self.name = name
        self.path = path
        self.in_flight = 0
        self.overdue = 0
        self.streams = 0
        self.unread = 0
        self.accepting = True
        self._concurrency = concurrency
        self._on_free = on_free
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._calm: asyncio.Future[None] | None = None

    @property
    def free(self) -> bool:
        """Whether it can take a request now."""
        return self.accepting and self.in_flight < self._concurrency

    @property
    def has_place(self) -> bool:
        """Whether a request that it is getting can have a place, also when it gets no further ones."""
        return self.in_flight < self._concurrency

    @property
    def stuck(self) -> bool:
        """Whether every place is held by a request that has exceeded its time."""
        return self.overdue >= self._concurrency

    def send(self, request: Request, reply: Reply) -> None:
        """Hand over a request; `reply` hears the rest."""
        if request.inflow is None:
            self.in_flight += 1
        else:
            self.streams += 1
        while self._idle:
            connection = self._idle.pop()
            if connection.send(request, reply):
                return
        task = asyncio.get_running_loop().create_task(self._open_and_send(request, reply))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_and_send(self, request: Request, reply: Reply) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(lambda: UpstreamConnection(self), self.path)
        except OSError as error:
            # Where nobody listens the process has ended, or is about to be found dead. Anything else, as having no
            # file descriptor left, says nothing of the worker.
            if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
                self.accepting = False
            self.finished(None, placed=request.inflow is None)
            reply.lost(Loss.UNSENT)
            return
        if not reply.wanted:
            self.finished(connection, placed=request.inflow is None)
        elif not connection.send(request, reply):
            self.finished(None, placed=request.inflow is None)
            reply.lost(Loss.UNSENT)

    def give_place(self, connection: UpstreamConnection) -> None:
        """The body that a connection carries is complete: its request takes a place."""
        connection.placed = True
        self.streams -= 1
        self.in_flight += 1

    def opened(self, connection: UpstreamConnection) -> None:
        """A connection was made."""
        self._open.add(connection)

    def closed(self, connection: UpstreamConnection) -> None:
        """A connection has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def answered(self, connection: UpstreamConnection, length: int) -> None:
        """`run()` has returned, and an answer of so many bytes is still to be read: others may have the place."""
        if self.unread < UNREAD_BYTES:
            connection.unread = length
            self.unread += length
            self.in_flight -= 1
            self._on_free(self)

    def finished(self, reusable: UpstreamConnection | None, *, placed: bool, unread: int = 0) -> None:
        """A request has left the worker."""
        if unread:
            self.unread -= unread
        elif placed:
            self.in_flight -= 1
        else:
            self.streams -= 1
        if reusable is not None:
            self._idle.append(reusable)
        if self._calm is not None and not self._busy and not self._calm.done():
            self._calm.set_result(None)
        self._on_free(self)

    @property
    def _busy(self) -> bool:
        return bool(self.in_flight or self.streams or self.unread)

    async def drain(self) -> None:
        """Take no more requests; return when the last one has been answered."""
        self.accepting = False
        if self._busy:
            self._calm = asyncio.get_running_loop().create_future()
            await self._calm

    def close(self) -> None:
        """End all connections."""
        self.accepting = False
        for connection in list(self._open):
            connection.abort()
