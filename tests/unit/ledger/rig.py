"""Ledgers in real repositories, under clocks that can be turned."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.unit.git.room import git

from mlops.git import Actor, GitRepository, Revision
from mlops.ledger import Intent, Ledger, Origin, Outcome, RecordedResult
from mlops.ledger.branch import Branch
from mlops.ledger.extend import Draft
from mlops.ledger.process import Process
from mlops.ledger.record import Entry
from mlops.ledger.state import State
from mlops.ledger.state_json import goals_to_json, process_to_json
from mlops.resource import JSON, Address, Event, Kind, Spec, digest

PROJECT = "digits-demo"
ADA = Origin(Actor("Ada", "ada@example.com", "test"), "because", Revision("a" * 40, "main"), "7")
BO = Origin(Actor("Bo", "bo@example.com", "test"), "it is stuck")
ENDPOINT = Address(Kind.ENDPOINT, "digits@local-dev")
MODEL = Address(Kind.MODEL, "digits:1")
ELSEWHERE = Process("build-7", "another-boot/pid:[1]", 4711, 99)


_opened: list[GitRepository] = []


def open_git(root: Path, before: Callable[[Sequence[str]], None] | None = None) -> GitRepository:
    """A repository that is closed when the test ends."""
    _opened.append(GitRepository.open(root, before=before))
    return _opened[-1]


def close_all() -> None:
    """End the processes of all repositories that were opened."""
    while _opened:
        _opened.pop().close()


class ManualClock:
    """Time that stands still until somebody waits in the thread that made it, or turns it.

    Other threads wait for real, until the time has come by this clock, or it is stopped with all that wait for it;
    `waiting` says how many do, and `waits` how many ever did.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.up = 1000.0
        self.before_wait: Callable[[], None] = lambda: None
        self.stopped = False
        self.waiting = 0
        self.waits = 0
        self._owner = threading.get_ident()

    def time(self) -> float:
        return self.now

    def uptime(self) -> float:
        return self.up

    def until_waiting(self) -> None:
        """Return when another thread waits."""
        give_up = time.monotonic() + 60
        while not self.waiting:
            assert time.monotonic() < give_up, "nobody waits"
            time.sleep(0.005)

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if threading.get_ident() == self._owner:
            self.before_wait()
            self.pass_(seconds)
            return event.is_set()
        due = self.up + seconds
        self.waits += 1
        self.waiting += 1
        try:
            while self.up < due:
                if event.wait(0.005) or self.stopped:
                    return True
            return event.is_set()
        finally:
            self.waiting -= 1


def open_ledger(root: Path, clock: ManualClock | None = None, remote: str | None = None, stage: str = "dev") -> Ledger:
    return Ledger.open(open_git(root), stage, project=PROJECT, remote=remote, clock=clock or ManualClock())


def spec(number: int, **weights: int) -> Spec:
    """One endpoint's spec; a different one for each number."""
    return {"number": number, "traffic": weights}


def intent(goals: Mapping[Address, str | None], specs: Sequence[Spec] = (), origin: Origin = ADA) -> Intent:
    return Intent(origin, goals, {"goal": "g", "effect": "e", "basis": "b"}, {"gate": "open"}, {"seen": 1}, specs)


def done(address: Address, goal: str | None, action: str = "update") -> RecordedResult:
    return RecordedResult(address, action, Outcome.DONE, goal=goal, outputs={"uri": "http://x"}, health="Healthy")


def apply_once(ledger: Ledger, number: int, address: Address = ENDPOINT) -> str:
    """One whole run that applies one spec; its goal."""
    wanted = spec(number)
    goal = digest(wanted)
    with ledger.begin(intent({address: goal}, [wanted])) as run:
        run.finish([done(address, goal)])
    return goal


def add(root: Path, drafts: Sequence[Draft], clock: ManualClock, remote: str | None = None) -> Branch:
    """Records as any process anywhere would write them."""
    branch = Branch(open_git(root), PROJECT, "dev", remote, clock)

    def make(_state: State) -> Sequence[Draft]:
        return drafts

    branch.append(make)
    return branch


def begin_elsewhere(
    root: Path, clock: ManualClock, remote: str | None = None, goals: Mapping[Address, str | None] | None = None
) -> Branch:
    """Begin a run on a machine of which nothing can be seen from here."""
    body: dict[str, JSON] = {"process": process_to_json(ELSEWHERE, 5.0), "intended": goals_to_json(goals or {})}
    draft = Draft(Entry(Event.STARTED, ADA, "elsewhere", body=body), {})
    return add(root, [draft], clock, remote)


def make_clones(folder: Path, count: int) -> tuple[Path, list[Path]]:
    """A bare remote and clones of it."""
    remote = folder / "remote.git"
    remote.mkdir()
    git(remote, "init", "-q", "--bare")
    clones = []
    for number in range(count):
        clone = folder / f"clone-{number}"
        git(folder, "clone", "-q", str(remote), clone.name)
        git(clone, "commit", "-q", "--allow-empty", "-m", "Begin")
        clones.append(clone)
    return remote, clones
