"""One live deployment: its slots, and its state as Azure ML names states."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from mlops_scoring.configuration import Deployment
from mlops_scoring.gateway.backend import Backend
from mlops_scoring.supervisor.logs import LogFiles, Tail
from mlops_scoring.supervisor.restarting import FAILED_STARTS
from mlops_scoring.supervisor.scraping import Target
from mlops_scoring.supervisor.slot import TERMINATION_GRACE, WorkerSlot
from mlops_scoring.telemetry.gateway_metrics import Fleet

_UPLOAD_SECONDS = 120.0
"""How much longer a deployment that leaves waits while clients are sending it large bodies."""


class State(StrEnum):
    """States of a deployment."""

    HEALTHY = "Healthy"
    TRANSITIONING = "Transitioning"
    UNHEALTHY = "Unhealthy"
    UNSCHEDULABLE = "Unschedulable"
    FAILED = "Failed"


class LiveDeployment:
    """Runs as many workers as were asked for.

    Args:
        deployment: What to run.
        backend: Where its workers get their requests from.
        configuration: File to start workers with.
        sockets: Gives a new socket path for each process.
        logs: Takes the workers' output.
        changed: Called when a worker has become ready.
    """

    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        configuration: Path,
        sockets: Callable[[], Path],
        logs: LogFiles,
        changed: Callable[[], None],
    ) -> None:
        """Start the workers."""
        self.deployment = deployment
        self.backend = backend
        self.tail = Tail()
        self._configuration = configuration
        self._sockets = sockets
        self._logs = logs
        self._changed = changed
        self._slots: list[WorkerSlot] = []
        self._outdated: list[WorkerSlot] = []
        self._successor: WorkerSlot | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._restarts = 0
        self._failed_starts = 0
        self._schedulable = True
        self._reason = "starting"
        self._reached = 0  # the instance count that has once been ready in full
        self.resize(deployment)

    def resize(self, deployment: Deployment) -> None:
        """Take over another instance count; starts or drains only the difference."""
        self.deployment = deployment
        while len(self._slots) < deployment.instance_count:
            self._slots.append(self._begin(len(self._slots)))
        self._reached = min(self._reached, deployment.instance_count)
        while len(self._slots) > deployment.instance_count:
            self._dismiss(self._slots.pop(), len(self._slots))
        self._replace_next()

    def renew(self) -> None:
        """Replace all workers by such as are started with what their file says now.

        One at a time, and none before its successor takes requests: where that never does, what serves goes on.
        """
        self._outdated = list(self._slots)
        if self._successor is not None:
            self._dismiss(self._successor, 0)
            self._successor = None
        self._replace_next()

    @property
    def renewing(self) -> bool:
        """Whether workers are to be replaced yet."""
        return bool(self._outdated)

    def _replace_next(self) -> None:
        self._outdated = [slot for slot in self._outdated if slot in self._slots]
        successor = self._successor
        if successor is not None and (successor.ready or not self._outdated):
            self._successor = None
            if self._outdated:
                leaving = self._outdated.pop(0)
                number = self._slots.index(leaving)
                self._slots[number] = successor
                self._dismiss(leaving, number)
            else:
                self._dismiss(successor, 0)
        if self._successor is None and self._outdated:
            self._successor = self._begin(self._slots.index(self._outdated[0]))

    def _begin(self, number: int) -> WorkerSlot:
        return WorkerSlot(self, self._configuration, self._sockets, self._writer(self._log_name(number)))

    def _dismiss(self, slot: WorkerSlot, number: int) -> None:
        task = asyncio.create_task(self._end(slot, self._log_name(number)))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def retire(self) -> None:
        """Answer what is waiting and under way, then end all workers; it must be out of the route."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self.backend.drain()
        slots = [*self._slots, *([] if self._successor is None else [self._successor])]
        ends = [self._end(slot, self._log_name(number)) for number, slot in enumerate(slots)]
        await asyncio.gather(*ends, *self._leaving, return_exceptions=True)

    async def _end(self, slot: WorkerSlot, log: str) -> None:
        await slot.stop(self._patience)
        self._logs.release(log)

    def _log_name(self, number: int) -> str:
        return f"{self.deployment.name}-{number}"

    @property
    def _patience(self) -> float:
        """Seconds in which any request must have been answered."""
        settings = self.deployment.request_settings
        uploads = _UPLOAD_SECONDS if self.backend.streaming else 0
        return (settings.request_timeout_ms + settings.max_queue_wait_ms) / 1000 + TERMINATION_GRACE + uploads

    def _writer(self, name: str) -> Callable[[bytes], None]:
        def write(data: bytes) -> None:
            self.tail.feed(data)
            self._logs.write(name, data)

        return write

    # What the slots say

    def start_failed(self, reason: str, *, schedulable: bool) -> int:
        """A worker did not become ready."""
        self._failed_starts += 1
        self._restarts += 1
        self._schedulable = schedulable
        self._reason = reason
        return self._failed_starts

    def became_ready(self) -> None:
        """A worker takes requests."""
        self._failed_starts = 0
        self._schedulable = True
        self._replace_next()
        if self.complete:
            self._reached = self.deployment.instance_count
            self._reason = ""
        self._changed()

    def ended(self, reason: str) -> None:
        """A worker that was ready has ended."""
        self._restarts += 1
        self._reason = reason

    # What the endpoint asks

    @property
    def ready(self) -> int:
        """Workers that take requests."""
        return sum(slot.ready for slot in self._slots)

    @property
    def complete(self) -> bool:
        """Whether all workers take requests."""
        return self.ready >= self.deployment.instance_count

    @property
    def state(self) -> State:
        """The state; `report` has the reason."""
        if self.complete:
            return State.HEALTHY
        if self.ready:
            return State.HEALTHY if self._reached >= self.deployment.instance_count else State.TRANSITIONING
        if not self._schedulable:
            return State.UNSCHEDULABLE
        if self._failed_starts >= FAILED_STARTS:
            return State.FAILED
        return State.UNHEALTHY if self._reached else State.TRANSITIONING

    def fleet(self) -> Fleet:
        """Its workers, in numbers."""
        return Fleet(self.ready, self.deployment.instance_count, self._restarts, str(self.state))

    def targets(self) -> list[Target]:
        """Where its workers answer scrapes."""
        name = self.deployment.name
        return [Target(name, number, slot.admin) for number, slot in enumerate(self._slots) if slot.admin is not None]

    def report(self) -> dict[str, object]:
        """What the status says of it."""
        return {
            "state": str(self.state),
            "reason": self._reason,
            "ready": self.ready,
            "wanted": self.deployment.instance_count,
            "restarts": self._restarts,
            "requests": self.backend.tally.requests,
            "errors": self.backend.tally.errors,
            "mirrored": self.backend.tally.mirrored,
            "mirror_errors": self.backend.tally.mirror_errors,
            "mirror_dropped": self.backend.tally.mirror_dropped,
            "log_tail": self.tail.lines,
        }
