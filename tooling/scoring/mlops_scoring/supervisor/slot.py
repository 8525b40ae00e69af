"""One instance of a deployment: a place that always has a worker, started again whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mlops_scoring.configuration import Deployment
from mlops_scoring.gateway.backend import Backend
from mlops_scoring.supervisor.probe import verdicts
from mlops_scoring.supervisor.process import Announcement, WorkerProcess, admin_socket, behind_gateway, describe_exit
from mlops_scoring.supervisor.restarting import Restarts
from mlops_scoring.wire.pool import Upstream

TERMINATION_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

_log = logging.getLogger("mlops_scoring.supervisor")


class Owner(Protocol):
    """The deployment that a slot belongs to."""

    deployment: Deployment
    backend: Backend

    def start_failed(self, reason: str, *, schedulable: bool) -> int:
        """A worker did not become ready; returns how many times in a row that has happened."""

    def became_ready(self) -> None:
        """A worker takes requests."""

    def ended(self, reason: str) -> None:
        """A worker that was ready has ended."""


class WorkerSlot:
    """Keeps one worker running.

    Args:
        owner: Hears of what happens.
        configuration: File to start workers with.
        sockets: Gives a new socket path for each process.
        write: Takes the workers' output.

    Attributes:
        ready: Whether the worker takes requests.
        admin: Where the worker answers scrapes; None while it cannot.
    """

    def __init__(
        self, owner: Owner, configuration: Path, sockets: Callable[[], Path], write: Callable[[bytes], None]
    ) -> None:
        """Start the first worker."""
        self.ready = False
        self.admin: Path | None = None
        self._owner = owner
        self._configuration = configuration
        self._sockets = sockets
        self._write = write
        self._upstream: Upstream | None = None
        self._killed_for = ""
        self._task = asyncio.create_task(self._keep())

    async def stop(self, seconds: float) -> None:
        """Give the worker no more requests, let it answer those it has for so long at most, and end it."""
        if self._upstream is not None:
            self._owner.backend.suspend(self._upstream)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._upstream.drain(), seconds)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.ready = False

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        restarts = Restarts()
        while True:
            began = loop.time()
            failures = await self._run_once()
            await asyncio.sleep(restarts.delay(failures, loop.time() - began))

    async def _run_once(self) -> int:
        """Run one process to its end.

        Returns:
            0 when it had been ready; otherwise how many starts in a row have failed.
        """
        socket = self._sockets()
        self._killed_for = ""
        try:
            launch = behind_gateway(self._owner.deployment, self._configuration, socket)
            process = await WorkerProcess.spawn(launch, self._write)
        except OSError as error:
            reason = f"{self._owner.deployment.python} cannot be started: {error.strerror}"
            return self._owner.start_failed(reason, schedulable=False)
        probing = asyncio.create_task(self._watch_liveness(process, str(socket)))
        try:
            announced = await process.announcement()
            if announced is None or announced.reason is not None:
                return await self._note_failed_start(process, announced)
            await self._serve(process, str(socket))
            return 0
        finally:
            probing.cancel()
            self._withdraw()
            await process.stop(TERMINATION_GRACE)
            self.admin = None
            for path in (socket, admin_socket(socket)):
                with contextlib.suppress(OSError):
                    path.unlink()

    async def _note_failed_start(self, process: WorkerProcess, announced: Announcement | None) -> int:
        code = await asyncio.shield(process.exited)
        if announced is not None and announced.reason is not None:
            reason = announced.reason
        else:
            reason = self._killed_for or f"the worker {describe_exit(code)} before it was ready"
        _log.warning("%s: start failed: %s", self._owner.deployment.name, reason)
        return self._owner.start_failed(reason, schedulable=True)

    async def _serve(self, process: WorkerProcess, socket: str) -> None:
        name = f"{self._owner.deployment.name} (pid {process.pid})"
        self._upstream = self._owner.backend.open(name, socket)
        self.admin = admin_socket(Path(socket))
        self.ready = True
        _log.info("%s is ready", name)
        self._owner.became_ready()
        probing = asyncio.create_task(self._watch_readiness(socket))
        try:
            code = await asyncio.shield(process.exited)
        finally:
            probing.cancel()
            self.ready = False
        self._withdraw()
        reason = self._killed_for or f"a worker {describe_exit(code)}"
        _log.warning("%s: %s", name, reason)
        self._owner.ended(reason)

    def _withdraw(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self._owner.backend.suspend(upstream)
            upstream.close()

    async def _watch_readiness(self, socket: str) -> None:
        async for verdict in verdicts(self._owner.deployment.readiness_probe, socket):
            upstream = self._upstream
            if upstream is None or verdict is None:
                continue
            if verdict and not upstream.accepting:
                self._owner.backend.resume(upstream)
                self.ready = True
                self._owner.became_ready()
            elif not verdict and upstream.accepting:
                self._owner.backend.suspend(upstream)
                self.ready = False
                self._owner.ended("the readiness probe fails")

    async def _watch_liveness(self, process: WorkerProcess, socket: str) -> None:
        def free() -> bool:
            # run() cannot be stopped: a worker whose every place is held by a call beyond its time limit serves nobody.
            return self._upstream is None or not self._upstream.stuck

        probe = self._owner.deployment.liveness_probe
        async for verdict in verdicts(probe, socket, free):
            if verdict is False:
                why = "" if free() else ": run() does not return"
                self._killed_for = f"the liveness probe failed {probe.failure_threshold} times{why}"
                process.kill()
                return
