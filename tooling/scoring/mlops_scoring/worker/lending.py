"""One client that asks alone is read and answered by a thread of `run()` itself, without a way over the event loop.

The way there and back wakes two threads for each request, which is a fifth of its time where the model is quick. So a
connection is lent to the thread once it has been the only one that asks, and is given back as soon as anything is out
of the ordinary: somebody else asks, `run()` takes long, the answer is streamed, the client sends what is no plain
request, or nothing for a second. On the event loop it then goes on exactly as if it had never been lent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlops_scoring.wire.lending import LendableConnection
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.run_threads import RunThreads

if TYPE_CHECKING:
    from mlops_scoring.worker.exchange import Desk, ScoringExchange

_log = logging.getLogger("mlops_scoring.worker")

_ALONE = 16
"""So many requests in a row of one client, with none beside them, before it is lent."""
_LONG_SECONDS = 0.1
"""In `run()` for longer, a request is the event loop's again, which keeps its time limits and sees its client go."""
_LOOK_SECONDS = 0.05
_SILENT_SECONDS = 1.0
_REST_SECONDS = 0.05
"""For the rest of a request that has come in part: longer waiting is the event loop's, with its time limits."""
_PARTS = 8

_SHORTEST_LIMIT_MS = 200
"""Time limits of `run()` below this could not be kept in time, and nothing is lent."""

Prepare = Callable[[Request, ServerConnection], "ScoringExchange | None"]
"""What answers a request, where that is `run()` and nothing is wrong with it."""


def lender(desk: Desk, prepare: Prepare) -> Lender | None:
    """Whoever lends a worker's clients; None where a time limit is too short to be kept then."""
    limits = [desk.scoring_timeout_ms, desk.limits.request_timeout_ms if desk.limits is not None else None]
    if any(limit is not None and limit < _SHORTEST_LIMIT_MS for limit in limits):
        return None
    return Lender(desk.loop, desk.threads, prepare)


class Lender:
    """Decides who is lent. All of it is the event loop's.

    Args:
        loop: The event loop.
        threads: Those of `run()`.
        prepare: Makes the exchanges of lent connections; called in their threads.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: RunThreads, prepare: Prepare) -> None:
        """Nobody is lent."""
        self._loop = loop
        self._threads = threads
        self._prepare = prepare
        self._last: weakref.ref[ServerConnection] | None = None
        self._alone = 0

    def answered(self, client: ServerConnection, seconds: float) -> None:
        """A client has been answered on the event loop, so many seconds after `run()` was called."""
        if self._last is None or self._last() is not client:
            self._last = weakref.ref(client)
            self._alone = 0
        beside = self._threads.given or self._threads.lends
        if beside or seconds > _LONG_SECONDS or not isinstance(client, LendableConnection):
            self._alone = 0
            return
        self._alone += 1
        if self._alone >= _ALONE and client.lendable:
            self._alone = 0
            try:
                loan = Loan(client, self._loop, self._threads, self._prepare)
            except OSError:
                return  # no descriptor is left; all goes on without
            self._threads.lend(loan)


class Loan:
    """One connection in the hands of one thread.

    Args:
        client: It is lendable.
        loop: The event loop.
        threads: Where the loan is to be served.
        prepare: As the lender's.

    Raises:
        OSError: There is no file descriptor left; nothing is lent.
    """

    def __init__(
        self, client: LendableConnection, loop: asyncio.AbstractEventLoop, threads: RunThreads, prepare: Prepare
    ) -> None:
        """Take the connection from the event loop."""
        self._client = client
        self._loop = loop
        self._threads = threads
        self._prepare = prepare
        self._transport = client.lend()
        self._running: ScoringExchange | None = None
        self._since = 0.0
        self._lock = threading.Lock()  # around the end of run() in the thread, and its taking over by the event loop
        self._over = False
        self._look = loop.call_later(_LOOK_SECONDS, self._watch)

    @property
    def busy(self) -> bool:
        """Whether a request is inside `run()`."""
        return self._running is not None

    def recall(self) -> None:
        """Have the connection given back after the request that is being answered."""
        self._transport.recall()

    # On the event loop

    def _watch(self) -> None:
        with self._lock:
            running = self._running
            long = running is not None and time.perf_counter() - self._since > _LONG_SECONDS
            self._over = self._over or long
        if running is not None and long:
            self._take_over(running)
        else:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._watch)

    def _take_over(self, running: ScoringExchange) -> None:
        """What runs is a request like any other from now on."""
        self._look.cancel()
        self._threads.adopt()
        self._client.take_back()
        running.adopted()

    def _end(self) -> None:
        self._look.cancel()
        self._threads.returned()
        self._client.take_back()

    # In the thread

    def serve(self) -> None:
        """Read and answer for as long as nothing is out of the ordinary, then give the connection back."""
        try:
            self._serve()
        except BaseException:  # noqa: BLE001 - a bug costs this connection, not the thread
            _log.exception("a lent connection failed")
            self._transport.aborted = True
        if self._close():
            self._loop.call_soon_threadsafe(self._end)

    def _serve(self) -> None:
        client, transport = self._client, self._transport
        parts = 0
        while transport.wait(_REST_SECONDS if parts else _SILENT_SECONDS):
            data = transport.receive()
            if data is None:
                continue
            request = client.take(data) if data else None
            if request is None:
                parts += 1
                if data and client.wants_more and parts < _PARTS:
                    continue
                return
            parts = 0
            exchange = self._prepare(request, client)
            if exchange is None:
                client.put_back()
                return
            if not exchange.answer_on_loan(self) or not transport.undisturbed:
                return

    def begin(self, exchange: ScoringExchange) -> None:
        """A request enters `run()`."""
        self._since = time.perf_counter()
        self._running = exchange

    def end(self) -> bool:
        """It has left; whether it is still the thread's to answer."""
        with self._lock:
            self._running = None
            return not self._over

    def leave(self, exchange: ScoringExchange) -> None:
        """It has left, and the rest of its answering is the event loop's."""
        if self._close():
            self._loop.call_soon_threadsafe(self._take_over, exchange)

    def _close(self) -> bool:
        """Whether it is the thread that ends the loan, and not the event loop that has."""
        with self._lock:
            self._running = None
            over, self._over = self._over, True
        return not over
