"""The threads in which a model works: as many as requests may be inside `run()` at once, and a bounded queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")
_Task = Callable[[], None]


class RunThreads:
    """Runs one task a thread, first come first served.

    Args:
        count: Number of threads.

    Attributes:
        count: Number of threads.
        overdue: Tasks that have exceeded their time limit and have not ended; counted by whoever keeps the limit.
        pending: Tasks that have been given and have not ended, those inside `run()` included.
    """

    def __init__(self, count: int) -> None:
        """Start the threads."""
        self.count = count
        self.overdue = 0
        self.pending = 0
        self._calm: asyncio.Future[None] | None = None
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
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

    def submit(self, task: _Task) -> None:
        """Queue a task, which must not raise; `done` is to be called on the event loop when it has ended."""
        self.pending += 1
        self._tasks.put(task)

    def done(self) -> None:
        """A submitted task has ended."""
        self.pending -= 1
        if self._calm is not None and not self.pending and not self._calm.done():
            self._calm.set_result(None)

    async def drain(self) -> None:
        """Return when no task is left; nothing may be submitted any more."""
        if self.pending:
            self._calm = asyncio.get_running_loop().create_future()
            await self._calm

    def _work(self) -> None:
        # Scripts call asyncio.get_event_loop(), which Azure ML's server answers: it runs them in the main thread.
        asyncio.set_event_loop(asyncio.new_event_loop())
        while (task := self._tasks.get()) is not None:
            task()
            del task  # while the thread waits it would keep the last request, its client, and what that has not read
