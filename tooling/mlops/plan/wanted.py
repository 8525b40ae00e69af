"""Everything that one section is planned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops.plan.baseline import Baseline
from mlops.resource import Address, FieldRule, Observed, Resource, TrafficSupport


@dataclass(frozen=True, slots=True)
class Target:
    """What planning knows of a driver: how fields behave and what its traffic can do."""

    rules: tuple[FieldRule, ...] = ()
    traffic: TrafficSupport = TrafficSupport.NONE


@dataclass(frozen=True)
class Wanted:
    """Everything that one section is planned from.

    Attributes:
        project: The project's id.
        stage: The stage, or `shared`.
        resources: What is declared.
        observed: What is live in the scope of the drivers.
        baseline: What the ledger knows.
        targets: Per driver name, its rules and traffic.
        protect: Whether the stage refuses to delete what does not say itself whether it is protected.
        retry: Addresses whose denied goal is allowed again.
        in_use: Who uses a shared object, by address.
        present: Shared objects that will be there when the stage's turn comes.
        now: Epoch seconds.
    """

    project: str
    stage: str
    resources: tuple[Resource, ...]
    observed: tuple[Observed, ...]
    baseline: Baseline
    targets: Mapping[str, Target]
    protect: bool = False
    retry: frozenset[Address] = frozenset()
    in_use: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    present: Mapping[Address, str | None] = field(default_factory=dict)
    now: float = 0.0
