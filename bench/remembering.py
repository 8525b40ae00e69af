"""The ledger: what an append costs as it grows, and how quickly a past moment is found."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import repositories
from bench.measure import MLOPS, median
from bench.table import Row, at_most
from mlops.git import Actor, GitRepository
from mlops.ledger import Ledger, Origin
from mlops.ledger.branch import Branch
from mlops.ledger.extend import Draft
from mlops.ledger.record import Entry
from mlops.ledger.state import State
from mlops.resource import JSON, Event

RECORDS = 10_000
_FEW = 10
_BATCH = 100
_BEGIN = 1_700_000_000.0
_ORIGIN = Origin(Actor("Bench", "bench@example.com", "bench"), "measured")
_APPENDS = 40


@dataclass
class SteppingClock:
    """A wall clock that stands where it was put, so that ten thousand records are spread over months."""

    now: float = _BEGIN

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now

    def uptime(self) -> float:
        """Seconds since some start."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event."""
        return event.wait(seconds)


def _observed(number: int) -> dict[str, JSON]:
    """What a drift check saw on one of twenty endpoints."""
    return {"observed": {f"endpoint/endpoint-{number % 20}@here": {"state": "Healthy", "check": number}}}


def _drafts(first: int, count: int) -> list[Draft]:
    return [Draft(Entry(Event.OBSERVED, _ORIGIN, body=_observed(first + n)), {}) for n in range(count)]


def _grow(git: GitRepository, count: int) -> None:
    """Add records in batches, an hour apart: written as every record is, but with one flush for many."""
    clock = SteppingClock()
    branch = Branch(git, "bench", "dev", None, clock)
    for first in range(0, count, _BATCH):
        clock.now = _BEGIN + first * 60
        drafts = _drafts(first, min(_BATCH, count - first))

        def make(_state: State, drafts: list[Draft] = drafts) -> list[Draft]:
            return drafts

        branch.append(make)


def _append(ledger: Ledger) -> float:
    """Seconds that one durable append takes."""
    costs = []
    for number in range(_APPENDS):
        begin = time.perf_counter()
        ledger.append(Event.OBSERVED, _ORIGIN, body=_observed(number))
        costs.append(time.perf_counter() - begin)
    return statistics.median(costs)


def _repository(root: Path, records: int) -> Path:
    repositories.write(root, repositories.project())
    repositories.commit(root)
    with GitRepository.open(root) as git:
        _grow(git, records)
        Ledger.open(git, "dev", project="bench").pack()
    return root


def _appends(root: Path) -> float:
    with GitRepository.open(root) as git:
        return _append(Ledger.open(git, "dev", project="bench"))


def rows(folder: Path) -> Iterator[Row]:
    """Everything about the ledger."""
    few, many = _repository(folder / "few", _FEW), _repository(folder / "many", RECORDS)
    moment = datetime.fromtimestamp(_BEGIN + RECORDS * 30, UTC).isoformat()
    at = median((MLOPS, "history", "--stage", "dev", "--at", moment), many, 7)
    yield at_most("history --at over 10,000 records, packed", at.seconds, 0.5, "s")
    small = _appends(few)
    yield Row("append to 10 records", f"{small * 1000:.1f} ms", bar="10 to 25 ms")
    large = _appends(many)
    yield at_most(
        "append to 10,000 records", large * 1000, 1.25 * small * 1000, "ms", bar="the same (1.25 of 10 records)"
    )
