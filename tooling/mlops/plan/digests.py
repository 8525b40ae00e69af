"""The three digests of a plan.

Approvals are bound to what a plan does and not to how it was written or made: key order, comments and file names change
none of them (the idea of approving by a semantic effect digest is pgroles').
"""

from __future__ import annotations

from collections.abc import Iterable

from mlops.plan.change import EFFECTIVE, Action, Change, Digests, Section
from mlops.resource import JSON, digest


def _effect(change: Change) -> JSON:
    steps = [[step.weight, 0 if step.soaked else step.soak, step.spec] for step in change.steps]
    return [change.action.value, change.before, change.goal, steps]


def digests_of(sections: Iterable[Section]) -> Digests:
    """Digest what is wanted, what is done, and what it is based on.

    The goal covers every declared object; effect and basis cover the objects that are written to, and blocked and
    waiting ones by their action, so that a plan that unblocks itself is not the plan that was approved.
    """
    goal: dict[str, JSON] = {}
    effect: dict[str, JSON] = {}
    basis: dict[str, JSON] = {}
    for section in sections:
        for change in section.changes:
            name = f"{section.stage}:{change.address}"
            if change.goal is not None:
                goal[name] = change.goal
            if change.action in EFFECTIVE:
                effect[name] = _effect(change)
                basis[name] = change.basis
            elif change.action is not Action.NONE:
                effect[name] = [change.action.value, change.before, change.goal]
    return Digests(digest(goal), digest(effect), digest(basis))
