"""What planning reads: live objects and what the ledger knows, taken now or from a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops.ledger import Ledger, State
from mlops.pipeline.workspace import StageScope
from mlops.plan.baseline import Baseline, RolloutState
from mlops.plan.wanted import Target
from mlops.resource import Address, Observed


@dataclass(frozen=True)
class View:
    """One stage, or `shared`, as it is.

    Attributes:
        stage: The stage.
        observed: What is live.
        drivers: Per live address, the name of the driver that observed it.
        baseline: What the ledger knows.
        targets: What planning knows of the drivers.
    """

    stage: str
    observed: tuple[Observed, ...]
    drivers: Mapping[Address, str]
    baseline: Baseline
    targets: Mapping[str, Target]


def baseline_of(ledger: Ledger, state: State, *, exists: bool) -> Baseline:
    """The ledger's folded state as planning needs it."""
    return Baseline(
        exists=exists,
        applied={address: applied.goal for address, applied in state.applied.items()},
        good=state.good,
        denied=state.denied,
        rollouts={a: RolloutState(p.goal, p.base, p.paused_until, p.done) for a, p in state.rollouts.items()},
        intended=state.intended,
        spec=ledger.spec,
    )


def look(scope: StageScope) -> View:
    """Observe every driver of a scope and read its ledger."""
    tip = scope.ledger.tip()
    state = tip.state if tip is not None else scope.ledger.state()
    observed: list[Observed] = []
    names: dict[Address, str] = {}
    for name, driver in scope.drivers.items():
        for item in driver.observe():
            observed.append(item)
            names[item.address] = name
    baseline = baseline_of(scope.ledger, state, exists=tip is not None)
    return View(scope.stage, tuple(observed), names, baseline, scope.targets)
