"""One run: it holds the lock, and tells the ledger what it does, record by record."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from mlops.errors import MlopsError
from mlops.git import Actor
from mlops.ledger.branch import Branch
from mlops.ledger.clock import to_text
from mlops.ledger.extend import Draft, make_specs
from mlops.ledger.fields import Malformed
from mlops.ledger.keeper import Keeper
from mlops.ledger.lock import lost
from mlops.ledger.record import Entry, Origin, Record, RecordedResult
from mlops.ledger.state import OpenRun, State
from mlops.ledger.tip import Tip
from mlops.resource import JSON, Address, Event, Spec


@dataclass(frozen=True, slots=True)
class Intent:
    """What a run is about to do.

    Attributes:
        origin: Who and why.
        intended: The goals that it is about to apply, by address; None for a deletion.
        digests: The plan's digests by name.
        gates: Gates and how they were judged.
        evidence: What was judged.
        specs: The specs behind the goals; they are durable when `begin` returns.
    """

    origin: Origin
    intended: Mapping[Address, str | None]
    digests: Mapping[str, str] = field(default_factory=dict)
    gates: JSON = None
    evidence: JSON = None
    specs: Iterable[Spec] = ()


class _Ticket:
    """One draft on its way into the ledger, and what became of it."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.tip: Tip | None = None
        self.error: BaseException | None = None

    @property
    def settled(self) -> bool:
        """Whether it was written or failed."""
        return self.tip is not None or self.error is not None


class Run:
    """One run that holds the lock of its stage. Thread-safe; what is told is durable when the call returns.

    Attributes:
        id: Its id.
        taken_over: The dead run that was closed when this one began.
    """

    def __init__(self, branch: Branch, tip: Tip, keeper: Keeper, base: Entry, taken_over: OpenRun | None) -> None:
        """Use `Ledger.begin`.

        Args:
            branch: The ledger's branch.
            tip: This run's *started* record.
            keeper: Renews the lease.
            base: What all records of this run have in common.
            taken_over: The dead run that was closed.
        """
        self.id = base.run or ""
        self.taken_over = taken_over
        self._branch = branch
        self._tip = tip
        self._keeper = keeper
        self._base = replace(base, gates=None, evidence=None)
        self._judged = (base.gates, base.evidence)
        self._open = True
        self._waiting: list[_Ticket] = []
        self._queue = threading.Lock()
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        """The lock is held already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close a run that was left open as interrupted."""
        if not self._open:
            return
        self._keeper.stop()
        try:
            self.interrupt((), f"stopped by {kind.__name__}" if kind is not None else "it ended without a result")
        except MlopsError as problem:
            if error is None:
                raise
            error.add_note(f"The ledger could not be told: {problem}")

    def state(self) -> State:
        """The state after the last record of this run."""
        return self._tip.state

    @property
    def origin(self) -> Origin:
        """Who and why."""
        return self._base.origin

    @property
    def actor(self) -> Actor:
        """Who."""
        return self._base.origin.actor

    def held(self) -> None:
        """Return while the lock is surely ours.

        Raises:
            Locked: The lease ran out or was broken; nothing more may be written to any target.
        """
        self._keeper.held()

    def step(self, address: Address, goal: str, step: int, spec: Spec, *, done: bool) -> None:
        """Record that a rollout is about to put (done=False) or has put and checked (True) a step.

        Raises:
            Locked: The run was closed by somebody else.
        """
        traffic = spec.get("traffic")
        weights = dict(traffic) if isinstance(traffic, Mapping) else {}
        kept = make_specs((spec,))
        body: dict[str, JSON] = {
            "address": str(address),
            "goal": goal,
            "step": step,
            "done": done,
            "spec": next(iter(kept)),
            "weights": weights,
        }
        self._tell(replace(self._base, event=Event.STEP, body=body), kept)

    def denied(self, address: Address, goal: str, reason: str) -> None:
        """Remember a goal as bad.

        Raises:
            Locked: The run was closed by somebody else.
        """
        body: dict[str, JSON] = {"address": str(address), "goal": goal, "reason": reason}
        self._tell(replace(self._base, event=Event.DENIED, body=body))

    def pause(self, address: Address, until: float, reason: str = "") -> Record:
        """Record that a rollout must not go on before a time; the run stays open for its other changes.

        Args:
            address: The endpoint.
            until: Epoch seconds.
            reason: Why.

        Raises:
            Locked: The run was closed by somebody else.
        """
        body: dict[str, JSON] = {"address": str(address), "until": to_text(until), "reason": reason}
        return self._tell(replace(self._base, event=Event.PAUSED, body=body))

    def finish(self, results: Iterable[RecordedResult], *, evidence: JSON = None) -> Record:
        """Record the results and release the lock.

        Raises:
            Locked: The run was closed by somebody else.
        """
        return self._close(Event.FINISHED, results, "", evidence)

    def fail(self, results: Iterable[RecordedResult], reason: str = "", *, evidence: JSON = None) -> Record:
        """Record the results of a run of which something failed, and release the lock.

        Raises:
            Locked: The run was closed by somebody else.
        """
        return self._close(Event.FAILED, results, reason, evidence)

    def interrupt(self, results: Iterable[RecordedResult], reason: str = "", *, evidence: JSON = None) -> Record:
        """Record the results of a run that was stopped, keep what it intended, and release the lock.

        Raises:
            Locked: The run was closed by somebody else.
        """
        return self._close(Event.INTERRUPTED, results, reason, evidence)

    def _close(self, event: Event, results: Iterable[RecordedResult], reason: str, evidence: JSON) -> Record:
        entry = replace(
            self._base,
            event=event,
            results=tuple(results),
            gates=self._judged[0],
            evidence=evidence if evidence is not None else self._judged[1],
            body={"reason": reason} if reason else {},
        )
        record = self._tell(entry)
        self._open = False
        self._keeper.stop()
        return record

    def _tell(self, entry: Entry, specs: Mapping[str, bytes] | None = None) -> Record:
        """Add one record. Whoever writes takes along what others have queued meanwhile: one commit each, one push."""
        ticket = _Ticket(Draft(entry, specs or {}))
        with self._queue:
            self._waiting.append(ticket)
        with self._writing:
            if not ticket.settled:
                with self._queue:
                    batch, self._waiting = self._waiting, []
                self._write(batch)
        if ticket.error is not None:
            raise ticket.error
        if ticket.tip is None:
            raise RuntimeError("a record was neither written nor refused")
        return ticket.tip.record

    def _write(self, batch: Sequence[_Ticket]) -> None:
        drafts = [ticket.draft for ticket in batch]
        try:
            written = self._branch.append(lambda state: self._checked(state, drafts), self._tip)
        except Malformed as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for ticket in batch:
                self._write((ticket,))
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
            raise
        else:
            self._tip = written[-1]
            for ticket, tip in zip(batch, written, strict=True):
                ticket.tip = tip

    def _checked(self, state: State, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """The drafts, if the run that they belong to is still the open one."""
        if state.run is None or state.run.id != self.id:
            raise lost(self._branch.place.stage, "it was closed")
        return drafts
