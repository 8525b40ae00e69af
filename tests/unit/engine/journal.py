"""A clock that is moved by waiting, and a ledger folded in memory.

The journal writes no Git objects, but it folds the ledger's own records with the ledger's own function, so what the
engine reads back is what the product would read back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mlops.apply import Outcome, Result
from mlops.git import Actor
from mlops.ledger.clock import to_text
from mlops.ledger.fold import fold
from mlops.ledger.record import Entry, Origin, Record, RecordedResult
from mlops.ledger.record import Outcome as Recorded
from mlops.ledger.state import State
from mlops.plan import Baseline, RolloutState, left_over
from mlops.plan.change import EFFECTIVE, Change
from mlops.resource import JSON, Address, Event, Kind, Spec, digest
from mlops.rollout import from_live

PROJECT = "shop"
_ORIGIN = Origin(Actor("Test User", "test@example.com", "the test"))
_PROCESS: dict[str, JSON] = {"host": "here", "machine": "", "pid": 1, "ticks": 1, "uptime": 0.0}


class Killed(BaseException):
    """The process is gone: nothing that it would have done after this happens."""


class ManualClock:
    """Time that passes only where somebody waits; `tick` is called after each wait."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._passed = 0.0
        self._lock = threading.Lock()
        self.tick: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self._start + self._passed

    def uptime(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._passed += seconds

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.advance(seconds)
        self.tick()
        return stop.is_set()


@dataclass
class Journal:
    """A recorder: the state that the ledger's records fold to."""

    stage: str
    clock: ManualClock
    before: Callable[[Event], None] = lambda _event: None
    after: Callable[[Event], None] = lambda _event: None
    lost: Callable[[], None] = lambda: None
    specs: dict[str, Spec] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.state = State(PROJECT, self.stage)

    def append(
        self, event: Event, body: Mapping[str, JSON], results: tuple[RecordedResult, ...] = (), run: str | None = None
    ) -> None:
        with self.lock:
            self.before(event)
            entry = Entry(event, _ORIGIN, run or (self.state.run.id if self.state.run else None), body=body)
            entry = Entry(entry.event, entry.origin, entry.run, results=results, body=body)
            number = len(self.records) + 1
            record = Record(f"{number:040x}", number, self.clock.time(), PROJECT, self.stage, entry)
            self.state = fold(self.state, record)
            self.records.append(record)
            self.after(event)

    def keep(self, spec: Spec) -> str:
        self.specs[digest(spec)] = json.loads(json.dumps(spec))
        return digest(spec)

    def begin(self, changes: Iterable[Change]) -> None:
        with self.lock:
            intended: dict[str, JSON] = {}
            for change in changes:
                if change.action not in EFFECTIVE:
                    continue
                intended[str(change.address)] = change.goal
                if change.desired is not None:
                    self.keep(change.desired.spec)
                if change.start is not None:
                    self.keep(from_live(change.start) if change.address.kind is Kind.ENDPOINT else change.start)
            if self.state.run is not None:
                self.append(Event.INTERRUPTED, {"cause": "its process is gone"})
            self.append(Event.STARTED, {"process": _PROCESS, "intended": intended}, run=f"run-{len(self.records)}")

    def end(self, results: Iterable[Result], changes: Iterable[Change]) -> None:
        mine = [r for r in results if r.stage == self.stage]
        adopted = [
            RecordedResult(address, "none" if goal else "delete", Recorded.DONE, goal=goal)
            for address, goal in left_over(changes, self.state.intended).items()
        ]
        outcomes = {r.outcome for r in mine}
        event = Event.FAILED if outcomes & {Outcome.FAILED, Outcome.RETURNED} else Event.FINISHED
        event = Event.INTERRUPTED if Outcome.CANCELLED in outcomes else event
        self.append(event, {}, (*map(recorded, mine), *adopted))

    def step(self, address: Address, goal: str, step: int, spec: Spec, *, done: bool) -> None:
        traffic = spec.get("traffic")
        self.append(
            Event.STEP,
            {
                "address": str(address),
                "goal": goal,
                "step": step,
                "done": done,
                "spec": self.keep(spec),
                "weights": dict(traffic) if isinstance(traffic, Mapping) else {},
            },
        )

    def denied(self, address: Address, goal: str, reason: str) -> None:
        self.append(Event.DENIED, {"address": str(address), "goal": goal, "reason": reason})

    def pause(self, address: Address, until: float, reason: str = "") -> None:
        self.append(Event.PAUSED, {"address": str(address), "until": to_text(until), "reason": reason})

    def held(self) -> None:
        self.lost()

    def baseline(self) -> Baseline:
        state = self.state
        return Baseline(
            exists=bool(self.records),
            applied={a: applied.goal for a, applied in state.applied.items()},
            good=state.good,
            denied=state.denied,
            rollouts={a: RolloutState(p.goal, p.base, p.paused_until, p.done) for a, p in state.rollouts.items()},
            intended=state.intended,
            spec=self.specs.get,
        )


def recorded(result: Result) -> RecordedResult:
    outcomes = {Outcome.RETURNED: Recorded.FAILED, Outcome.PAUSED: Recorded.WAITING}
    outcome = outcomes.get(result.outcome) or Recorded(result.outcome.value)
    return RecordedResult(result.address, result.action.value, outcome, result.reason, result.goal, result.outputs)
