"""What became of a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mlops.errors import Exit, worst
from mlops.plan.change import Action
from mlops.resource import JSON, Address, Health


class Outcome(StrEnum):
    """How a change ended."""

    DONE = "done"
    FAILED = "failed"
    RETURNED = "returned"
    SKIPPED = "skipped"
    WAITING = "waiting"
    BLOCKED = "blocked"
    PAUSED = "paused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change.

    Attributes:
        address: Which object.
        stage: Its stage, or `shared`.
        action: What the plan said.
        outcome: How it ended. "returned" means that the last good state was put back.
        reason: Why, in one line, where it is not done.
        goal: Digest of the spec that the object has now; None where it is gone, or not known.
        outputs: What it offers.
        health: How it was seen last.
        error: A bug of ours or of a driver, with its traceback.
    """

    address: Address
    stage: str
    action: Action
    outcome: Outcome
    reason: str = ""
    goal: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    health: Health | None = None
    error: BaseException | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, JSON]:
        """The result as the ledger keeps it."""
        value: dict[str, JSON] = {
            "address": str(self.address),
            "stage": self.stage,
            "action": self.action.value,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "goal": self.goal,
            "outputs": dict(self.outputs),
        }
        if self.health is not None:
            value["health"] = {"state": self.health.state.value, "reason": self.health.reason}
        return value


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of what happens while it happens."""

    address: Address
    phase: str
    text: str = ""


_CODES: Mapping[Outcome, Exit] = {
    Outcome.DONE: Exit.DONE,
    Outcome.FAILED: Exit.FAILED,
    Outcome.RETURNED: Exit.FAILED,
    Outcome.SKIPPED: Exit.DONE,
    Outcome.WAITING: Exit.WAITING,
    Outcome.PAUSED: Exit.WAITING,
    Outcome.BLOCKED: Exit.BLOCKED,
    Outcome.CANCELLED: Exit.INTERRUPTED,
}


def exit_code(results: tuple[Result, ...]) -> Exit:
    """The exit code of an apply: 8 where some changes were done and others failed."""
    codes = {_CODES[result.outcome] for result in results}
    if Exit.FAILED in codes and any(result.outcome is Outcome.DONE for result in results):
        codes = (codes - {Exit.FAILED}) | {Exit.PARTIAL}
    return worst(codes)
