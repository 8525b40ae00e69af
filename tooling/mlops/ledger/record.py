"""One entry of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mlops.git import Actor, Revision
from mlops.resource import JSON, Address, Event


class Outcome(StrEnum):
    """What became of one change."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAITING = "waiting"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """What became of one change, as it is remembered.

    Attributes:
        address: Which object.
        action: The plan's word: create, update, replace, delete, none, wait, blocked.
        outcome: What became of it. Done and not a deletion: `goal` is applied and healthy.
        reason: Why, where it is not done.
        goal: Goal digest that the object now has; None where it is gone or not known. A failed change with another goal
            than that of its rollout was returned to what it started from, which ends the rollout.
        outputs: What it offers, such as `scoring_uri`.
        health: Name of its health state.
    """

    address: Address
    action: str
    outcome: Outcome
    reason: str = ""
    goal: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    health: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, from what, and why: the same in all records of a run.

    Attributes:
        actor: Who.
        reason: Why, in the actor's words.
        revision: What was checked out.
        pull_request: Number of the pull request that this came from.
    """

    actor: Actor
    reason: str = ""
    revision: Revision | None = None
    pull_request: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that has no place in the ledger yet.

    Attributes:
        event: What happened.
        origin: Who and why.
        run: Id of the run that it belongs to; None outside of one.
        digests: The plan's digests by name: goal, effect, basis.
        gates: Gates and how they were judged.
        evidence: What the judgement, or a check, was based on.
        results: What became of each change.
        specs: Digests of the specs that came into the ledger with this record.
        body: What else belongs to this event (see `fold`).
    """

    event: Event
    origin: Origin
    run: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    gates: JSON = None
    evidence: JSON = None
    results: tuple[RecordedResult, ...] = ()
    specs: tuple[str, ...] = ()
    body: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the ledger.

    Attributes:
        commit: Id of its commit, which no document can hold itself.
        sequence: Its number, counted from 1 without gaps.
        time: Epoch seconds in whole milliseconds, never before the previous record's.
        project: The project's id.
        stage: The stage.
        entry: All else.
    """

    commit: str
    sequence: int
    time: float
    project: str
    stage: str
    entry: Entry

    @property
    def event(self) -> Event:
        """What happened."""
        return self.entry.event

    @property
    def run(self) -> str | None:
        """Id of the run that it belongs to."""
        return self.entry.run

    @property
    def actor(self) -> Actor:
        """Who acted."""
        return self.entry.origin.actor

    @property
    def reason(self) -> str:
        """Why, in the actor's words."""
        return self.entry.origin.reason

    @property
    def revision(self) -> Revision | None:
        """What was checked out."""
        return self.entry.origin.revision

    @property
    def pull_request(self) -> str | None:
        """Number of the pull request that this came from."""
        return self.entry.origin.pull_request

    @property
    def digests(self) -> Mapping[str, str]:
        """The plan's digests by name."""
        return self.entry.digests

    @property
    def gates(self) -> JSON:
        """Gates and how they were judged."""
        return self.entry.gates

    @property
    def evidence(self) -> JSON:
        """What was judged."""
        return self.entry.evidence

    @property
    def results(self) -> tuple[RecordedResult, ...]:
        """What became of each change."""
        return self.entry.results

    @property
    def specs(self) -> tuple[str, ...]:
        """Digests of the specs that came into the ledger with this record."""
        return self.entry.specs

    @property
    def body(self) -> Mapping[str, JSON]:
        """What else belongs to the event."""
        return self.entry.body

    def addresses(self) -> Iterator[str]:
        """Every address that it is about, as text; some may come twice."""
        yield from (str(result.address) for result in self.results)
        address = self.body.get("address")
        if isinstance(address, str):
            yield address
        for key in ("intended", "observed"):
            named = self.body.get(key)
            if isinstance(named, Mapping):
                yield from named
