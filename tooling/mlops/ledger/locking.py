"""The lock of one stage, from taking it to breaking it."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from mlops.ledger.branch import Branch
from mlops.ledger.clock import Clock
from mlops.ledger.extend import Draft, make_specs
from mlops.ledger.keeper import Keeper
from mlops.ledger.lease import Terms, read_lease
from mlops.ledger.lock import Lock, Observer, Sightings
from mlops.ledger.process import this_process
from mlops.ledger.record import Entry, Origin, Record
from mlops.ledger.run import Intent, Run
from mlops.ledger.seizing import Seizure
from mlops.ledger.state import OpenRun
from mlops.ledger.state_json import goals_to_json, process_to_json
from mlops.resource import JSON, Event


class Locking:
    """Takes, judges and breaks the lock of one stage.

    Args:
        branch: The ledger's branch.
        clock: Time.
        terms: How long a lease lasts; None: as long as usual.
    """

    def __init__(self, branch: Branch, clock: Clock, terms: Terms | None) -> None:
        """Read and write nothing."""
        self._branch = branch
        self._clock = clock
        self._terms = terms if terms is not None else Terms()
        self._me = this_process()
        note = branch.git.common_directory / "mlops" / "seen" / f"{branch.place.stage}.json"
        self._observer = Observer(clock, self._me, Sightings(note, clock, self._me.machine), self._terms)
        self._seizure = Seizure(branch, clock, self.judge)

    def judge(self, run: OpenRun) -> Lock:
        """What is known about the holder of the lock."""
        return self._observer.judge(self._branch.place.stage, run, read_lease(self._branch))

    def close(self, lock: Lock, origin: Origin, cause: str) -> Record:
        """Close another's run as interrupted.

        Raises:
            MlopsError: The repository or the remote cannot be written.
        """
        return self._seizure.close(lock, origin, cause)

    def begin(self, intent: Intent, wait: float, say: Callable[[str], None]) -> Run:
        """Take the lock; see `Ledger.begin`."""
        entry = Entry(
            event=Event.STARTED,
            origin=intent.origin,
            run=secrets.token_hex(8),
            digests=intent.digests,
            gates=intent.gates,
            evidence=intent.evidence,
        )
        specs = make_specs(intent.specs)
        self._branch.refresh()
        taken_over, begun, tip = self._seizure.take(
            intent.origin, lambda: Draft(self._started(entry, intent), specs), wait, say
        )
        keeper = Keeper(self._branch, entry.run or "", self._clock, self._terms, begun)
        keeper.start()
        return Run(self._branch, tip, keeper, entry, taken_over)

    def _started(self, entry: Entry, intent: Intent) -> Entry:
        body: dict[str, JSON] = {
            "process": process_to_json(self._me, self._clock.uptime()),
            "intended": goals_to_json(intent.intended),
        }
        return Entry(entry.event, entry.origin, entry.run, entry.digests, entry.gates, entry.evidence, body=body)
