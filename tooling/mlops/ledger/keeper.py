"""The lock as its holder sees it: renew the lease, and know when to stop."""

from __future__ import annotations

import threading

from mlops.errors import MlopsError
from mlops.git.refs import RefUpdate
from mlops.ledger.branch import Branch
from mlops.ledger.clock import Clock
from mlops.ledger.lease import Lease, Terms, make_lease, read_lease
from mlops.ledger.lock import lost

_ENOUGH = 5.0


class Keeper:
    """Keeps one run's lease.

    Args:
        branch: The ledger's branch.
        run: Id of the run.
        clock: This machine's clocks.
        terms: How long a lease lasts.
        since: Uptime in seconds before the *started* record was written.
    """

    def __init__(self, branch: Branch, run: str, clock: Clock, terms: Terms, since: float) -> None:
        """Hold the lock for one term from `since`; start nothing."""
        self._branch = branch
        self._run = run
        self._clock = clock
        self._terms = terms
        self._deadline = since + terms.expiry - terms.safety
        self._current = branch.lease()
        self._count = 0
        self._lost = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Renew in the background until it is stopped."""
        self._thread = threading.Thread(target=self._renew_on, name=f"lease-{self._run}", daemon=True)
        self._thread.start()

    def _renew_on(self) -> None:
        pause = self._terms.renewal
        while not self._clock.wait(self._stop, pause):
            try:
                self.renew()
                pause = self._terms.renewal
            except (MlopsError, OSError):
                pause = self._terms.retry
            if self._lost:
                return

    def renew(self) -> None:
        """Show once that this run lives.

        Raises:
            MlopsError: The lease could not be written; it may be tried again until it expires.
        """
        begun = self._clock.uptime()
        wanted = Lease("", self._run, self._clock.time(), begun, self._count + 1)
        made = make_lease(wanted, self._branch.git.hash_name)
        if self._branch.move_lease(RefUpdate(self._branch.lease_name, made.oid, self._current), made):
            self._current = made.oid
            self._count += 1
            self._deadline = begun + self._terms.expiry - self._terms.safety
            return
        self._adopt()

    def _adopt(self) -> None:
        """Find out who moved the lease: ourselves, in a renewal whose answer was lost, or whoever took the lock."""
        self._branch.refresh()
        found = read_lease(self._branch)
        if found is not None and (found.run != self._run or found.closed):
            self._lost = "another run took it over, or somebody broke it"
            return
        self._current = found.oid if found is not None else None
        self._count = found.count if found is not None else 0

    def held(self) -> None:
        """Return while the lock is surely ours.

        Raises:
            Locked: It may not be.
        """
        if not self._lost and self._branch.remote is None:
            found = read_lease(self._branch)
            if found is not None and found.run == self._run and found.closed:
                self._lost = "another run took it over, or somebody broke it"
        if self._lost:
            raise lost(self._branch.place.stage, self._lost)
        if self._clock.uptime() >= self._deadline:
            raise lost(self._branch.place.stage, "its lease could not be renewed in time")

    def stop(self) -> None:
        """Renew no more."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_ENOUGH)
