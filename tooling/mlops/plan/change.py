"""The values that a plan is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mlops.errors import Exit, worst
from mlops.resource import JSON, Address, FieldChange, Health, Resource, Spec
from mlops.rollout import Step

PLAN_FORMAT = 1
ABSENT = "absent"
"""The basis of an object that is not live."""


class Action(StrEnum):
    """What is done to one object."""

    NONE = "none"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    WAIT = "wait"
    BLOCKED = "blocked"


EFFECTIVE = frozenset({Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE})
"""Actions that write to a target."""


@dataclass(frozen=True)
class Change:
    """One decision, and all that it was based on.

    Which fields mean something depends on the action:

    | action  | desired | steps | basis             | before           |
    |---------|---------|-------|-------------------|------------------|
    | none    | if declared | none | live object    | live goal        |
    | create  | wanted  | 1     | "absent"          | None             |
    | update  | wanted  | 1..n  | live object       | live goal        |
    | replace | wanted  | 1     | live object       | live goal        |
    | delete  | None    | none  | live or "absent"  | live goal or None |
    | wait    | wanted  | none  | live or "absent"  | live goal or None |
    | blocked | if declared | none | live or "absent" | live goal or None |

    Attributes:
        address: Which object.
        action: What is done.
        reason: Why, in one line.
        driver: Name of the driver that does it.
        fields: Every field that differs, with suppressed ones.
        steps: The specs to put, in order; those of an endpoint in live form.
        start: The live form to return to when a step fails; None where nothing is live.
        start_goal: The goal digest of `start`.
        waits: What it waits for.
        uses: Addresses that the live object refers to, so that deletions keep their order.
        desired: The resource as wanted.
        basis: Digest of the stamp and of the live fields that are ours, or "absent".
        before: Goal digest on the live object's stamp.
        goal: Digest of the wanted spec; None for a deletion.
        health: How the live object is.
    """

    address: Address
    action: Action
    reason: str
    driver: str
    fields: tuple[FieldChange, ...] = ()
    steps: tuple[Step, ...] = ()
    start: Spec | None = None
    start_goal: str | None = None
    waits: tuple[str, ...] = ()
    uses: frozenset[Address] = frozenset()
    desired: Resource | None = None
    basis: str = ABSENT
    before: str | None = None
    goal: str | None = None
    health: Health | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """How many objects get which action."""

    counts: Mapping[Action, int]

    @property
    def effective(self) -> int:
        """How many objects are written to."""
        return sum(self.counts.get(action, 0) for action in EFFECTIVE)

    @property
    def exit_code(self) -> Exit:
        """What a plan tells a script that asked for detail: blocked before waiting before changes."""
        blocked = Exit.BLOCKED if self.counts.get(Action.BLOCKED) else Exit.DONE
        waiting = Exit.WAITING if self.counts.get(Action.WAIT) else Exit.DONE
        return worst((blocked, waiting, Exit.CHANGES if self.effective else Exit.DONE))

    @property
    def destructive(self) -> int:
        """How many objects are deleted or replaced."""
        return self.counts.get(Action.DELETE, 0) + self.counts.get(Action.REPLACE, 0)


@dataclass(frozen=True)
class Section:
    """The changes of one stage, in the order in which they are done.

    Attributes:
        stage: The stage, or `shared`.
        changes: One for every object that is declared, live and ours, or known to the ledger only.
        live: How many objects of this stage are live and ours.
    """

    stage: str
    changes: tuple[Change, ...]
    live: int = 0

    @property
    def summary(self) -> Summary:
        """How many objects get which action."""
        return Summary(Counter(change.action for change in self.changes))

    @property
    def fuse(self) -> int:
        """How many deletes and replaces are allowed without being asked for: max(1, min(5, 20 % of the stage))."""
        return max(1, min(5, self.live // 5))


@dataclass(frozen=True, slots=True)
class Digests:
    """What a plan is about, what it does, and what must not have moved.

    Attributes:
        goal: Of the resolved specs, by address.
        effect: Of from, to and steps: what a person approves.
        basis: Of the live objects that it touches.
    """

    goal: str
    effect: str
    basis: str


@dataclass(frozen=True)
class Plan:
    """Ordered changes for one stage and for what it needs of `shared`.

    Attributes:
        project: The project's id.
        stage: The stage.
        sections: `shared` first where it is part of the plan, then the stage.
        digests: The three digests.
        revision: Commit, branch and whether the tree is dirty, for people; never compared by name.
        only: What it was narrowed to; empty: everything.
        retry: Objects whose bad goal it allows again.
    """

    project: str
    stage: str
    sections: tuple[Section, ...]
    digests: Digests
    revision: Mapping[str, JSON] = field(default_factory=dict)
    only: tuple[Address, ...] = ()
    retry: tuple[Address, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes of all sections, in order."""
        return tuple(change for section in self.sections for change in section.changes)

    @property
    def summary(self) -> Summary:
        """How many objects get which action, over all sections."""
        return Summary(Counter(change.action for change in self.changes))
