"""Taking the lock: wait for it, close the dead run that holds it, or say who does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from mlops.git.refs import RefUpdate
from mlops.git.storage import NewObject
from mlops.ledger.branch import Branch
from mlops.ledger.clock import Clock
from mlops.ledger.extend import Draft
from mlops.ledger.lease import Lease, make_lease
from mlops.ledger.lock import Lock, Standing, locked
from mlops.ledger.record import Entry, Origin, Record
from mlops.ledger.state import OpenRun, State
from mlops.ledger.tip import Tip
from mlops.resource import Event

_LOOK_AGAIN = 2.0
"""Seconds between two looks at a lock that is waited for."""


class _MovedOn(Exception):
    """The lock is not as it was when it was judged."""


class Seizure:
    """One attempt to take or to break the lock of a stage.

    Args:
        branch: The ledger's branch.
        clock: Time.
        judge: Says what is known about the holder of the lock.
    """

    def __init__(self, branch: Branch, clock: Clock, judge: Callable[[OpenRun], Lock]) -> None:
        """Change nothing."""
        self._branch = branch
        self._clock = clock
        self._judge = judge

    def take(
        self, origin: Origin, draft: Callable[[], Draft], wait: float, say: Callable[[str], None]
    ) -> tuple[OpenRun | None, float, Tip]:
        """Record a *started* once nobody holds the lock.

        Args:
            origin: Who takes it.
            draft: Makes the *started* record.
            wait: Seconds to wait for a holder that lives.
            say: Told whenever it waits.

        Returns:
            The dead run that was closed, the uptime just before the lock was ours, and the record's place.

        Raises:
            Locked: Somebody else holds it.
        """
        give_up = self._clock.uptime() + wait
        closed: OpenRun | None = None
        said = False
        while True:
            tip = self._branch.tip()
            run = tip.state.run if tip is not None else None
            try:
                if run is None:
                    begun = self._clock.uptime()
                    return closed, begun, self._branch.append(lambda state: _free(state, draft), tip)[-1]
                lock = self._judge(run)
                if lock.standing in (Standing.DEAD, Standing.EXPIRED):
                    self.close(lock, origin, lock.standing.value)
                    closed = run
                    continue
            except _MovedOn:
                continue
            if lock.standing is Standing.HELD and self._clock.uptime() >= give_up:
                raise locked(lock)
            if not said:
                say(_waiting(lock))
                said = True
            self._clock.wait(threading.Event(), _LOOK_AGAIN)
            self._branch.refresh()

    def close(self, lock: Lock, origin: Origin, cause: str) -> Record:
        """Close another's run as interrupted, and move its lease in the same transaction.

        Args:
            lock: The lock as it was judged; if it has moved since, nothing happens.
            origin: Who closes it.
            cause: Why.

        Raises:
            MlopsError: The repository or the remote cannot be written.
        """
        entry = Entry(Event.INTERRUPTED, origin, run=lock.run.id, body={"cause": cause})
        seen = self._branch.lease()

        def drafts(state: State) -> Sequence[Draft]:
            if state.run is None or state.run.id != lock.run.id or self._branch.lease() != seen:
                raise _MovedOn
            return (Draft(entry, {}),)

        def lease() -> tuple[RefUpdate, NewObject]:
            count = lock.lease.count if lock.lease is not None else 0
            ended = Lease("", lock.run.id, self._clock.time(), self._clock.uptime(), count, closed=True)
            made = make_lease(ended, self._branch.git.hash_name)
            return RefUpdate(self._branch.lease_name, made.oid, seen), made

        return self._branch.append(drafts, also=lease)[-1].record


def _free(state: State, draft: Callable[[], Draft]) -> Sequence[Draft]:
    if state.run is not None:
        raise _MovedOn
    return (draft(),)


def _waiting(lock: Lock) -> str:
    holder = f"{lock.run.actor} on {lock.run.process.host}"
    if lock.standing is Standing.DOUBTFUL:
        return (
            f'The lock of stage "{lock.stage}", held by {holder}, looks expired; watching it for up to '
            f"{lock.expires:.0f} s to be sure that it is not renewed."
        )
    return f'Waiting for the lock of stage "{lock.stage}", held by {holder}.'
