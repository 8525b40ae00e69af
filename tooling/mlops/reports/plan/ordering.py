"""The order in which a reader needs to see changes: what destroys first, then what is stuck, then what is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops.plan.change import Action, Change, Plan
from mlops.resource import SHARED

_RANK: Mapping[Action, int] = {
    Action.DELETE: 0,
    Action.REPLACE: 1,
    Action.BLOCKED: 2,
    Action.WAIT: 3,
    Action.UPDATE: 4,
    Action.CREATE: 5,
    Action.NONE: 6,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A change with the stage to which it belongs."""

    stage: str
    change: Change

    @property
    def mark(self) -> str:
        """Says that an object belongs to all stages; empty for others."""
        return " (shared)" if self.stage == SHARED else ""


def listed(plan: Plan) -> list[Listed]:
    """Every change, what destroys first; within a rank in the order in which it is done."""
    every = [Listed(section.stage, change) for section in plan.sections for change in section.changes]
    return sorted(every, key=lambda item: _RANK[item.change.action])
