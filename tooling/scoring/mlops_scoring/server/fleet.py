"""The worker processes of one server: as many as wanted, each replaced when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from mlops_scoring.supervisor.process import Launch, WorkerProcess, describe_exit

FIRST_DELAY = 0.1
"""Seconds before a worker that has ended is started again; doubled each time."""
LAST_DELAY = 10.0
"""Longest such wait in seconds."""
FAILED_STARTS = 3
"""Starts in a row that may fail while no worker is ready; then the server gives up."""

_log = logging.getLogger("mlops_scoring.server")


class CannotStart(Exception):
    """No worker can be started; the message says why in one line."""


class Fleet:
    """Keeps worker processes running.

    Args:
        launch: How to start the worker of a number, from 0.
        count: How many.
        write: Takes what they print.

    Attributes:
        ready: Numbers of the workers that take requests.
        restarts: Workers that were started again.
        started: Whether any worker has ever been ready.
    """

    def __init__(self, launch: Callable[[int], Launch], count: int, write: Callable[[bytes], None]) -> None:
        """Know what to start."""
        self.ready: set[int] = set()
        self.restarts = 0
        self.started = False
        self._launch = launch
        self._count = count
        self._write = write
        self._stopping = asyncio.Event()
        self._failed = 0

    async def run(self) -> None:
        """Run until `stop`, and then until the last worker has ended.

        Raises:
            CannotStart: No worker is ready, and starts keep failing; the first start may not fail at all.
        """
        tasks = [asyncio.create_task(self._keep(number)) for number in range(self._count)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Let the workers answer what they have, and end."""
        self._stopping.set()

    async def _keep(self, number: int) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            reason = await self._run_once(number)
            if self._stopping.is_set():
                return
            if reason is not None:
                self._failed += 1
                if not self.ready and (not self.started or self._failed >= FAILED_STARTS):
                    raise CannotStart(reason)
                _log.error("worker %d cannot start: %s", number, reason)
            self.restarts += 1
            await self._pause(delay)
            delay = min(2 * delay, LAST_DELAY) if reason is not None else FIRST_DELAY

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _run_once(self, number: int) -> str | None:
        """Run one process to its end; why it did not become ready, or None."""
        try:
            process = await WorkerProcess.spawn(self._launch(number), self._write)
        except OSError as error:
            return f"the worker cannot be started: {error.strerror}"
        stopping: asyncio.Future[bool] = asyncio.create_task(self._stopping.wait())
        try:
            announced = await process.announcement()
            if announced is None or announced.reason is not None:
                code = await asyncio.shield(process.exited)
                return announced.reason if announced else f"the worker {describe_exit(code)} before it was ready"
            self._became_ready(number, process)
            waiting: tuple[asyncio.Future[int] | asyncio.Future[bool], ...] = (process.exited, stopping)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self.ready.discard(number)
            if not stopping.done():
                _log.warning("worker %d %s", number, describe_exit(process.exited.result()))
            return None
        finally:
            self.ready.discard(number)
            stopping.cancel()
            await process.stop(None if self._stopping.is_set() else 0)

    def _became_ready(self, number: int, process: WorkerProcess) -> None:
        self.ready.add(number)
        self.started = True
        self._failed = 0
        _log.info("worker %d is ready (pid %d)", number, process.pid)
