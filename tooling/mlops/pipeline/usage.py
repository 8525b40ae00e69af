"""Who uses a model or an environment: what is declared, applied or live in any stage.

What cannot be asked counts as a user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops.errors import MlopsError
from mlops.pipeline.workspace import Workspace
from mlops.plan.live import uses_of
from mlops.resource import Address, Observed


def _declared(workspace: Workspace, stage: str) -> Iterable[tuple[str, frozenset[Address]]]:
    for resource in workspace.resolved(stage).resources:
        waits = frozenset(Address.parse(w) for w in resource.waits)
        yield f"{resource.address} as {stage} declares it", resource.after | waits


def _applied(workspace: Workspace, stage: str) -> Iterable[tuple[str, frozenset[Address]]]:
    """What the ledger holds as applied, as last good, or as the base of a rollout; and what is live."""
    scope = workspace.stage(stage, workspace.resolved(stage))
    state = scope.ledger.state()
    goals = {(a, p.goal) for a, p in state.applied.items()} | set(state.good.items())
    goals |= {(a, p.base) for a, p in state.rollouts.items() if p.base is not None}
    specs = scope.ledger.specs(goal for _address, goal in goals)
    for address, goal in sorted(goals):
        spec = specs.get(goal)
        if spec is not None:
            yield f"{address} as {stage} last applied it", uses_of(Observed(address, spec, None))
    for driver in scope.drivers.values():
        for observed in driver.observe():
            yield f"{observed.address}, live in {stage}", uses_of(observed)


def _users(workspace: Workspace, stage: str, planned: str | None) -> Iterable[tuple[str, frozenset[Address]]]:
    yield from _declared(workspace, stage)
    if stage != planned:
        yield from _applied(workspace, stage)


def users_of(
    workspace: Workspace, objects: frozenset[Address], *, planned: str | None = None
) -> Mapping[Address, tuple[str, ...]]:
    """Name the users of shared objects over all stages.

    Args:
        workspace: The opened repository.
        objects: Models and environments to ask about.
        planned: A stage whose live objects are about to become as declared, so only what it declares counts.
    """
    found: dict[Address, list[str]] = {}
    for stage in workspace.stages:
        try:
            users = list(_users(workspace, stage, planned))
        except MlopsError as error:
            users = [(f"stage {stage}, which cannot be asked: {error}", objects)]
        for user, used in users:
            for address in used & objects:
                found.setdefault(address, []).append(user)
    return {address: tuple(dict.fromkeys(users)) for address, users in found.items()}


def declared_users_of(
    workspace: Workspace, objects: frozenset[Address], *, unknown: frozenset[str]
) -> Mapping[Address, tuple[str, ...]]:
    """Name the users that declarations alone tell of; a stage that cannot be asked is a user of everything.

    Args:
        workspace: The opened repository.
        objects: Models and environments to ask about.
        unknown: Stages of which nothing but the declaration is known.
    """
    found: dict[Address, list[str]] = {a: [f"stage {s}, which was not asked" for s in sorted(unknown)] for a in objects}
    for stage in workspace.stages:
        for user, used in _declared(workspace, stage):
            for address in used & objects:
                found[address].append(user)
    return {address: tuple(users) for address, users in found.items() if users}
