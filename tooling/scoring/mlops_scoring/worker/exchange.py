"""One request that the model answers: its wait, its time in `run()`, its answer, and who hears of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock, Semaphore
from typing import TYPE_CHECKING

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.current import CURRENT
from mlops_scoring.wire.messages import Headers
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.observing import Observer, Scored
from mlops_scoring.worker.responses import RETRY_AFTER, UNWRITABLE, respond, start
from mlops_scoring.worker.routes import Route
from mlops_scoring.worker.run_threads import RunThreads
from mlops_scoring.worker.scoring import INTERNAL_ERROR, Answer, ScoringRequest, Unfit, error_answer

if TYPE_CHECKING:
    from mlops_scoring.worker.lending import Lender, Loan

_log = logging.getLogger("mlops_scoring.worker")
_PIECES_AHEAD = 8
_CLIENT_GONE = 499
"""Status under which observers hear of a request whose client went before the answer; nginx's."""
_FORKED = 1
"""Exit code of a process that a script has forked, and that comes back from `run()`."""
_GONE = ScoringRequest("", "", b"", (), b"")


@dataclass(frozen=True, slots=True)
class Desk:
    """What all scoring requests of a worker share.

    Attributes:
        limits: Bounds on waiting and working; None where a gateway in front keeps them.
        scoring_timeout_ms: Milliseconds in `run()` after which the client gets 500, as SCORING_TIMEOUT_MS has it.
        lender: Hears who was answered, and may let a thread read and answer that client's next requests.
        telling: Held while the observers hear of a request: they hear it from the event loop, or from one thread.
        process: The worker's. A process that a script forks must not come back from `run()` and answer clients too.
    """

    loop: asyncio.AbstractEventLoop
    threads: RunThreads
    observers: Sequence[Observer]
    limits: RequestSettings | None
    scoring_timeout_ms: int | None = None
    lender: Lender | None = None
    telling: Lock = field(default_factory=Lock)
    process: int = field(default_factory=os.getpid)


class ScoringExchange:
    """Carries one request through the queue and `run()` and back to its client."""

    __slots__ = (
        "_alarm",
        "_arrived",
        "_began",
        "_client",
        "_desk",
        "_done",
        "_headers",
        "_held",
        "_overdue",
        "_pieces",
        "_request",
        "_route",
        "_started",
        "_streaming",
        "_timer",
        "_withdrawn",
    )

    def __init__(
        self, desk: Desk, route: Route, request: ScoringRequest, client: ServerConnection, headers: Headers
    ) -> None:
        """Know both ends; nothing has begun."""
        self._desk = desk
        self._route = route
        self._request = request
        self._client = client
        self._headers = headers
        self._started = time.time()
        self._arrived = time.perf_counter()
        self._began = 0.0
        self._done = False  # answered, or nobody waits any more; what run() still gives is dropped
        self._streaming = False
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._pieces: Semaphore | None = None
        self._held = 0
        self._overdue = False  # in run() for too long, whose place stays taken
        self._withdrawn = False  # before run() began; a thread may still come to it

    def begin(self) -> None:
        """Take a place in the queue."""
        self._client.exchange = self
        limits = self._desk.limits
        if limits is not None:
            crowded = self._desk.threads.pending >= self._desk.threads.count
            if crowded and not limits.max_queue_wait_ms:
                self._refuse(429, "Too many requests: no thread is free. Try again later.")
                return
            milliseconds = limits.max_queue_wait_ms if crowded else limits.request_timeout_ms
            self._timer = self._desk.loop.call_later(milliseconds / 1000, self._check_time)
        if self._desk.scoring_timeout_ms is not None:
            self._watch(self._desk.scoring_timeout_ms)
        self._desk.threads.submit(self._run)

    # In a thread

    def _run(self) -> None:
        self._began = time.perf_counter()
        if self._done:  # looked at after `_began` is set: the event loop sets the one and then looks at the other
            self._desk.loop.call_soon_threadsafe(self._pass)
            return
        answer = self._call()
        if answer.stream is not None:
            self._pump(answer)
        else:
            self._desk.loop.call_soon_threadsafe(self._finish, answer)
        CURRENT.set(None)

    def answer_on_loan(self, loan: Loan) -> bool:
        """Be answered by the thread that has the client on loan, from its request to its answer.

        Returns:
            Whether the thread still has the client; if not, the event loop answers, or has given up.
        """
        self._began = self._arrived
        self._client.exchange = self
        loan.begin(self)
        answer = self._call()
        kept = False
        if answer.stream is not None:
            loan.leave(self)
            self._pump(answer)
        elif loan.end():
            kept = self._done = True
            with self._desk.telling:
                self._inform(respond(self._client, answer, self._headers))
        else:
            self._desk.loop.call_soon_threadsafe(self._finish, answer)
        CURRENT.set(None)
        return kept

    def _call(self) -> Answer:
        request = self._request
        CURRENT.set(request)
        try:
            return self._route.answer(request)
        except Unfit as unfit:
            return error_answer(unfit.status, str(unfit))
        except BaseException:  # noqa: BLE001 - a bug of a scorer is an error of this request, not of the worker
            _log.exception("the model failed")
            return error_answer(500, INTERNAL_ERROR)
        finally:
            if os.getpid() != self._desk.process:
                os._exit(_FORKED)

    def _pump(self, answer: Answer) -> None:
        """Hand over a streamed body piece by piece, a few ahead of what the client has read."""
        call = self._desk.loop.call_soon_threadsafe
        ahead = self._pieces = Semaphore(_PIECES_AHEAD)
        call(self._start, answer)
        whole = True
        try:
            for piece in answer.stream or ():
                ahead.acquire()
                if self._done:
                    break
                call(self._write, piece)
        except BaseException:  # noqa: BLE001 - as in _run
            _log.exception("the streamed answer failed")
            whole = False
        call(self._end_stream, answer, whole)

    # On the event loop

    def _start(self, answer: Answer) -> None:
        if self._done:
            return
        self._silence()
        self._streaming = start(self._client, answer, self._headers)
        if not self._streaming:
            self._done = True
            self._tell(UNWRITABLE)

    def _write(self, piece: bytes) -> None:
        if not self._done:
            self._client.write(piece)
            if not self._client.writable:
                self._held += 1  # given back when the client has caught up
                return
        self._let_on(1)

    def _let_on(self, places: int) -> None:
        if self._pieces is not None and places:
            self._pieces.release(places)

    def _end_stream(self, answer: Answer, whole: bool) -> None:  # noqa: FBT001 - call_soon takes no keywords
        self._leave()
        self._silence()
        if not self._done:
            self._done = True
            if whole:
                self._client.finish()
            else:
                self._client.abort()  # a partial answer must not be taken for a whole one
        if self._streaming:  # else it was told when the client was refused, or went
            self._tell(answer if whole else replace(answer, status=500, run_function_failed=True))

    def _finish(self, answer: Answer) -> None:
        self._leave()
        self._silence()
        if not self._done:
            self._done = True
            self._tell(respond(self._client, answer, self._headers))
            if self._desk.lender is not None:
                self._desk.lender.answered(self._client, time.perf_counter() - self._began)

    def adopted(self) -> None:
        """`run()` goes on, and the client is no longer on loan: keep the time limits."""
        if self._desk.limits is not None:
            self._check_time()
        if self._desk.scoring_timeout_ms is not None:
            self._watch(self._desk.scoring_timeout_ms)

    def _leave(self) -> None:
        """`run()` has returned."""
        self._desk.threads.overdue -= self._overdue
        self._desk.threads.done()

    def _pass(self) -> None:
        """A thread has come to a request for which nobody waits any more."""
        if self._withdrawn:
            self._desk.threads.passed()
        else:
            self._leave()

    def _abandon(self) -> bool:
        """Nobody waits for the answer any more, and `_done` says so; whether `run()` has begun, which goes on."""
        if self._began:
            return True
        self._withdrawn = True
        self._request = _GONE  # the body, which may be large, and whose bytes the listener counts no more
        self._desk.threads.withdraw(self._run)
        return False

    def _tell(self, answer: Answer) -> None:
        with self._desk.telling:
            self._inform(answer)

    def _inform(self, answer: Answer) -> None:
        seconds = time.perf_counter() - self._arrived
        waited = self._began - self._arrived if self._began else seconds
        scored = Scored(self._request, answer, self._started, seconds, waited)
        for observer in self._desk.observers:
            observer.scored(scored)

    def _check_time(self) -> None:
        limits = self._desk.limits
        if limits is None:
            return
        if not self._began:
            self._give_up(429, "Too many requests: no thread became free in time. Try again later.")
            return
        left = self._began + limits.request_timeout_ms / 1000 - time.perf_counter()
        if left > 0:
            self._timer = self._desk.loop.call_later(left, self._check_time)
        else:
            self._give_up(504, f"Scoring timeout after {limits.request_timeout_ms} ms")

    def _watch(self, milliseconds: int) -> None:
        """Look again when the time of `run()` may be over; it has not begun to count while the request waits."""
        now = time.perf_counter()
        left = (self._began or now) + milliseconds / 1000 - now
        if left > 0:
            self._alarm = self._desk.loop.call_later(left, self._watch, milliseconds)
        else:
            self._give_up(500, f"Scoring timeout after {milliseconds} ms", failed=True)

    def _silence(self) -> None:
        for timer in (self._timer, self._alarm):
            if timer is not None:
                timer.cancel()

    def _give_up(self, status: int, text: str, *, failed: bool = False) -> None:
        """The time is over; a client that is still there is told so."""
        self._silence()
        if not self._done:
            self._refuse(status, text, failed=failed)
        self._overdue = self._abandon()
        self._desk.threads.overdue += self._overdue

    def _refuse(self, status: int, text: str, *, failed: bool = False) -> None:
        self._done = True
        answer = error_answer(status, text, failed=failed)
        if status == 429:
            answer.headers.append(RETRY_AFTER)
        self._tell(respond(self._client, answer, self._headers))

    # What the client says

    def client_lost(self) -> None:
        """Nobody waits: a request in the queue is dropped, and `run()` goes on, and is overdue as any other."""
        if self._done:
            return
        self._done = True
        self._let_on(self._held + 1)
        if self._streaming:
            self._expect_end()
            return
        self._tell(Answer(_CLIENT_GONE, b""))
        if not self._abandon():
            self._silence()

    def _expect_end(self) -> None:
        """The next piece of a stream is its last one, and has as long as `run()` had."""
        if self._desk.limits is not None:
            self._timer = self._desk.loop.call_later(self._desk.limits.request_timeout_ms / 1000, self._check_time)

    def client_paused(self) -> None:
        """A streamed answer waits; see `_write`."""

    def client_resumed(self) -> None:
        """The stream goes on."""
        held, self._held = self._held, 0
        self._let_on(held)

    def body_lost(self, status: int) -> None:
        """Never: a worker begins with whole requests only."""
