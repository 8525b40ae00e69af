"""Clients of an address that several workers share: each is taken by a worker that has the least to do."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable

from mlops_scoring.wire.connection import ServerConnection
from mlops_scoring.wire.lending import LendingListener
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.server import Handler
from mlops_scoring.worker.loads import Loads
from mlops_scoring.worker.run_threads import RunThreads

_log = logging.getLogger("mlops_scoring.worker")

_REQUEST = 2
_LOAN = 1
"""What a request and a client on loan count in a load: a lent thread can be had at once, but a free one is better."""

_HEAD_START_SECONDS = 0.001
"""For so long others go first where all threads of all workers are taken, and they have less waiting."""

_LOOK_AGAIN_SECONDS = 0.005
_GRACE_SECONDS = 1.0
"""For so long a client is left to others that have a free thread. When none of them takes any by then, they hang."""

_REST_SECONDS = 1.0
"""Until the next attempt when the system has no file descriptor or memory for a connection."""


class SharedListener(LendingListener):
    """A worker's connections, on an address that it shares.

    Args:
        handler: Answers requests.
        limits: Bounds of this worker's connections.
        threads: Where requests wait and are answered.
        loads: Where this worker tells how much it has to do.

    Attributes:
        load: What the requests count that it has, the connections that have not sent their first one (they are about
            to), and a client on loan.
        eased: Called when the load has become less.
    """

    def __init__(self, handler: Handler, limits: Limits, threads: RunThreads, loads: Loads) -> None:
        """Begin without connections."""
        super().__init__(self._answer, limits)
        self.load = 0
        self.eased: Callable[[], None] | None = None
        self._handler = handler
        self._threads = threads
        self._loads = loads
        self._new: set[ServerConnection] = set()
        threads.eased = self._note
        loads.tell(0)

    def __call__(self) -> ServerConnection:
        """Make the protocol of a new connection."""
        connection = super().__call__()
        self._new.add(connection)
        self._note()
        return connection

    def lost(self, connection: ServerConnection) -> None:
        """A connection has ended."""
        super().lost(connection)
        self._new.discard(connection)
        self._note()

    @property
    def has_room(self) -> bool:
        """Whether a further request would get a thread at once."""
        return self.load + _LOAN < _REQUEST * self._threads.count

    @property
    def others_have_room(self) -> bool:
        """Whether it would get one of another worker."""
        return self._loads.least < _REQUEST * self._threads.count

    @property
    def has_least(self) -> bool:
        """Whether no other worker has less to do."""
        return self.load <= self._loads.least

    def _answer(self, request: Request, client: ServerConnection) -> None:
        self._new.discard(client)
        self._handler(request, client)
        self._note()

    def _note(self) -> None:
        threads = self._threads
        before, self.load = self.load, _REQUEST * (threads.given + len(self._new)) + _LOAN * threads.lends
        if self.draining or self.load == before:
            return
        self._loads.tell(self.load)
        if self.load < before and self.eased is not None:
            self.eased()


class Accepting:
    """Accepts connections of a shared address, unless another worker can answer sooner.

    Args:
        place: The listening socket.
        listener: Takes the connections.
        loads: Where the workers tell how many connections they have taken.
    """

    def __init__(self, place: socket.socket, listener: SharedListener, loads: Loads) -> None:
        """Begin to accept."""
        self._place = place
        self._listener = listener
        self._loads = loads
        self._loop = listener.loop
        self._waiting = select.poll()
        self._waiting.register(place, select.POLLIN)
        self._left_since = 0.0
        self._taken = loads.taken_by_others
        self._alone = False  # nobody else has taken anything when it should have
        self._pause: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[None]] = set()
        place.setblocking(False)
        self._resume()
        listener.eased = self._ease

    def close(self) -> None:
        """Accept no more, and leave what waits to the others."""
        self._listener.eased = None
        self._loads.leave()
        for timer in (self._pause, self._rest):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._place.fileno())
        self._place.close()

    def _resume(self) -> None:
        self._pause = self._rest = None
        self._loop.add_reader(self._place.fileno(), self._accept)

    def _ease(self) -> None:
        """This worker has less to do, and does not leave clients to others for longer than it is busy."""
        if self._pause is not None and (self._listener.has_room or self._listener.has_least):
            self._pause.cancel()
            self._resume()

    def _accept(self) -> None:
        """Somebody waits; take one, for the next is perhaps another worker's."""
        listener = self._listener
        if listener.has_room or listener.has_least or self._is_alone():
            self._take()
            return
        self._loop.remove_reader(self._place.fileno())
        others_have_room = listener.others_have_room
        if others_have_room and listener.load > _LOAN:
            self._left_since = self._loop.time()
            self._pause = self._loop.call_later(_LOOK_AGAIN_SECONDS, self._look)
        else:  # a thread that has only a loan can be had at once, where the others hang
            head_start = _LOOK_AGAIN_SECONDS if others_have_room else _HEAD_START_SECONDS
            self._pause = self._loop.call_later(head_start, self._insist)

    def _insist(self) -> None:
        self._resume()
        self._take()

    def _look(self) -> None:
        """Whether the client that was left to others has been taken, or is ours by now."""
        now = self._loop.time()
        if self._taken_by_others():
            self._left_since = now
        if not self._listener.others_have_room or not self._waiting.poll(0):
            self._resume()
        elif now - self._left_since < _GRACE_SECONDS:
            self._pause = self._loop.call_later(_LOOK_AGAIN_SECONDS, self._look)
        else:
            self._alone = True
            self._resume()

    def _is_alone(self) -> bool:
        self._alone = self._alone and not self._taken_by_others()
        return self._alone

    def _taken_by_others(self) -> bool:
        """Whether others have taken connections since this was last asked."""
        before, self._taken = self._taken, self._loads.taken_by_others
        return before != self._taken

    def _take(self) -> None:
        try:
            accepted, _ = self._place.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was quicker, or the client has gone
        except OSError as error:
            _log.error("no connection can be accepted: %s", error)
            self._loop.remove_reader(self._place.fileno())
            self._rest = self._loop.call_later(_REST_SECONDS, self._resume)
            return
        self._loads.take()
        task = self._loop.create_task(self._begin(accepted, self._listener()))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, accepted: socket.socket, connection: ServerConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError as error:
            _log.warning("a connection cannot begin: %s", error)
            accepted.close()
            self._listener.lost(connection)
