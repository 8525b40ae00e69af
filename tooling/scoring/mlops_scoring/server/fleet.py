"""The worker processes of one server: as many as wanted, each replaced when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlops_scoring.configuration import Probe
from mlops_scoring.supervisor.probe import verdicts
from mlops_scoring.supervisor.process import Launch, WorkerProcess, describe_exit
from mlops_scoring.supervisor.restarting import FAILED_STARTS, Restarts

_log = logging.getLogger("mlops_scoring.server")


class CannotStart(Exception):
    """No worker can be started; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Which workers there are.

    Attributes:
        count: How many.
        launch: How to start the worker of a number, from 0.
        admin: Socket of its admin side.
        liveness: When to replace it.
        readiness: When it counts as ready.
        ended: Hears the number of one that has ended.
    """

    count: int
    launch: Callable[[int], Launch]
    admin: Callable[[int], Path]
    liveness: Probe
    readiness: Probe
    ended: Callable[[int], None]


class Fleet:
    """Keeps worker processes running.

    Args:
        crew: Which.
        write: Takes what they print.

    Attributes:
        ready: Numbers of the workers that take requests.
        restarts: Workers that were started again.
        started: Whether any worker has ever been ready.
    """

    def __init__(self, crew: Crew, write: Callable[[bytes], None]) -> None:
        """Know what to start."""
        self.ready: set[int] = set()
        self.restarts = 0
        self.started = False
        self._crew = crew
        self._write = write
        self._stopping = asyncio.Event()
        self._failed = 0

    async def run(self) -> None:
        """Run until `stop`, and then until the last worker has ended.

        Raises:
            CannotStart: No worker is ready, and starts keep failing; the first start may not fail at all.
        """
        tasks = [asyncio.create_task(self._keep(number)) for number in range(self._crew.count)]
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
        loop = asyncio.get_running_loop()
        restarts = Restarts()
        while True:
            began = loop.time()
            reason = await self._run_once(number)
            if self._stopping.is_set():
                return
            self._failed = self._failed + 1 if reason is not None else 0
            if reason is not None:
                if not self.ready and (not self.started or self._failed >= FAILED_STARTS):
                    raise CannotStart(reason)
                _log.error("worker %d cannot start: %s", number, reason)
            self.restarts += 1
            with contextlib.suppress(TimeoutError):
                delay = restarts.delay(self._failed, loop.time() - began)
                await asyncio.wait_for(self._stopping.wait(), delay)
            if self._stopping.is_set():
                return

    async def _run_once(self, number: int) -> str | None:
        """Run one process to its end; why it did not become ready, or None."""
        try:
            process = await WorkerProcess.spawn(self._crew.launch(number), self._write)
        except OSError as error:
            return f"the worker cannot be started: {error.strerror}"
        told = asyncio.create_task(self._stopping.wait())
        life = asyncio.create_task(self._live(number, process))
        try:
            await asyncio.wait((told, life), return_when=asyncio.FIRST_COMPLETED)
            return life.result() if life.done() else None
        finally:
            told.cancel()
            life.cancel()
            self.ready.discard(number)
            await process.stop(None if self._stopping.is_set() else 0)
            self._crew.ended(number)

    async def _live(self, number: int, process: WorkerProcess) -> str | None:
        """Watch one process until it has ended; why it did not become ready, or None."""
        announced = await process.announcement()
        if announced is None or announced.reason is not None:
            code = await asyncio.shield(process.exited)
            return announced.reason if announced else f"the worker {describe_exit(code)} before it was ready"
        self.ready.add(number)
        self.started = True
        _log.info("worker %d is ready (pid %d)", number, process.pid)
        watching = [asyncio.create_task(watch) for watch in (self._replace(number, process), self._doubt(number))]
        try:
            code = await asyncio.shield(process.exited)
        finally:
            for task in watching:
                task.cancel()
        _log.warning("worker %d %s", number, describe_exit(code))
        return None

    async def _replace(self, number: int, process: WorkerProcess) -> None:
        """End a worker whose liveness probe fails."""
        async for verdict in verdicts(self._crew.liveness, str(self._crew.admin(number))):
            if verdict is False:
                _log.error("worker %d: the liveness probe failed", number)
                process.kill()
                return

    async def _doubt(self, number: int) -> None:
        """Count a worker as ready while its readiness probe says so."""
        async for verdict in verdicts(self._crew.readiness, str(self._crew.admin(number))):
            if verdict is not None:
                (self.ready.add if verdict else self.ready.discard)(number)
