"""What all records of a stage together say: the value that planning starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops.git import Actor, Revision
from mlops.ledger.process import Process
from mlops.resource import JSON, Address


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run left at one address.

    Attributes:
        goal: Goal digest.
        since: Epoch seconds since when this goal is applied.
        sequence: The record by which it was applied last.
        action: What that record did.
    """

    goal: str
    since: float
    sequence: int
    action: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A rollout that has begun and not ended.

    Attributes:
        goal: Digest of the spec that it is on the way to.
        base: Digest of the spec that it started from; None where nothing was applied.
        step: Number of the last step that is recorded.
        done: Whether that step was put and checked; otherwise it was about to be put.
        spec: Digest of that step's whole spec.
        weights: Percent by live deployment in that step.
        before: Percent by live deployment in the step before: what served until this one is done.
        started: Epoch seconds of the first step.
        paused_until: Epoch seconds before which it must not go on; None where it is not paused.
    """

    goal: str
    base: str | None
    step: int
    done: bool
    spec: str
    weights: Mapping[str, int]
    before: Mapping[str, int]
    started: float
    paused_until: float | None = None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that has started and not ended: it holds the lock as long as its lease lasts.

    Attributes:
        id: Its id.
        actor: Who.
        process: Which process, on which machine.
        started: Epoch seconds of its first record.
        uptime: Uptime of its machine at that time, in seconds.
        sequence: Number of its first record.
        intended: The goals that it is about to apply; None for a deletion.
    """

    id: str
    actor: Actor
    process: Process
    started: float
    uptime: float
    sequence: int
    intended: Mapping[Address, str | None]


@dataclass(frozen=True, slots=True)
class State:
    """What all records of a stage together say.

    Attributes:
        project: The project's id.
        stage: The stage.
        sequence: Number of the last record; 0 before the first.
        time: Epoch seconds of the last record.
        revision: What the last run that started was made from.
        applied: What runs have left, by address.
        good: Goal digest that was last healthy after a completed change, by address.
        denied: Goals that are remembered as bad, with the reason, by address.
        rollouts: Rollouts under way, by address.
        observed: What drift checks found that differs from what was applied, by address.
        intended: What runs that did not end were about to do, where nobody has done it since.
        run: The run that holds the lock.
    """

    project: str
    stage: str
    sequence: int = 0
    time: float = 0.0
    revision: Revision | None = None
    applied: Mapping[Address, Applied] = field(default_factory=dict)
    good: Mapping[Address, str] = field(default_factory=dict)
    denied: Mapping[Address, Mapping[str, str]] = field(default_factory=dict)
    rollouts: Mapping[Address, Progress] = field(default_factory=dict)
    observed: Mapping[Address, Mapping[str, JSON]] = field(default_factory=dict)
    intended: Mapping[Address, str | None] = field(default_factory=dict)
    run: OpenRun | None = None
