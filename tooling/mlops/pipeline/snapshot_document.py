"""The shape of a snapshot file: versioned JSON, read strictly, because it may come from somebody else's hand.

Pydantic stands at this edge only; inside, a snapshot is made of the engine's own values.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mlops.plan import Baseline, RolloutState
from mlops.plan.document import AddressText, Digest
from mlops.resource import Address, Health, HealthState, Observed, Spec, Stamp


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HealthDocument(_Document):
    """How an object is."""

    state: HealthState
    """One of five."""
    reason: str
    """One line."""


class StampDocument(_Document):
    """Proof of ownership; of a newer format it may hold more, and the plan refuses it then."""

    model_config = ConfigDict(extra="ignore")

    format: int
    """Version of the stamp."""
    project: str
    """The project's id."""
    stage: str
    """The stage, or shared."""
    address: str
    """Of the object that it was written for."""
    goal: str
    """Digest of the spec that it was written for."""

    def value(self) -> Stamp:
        """The stamp."""
        return Stamp(self.project, self.stage, self.address, self.goal, self.format)


class ObservedDocument(_Document):
    """One live object."""

    address: AddressText
    """Which object."""
    driver: str
    """Who observed it."""
    spec: dict[str, JsonValue]
    """What it is."""
    stamp: StampDocument | None
    """Whose it is; null where it is nobody's."""
    health: HealthDocument
    """How it is."""

    def value(self) -> Observed:
        """The live object."""
        stamp = self.stamp.value() if self.stamp is not None else None
        health = Health(self.health.state, self.health.reason)
        return Observed(Address.parse(self.address), self.spec, stamp, health=health)


class RolloutDocument(_Document):
    """A rollout under way."""

    goal: Digest
    """Of the spec that it is on the way to."""
    base: Digest | None
    """Of the spec that it started from."""
    paused_until: float | None
    """Epoch seconds."""
    done: bool
    """Whether the step that is live was found good."""


class ViewDocument(_Document):
    """One stage, or shared: what is live, and what its ledger knows."""

    stage: str
    """The stage."""
    observed: list[ObservedDocument]
    """What is live."""
    exists: bool
    """Whether there is a ledger."""
    applied: dict[AddressText, Digest]
    """Goals that were applied last."""
    good: dict[AddressText, Digest]
    """Goals that were last seen healthy."""
    denied: dict[AddressText, dict[Digest, str]]
    """Goals that were returned from, with the reason."""
    rollouts: dict[AddressText, RolloutDocument]
    """Rollouts under way."""
    intended: dict[AddressText, Digest | None]
    """Goals that runs which did not end were about to apply; null for a deletion."""
    specs: dict[Digest, dict[str, JsonValue]]
    """Specs by goal, as far as a plan needs them."""

    def baseline(self) -> Baseline:
        """What the ledger knows."""
        specs: dict[str, Spec] = dict(self.specs)
        rollouts = {a: RolloutState(r.goal, r.base, r.paused_until, r.done) for a, r in self.rollouts.items()}
        return Baseline(
            exists=self.exists,
            applied={Address.parse(a): goal for a, goal in self.applied.items()},
            good={Address.parse(a): goal for a, goal in self.good.items()},
            denied={Address.parse(a): goals for a, goals in self.denied.items()},
            rollouts={Address.parse(a): rollout for a, rollout in rollouts.items()},
            intended={Address.parse(a): goal for a, goal in self.intended.items()},
            spec=specs.get,
        )


class SnapshotDocument(_Document):
    """A stage and shared at a time."""

    format: Literal[1]
    """Version of this format."""
    project: str
    """The project's id."""
    stage: str
    """The stage."""
    views: Annotated[list[ViewDocument], Field(min_length=1, max_length=2)]
    """Shared first, then the stage where it is another."""
