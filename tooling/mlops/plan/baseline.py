"""What the ledger of a stage knows, as planning needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlops.resource import Address, Spec


def _no_spec(_goal: str) -> Spec | None:
    return None


@dataclass(frozen=True, slots=True)
class RolloutState:
    """A rollout that has begun and not ended.

    Attributes:
        goal: Digest of the spec that it is on the way to.
        base: Digest of the spec that it started from; None where nothing was live.
        paused_until: Epoch seconds before which it must not go on; None where it is not paused.
        done: Whether the step that is live was checked and found good.
    """

    goal: str
    base: str | None
    paused_until: float | None = None
    done: bool = False

    def soaks(self, now: float) -> bool:
        """Whether the step that is live has to stay as it is for longer."""
        return self.paused_until is not None and self.paused_until > now


@dataclass(frozen=True, slots=True)
class Baseline:
    """The folded state of a stage's ledger.

    Attributes:
        exists: Whether there is a ledger at all.
        applied: Goal digest of what a finished run has left, by address.
        good: Goal digest that was last seen healthy, by address.
        denied: Goals that were returned from, with the reason, by address.
        rollouts: Rollouts under way, by address.
        intended: What a run that did not end was about to do: goal, or None for a deletion.
        spec: Looks up a spec by its goal digest; None where the ledger does not hold it.
    """

    exists: bool = False
    applied: Mapping[Address, str] = field(default_factory=dict)
    good: Mapping[Address, str] = field(default_factory=dict)
    denied: Mapping[Address, Mapping[str, str]] = field(default_factory=dict)
    rollouts: Mapping[Address, RolloutState] = field(default_factory=dict)
    intended: Mapping[Address, str | None] = field(default_factory=dict)
    spec: Callable[[str], Spec | None] = _no_spec
