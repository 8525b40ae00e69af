"""The threads in which a model works: as many as requests may be inside `run()` at once, and a bounded queue."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Protocol, TypeVar

Result = TypeVar("Result")
_Task = Callable[[], None]


class Lent(Protocol):
    """A client's connection that one of the threads reads and answers itself."""

    @property
    def busy(self) -> bool:
        """Whether a request is inside `run()`."""

    def serve(self) -> None:
        """Read and answer, in the thread; must not raise."""

    def recall(self) -> None:
        """Have it given back soon, because something else waits for the thread."""


_AHEAD = 64
"""Tasks that threads can take without waiting for the event loop. Further ones wait where they can be withdrawn."""


class RunThreads:
    """Runs one task a thread, first come first served.

    Args:
        count: Number of threads.

    Attributes:
        count: Number of threads.
        loans: How often a thread has had a client's connection on loan.
        eased: Called on the event loop when `given` has become less, or `lends` has changed.
        given: Tasks that were submitted and have neither ended nor been withdrawn, those inside `run()` included.
        overdue: Tasks that have exceeded their time limit and have not ended; counted by whoever keeps the limit.
    """

    def __init__(self, count: int) -> None:
        """Start the threads."""
        self.count = count
        self.loans = 0
        self.eased: Callable[[], None] | None = None
        self.overdue = 0
        self._calm: asyncio.Future[None] | None = None
        self.given = 0
        self._handed = 0  # to the threads, and not heard of since
        self._lent: Lent | None = None
        self._most = count + _AHEAD
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._waiting: OrderedDict[_Task, None] = OrderedDict()
        self._threads = [threading.Thread(target=self._work, name=f"run-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in one of the threads and wait for it; what it raises is raised here."""
        future: Future[Result] = Future()

        def task() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed over, whatever it is
                future.set_exception(error)

        self._tasks.put(task)
        return future.result()

    @property
    def pending(self) -> int:
        """As `given`, and what a lent connection has inside `run()`."""
        return self.given + (self._lent is not None and self._lent.busy)

    @property
    def lends(self) -> bool:
        """Whether one of the threads has a client's connection on loan."""
        return self._lent is not None

    def submit(self, task: _Task) -> None:
        """Queue a task, which must not raise; `done` is to be called on the event loop when it has ended."""
        if self._lent is not None:
            self._lent.recall()
        self.given += 1
        if self._handed < self._most:
            self._handed += 1
            self._tasks.put(task)
        else:
            self._waiting[task] = None

    def withdraw(self, task: _Task) -> None:
        """Nobody wants a task that has not begun.

        A thread may still call it; then it has to return at once, and `passed` is to be called instead of `done`.
        """
        self._waiting.pop(task, None)
        self._ease()

    def done(self) -> None:
        """A submitted task has ended."""
        self._ease()
        self.passed()

    def passed(self) -> None:
        """A thread has called a task that was withdrawn."""
        self._handed -= 1
        if self._waiting:
            self._handed += 1
            self._tasks.put(self._waiting.popitem(last=False)[0])
        elif self._calm is not None and not self._handed and not self._calm.done():
            self._calm.set_result(None)

    def lend(self, lent: Lent) -> None:
        """Let one of the threads serve a connection; nothing else is lent, and no task is under way."""
        self._lent = lent
        self.loans += 1
        self._handed += 1
        self._tasks.put(lent.serve)
        self._tell()

    def adopt(self) -> None:
        """What the lent connection has inside `run()` is a task like others from now on; nothing is lent any more."""
        self._lent = None
        self.given += 1
        self._tell()

    def returned(self) -> None:
        """Nothing is lent any more."""
        self._lent = None
        self._tell()
        self.passed()

    async def drain(self) -> None:
        """Return when no task is left; nothing may be submitted any more."""
        if self._lent is not None:
            self._lent.recall()
        if self._handed:
            self._calm = asyncio.get_running_loop().create_future()
            await self._calm

    def _ease(self) -> None:
        self.given -= 1
        self._tell()

    def _tell(self) -> None:
        if self.eased is not None:
            self.eased()

    def _work(self) -> None:
        # Scripts call asyncio.get_event_loop(), which Azure ML's server answers: it runs them in the main thread.
        asyncio.set_event_loop(asyncio.new_event_loop())
        while (task := self._tasks.get()) is not None:
            task()
            del task  # while the thread waits it would keep the last request, its client, and what that has not read
