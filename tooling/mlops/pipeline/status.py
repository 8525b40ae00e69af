"""`mlops status` and `mlops drift`: what is live, how it is, and what moved outside of Git."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from mlops.diff import BOTH, DRIFTED
from mlops.errors import Exit
from mlops.ledger import State
from mlops.pipeline.applying import origin_of
from mlops.pipeline.counting import Counts, collected
from mlops.pipeline.planning import Scopes, look_at, open_scopes, plan_seen
from mlops.pipeline.straying import strayed
from mlops.pipeline.view import View
from mlops.pipeline.workspace import StageScope, Workspace
from mlops.plan import Action, Change
from mlops.reports.values import time_text
from mlops.resource import JSON, Address, Event, FieldChange, FieldEffect, Health, HealthState, Observed


@dataclass(frozen=True)
class ObjectStatus:
    """One live object.

    Attributes:
        address: Which.
        stage: Its stage, or `shared`.
        serves: Per declared deployment, model and weight, such as "blue: digits:2 (100 %)"; empty for other kinds.
        health: How it is.
        goal: Digest of the spec that it was stamped for.
        since: Epoch seconds since when the ledger has it applied; None where it has not.
        outputs: What it offers.
        note: A rollout under way, or that it is not ours.
        collected: Of each deployment that collects data, how much; None where it does not say.
        settling: Whether the target is still on its way to what it was told.
    """

    address: Address
    stage: str
    serves: tuple[str, ...]
    health: Health
    goal: str | None
    since: float | None
    outputs: Mapping[str, str]
    note: str = ""
    collected: Counts = field(default_factory=dict)
    settling: bool = False


def _serves(observed: Observed) -> Iterator[str]:
    declared, traffic = observed.spec.get("deployments"), observed.spec.get("traffic")
    deployments = declared if isinstance(declared, Mapping) else {}
    weights = traffic if isinstance(traffic, Mapping) else {}
    for name, deployment in deployments.items():
        if not isinstance(deployment, Mapping):
            continue
        model = deployment.get("model")
        version = f"{model.get('name')}:{model.get('version')}" if isinstance(model, Mapping) else "no model"
        weight = weights.get(name, 100 if len(deployments) == 1 and not weights else 0)
        yield f"{deployment.get('deployment', name)}: {version} ({weight} %)"


def _note(observed: Observed, state: State) -> str:
    if observed.stamp is None:
        return "not made by this project"
    rollout = state.rollouts.get(observed.address)
    if rollout is None:
        return ""
    if rollout.paused_until is not None:
        return f"rollout paused until {time_text(rollout.paused_until)}"
    return f"rollout under way, step {rollout.step + 1}"


_GONE = Health(HealthState.FAILED, "gone from the target; the next apply creates it if it is declared")


def _scope_status(scope: StageScope) -> Iterator[ObjectStatus]:
    state = scope.ledger.state()
    seen: set[Address] = set()
    for driver in scope.drivers.values():
        live = list(driver.observe())
        counts = collected(driver, live)
        for observed in live:
            seen.add(observed.address)
            applied = state.applied.get(observed.address)
            yield ObjectStatus(
                observed.address,
                scope.stage,
                tuple(_serves(observed)),
                observed.health,
                observed.stamp.goal if observed.stamp is not None else None,
                applied.since if applied is not None else None,
                observed.outputs,
                _note(observed, state),
                counts.get(observed.address, {}),
                observed.settling,
            )
    for address, applied in state.applied.items():
        if address not in seen:
            yield ObjectStatus(address, scope.stage, (), _GONE, None, applied.since, {})


def status(workspace: Workspace, stage: str, *, shared: bool = False) -> tuple[ObjectStatus, ...]:
    """What is live in a stage, and what the ledger has applied there and is gone.

    Args:
        workspace: The opened repository.
        stage: The stage, or `shared`.
        shared: Add models and environments.
    """
    scopes = open_scopes(workspace, stage)
    found = list(_scope_status(scopes.stage)) if scopes.stage is not None else []
    if shared or scopes.stage is None:
        found += _scope_status(scopes.shared)
    return tuple(sorted(found, key=lambda s: (s.address.kind, s.address.name)))


@dataclass(frozen=True)
class Drift:
    """What moved outside of Git.

    Attributes:
        changes: Objects that differ from what was applied last; their fields say how.
        exit_code: 3 where there is drift.
    """

    changes: tuple[Change, ...]
    exit_code: Exit


def has_drifted(change: Change, applied: Mapping[Address, str], under_way: Mapping[Address, str]) -> bool:
    """Whether the live side moved: it is gone, carries another goal than was applied, or has other values.

    Args:
        change: The plan's decision about the object.
        applied: Goal that was applied last, by address.
        under_way: Goal of a rollout under way, by address: it is live in part, and that is meant.
    """
    was = applied.get(change.address)
    if was is None:
        return change.action is Action.BLOCKED and change.before is None and change.desired is not None
    if change.action is Action.CREATE:
        return True
    if change.before is not None and change.before not in (was, under_way.get(change.address)):
        return True
    return any(
        field.reason.startswith((DRIFTED, BOTH)) and field.effect is not FieldEffect.IGNORED for field in change.fields
    )


_IN_BETWEEN = f"{DRIFTED} while its rollout is under way"


def _drifted(changes: Iterable[Change], view: View, scope: StageScope) -> Iterator[Change]:
    state = scope.ledger.state()
    applied = {a: p.goal for a, p in state.applied.items()}
    under_way = {a: r.goal for a, r in state.rollouts.items()}
    live = {o.address: o for o in view.observed if o.address in under_way}
    for change in changes:
        fields: tuple[FieldChange, ...] = ()
        if (seen := live.get(change.address)) is not None:
            rules = view.targets[view.drivers[change.address]].rules
            fields = strayed(seen, state.rollouts[change.address], scope.ledger.spec, rules)
        if fields:
            yield replace(change, fields=fields, reason=_IN_BETWEEN)
        elif has_drifted(change, applied, under_way):
            yield change


def _observations(changes: list[Change], state: State) -> dict[str, JSON]:
    """What to append: the drift of each object, and None for one whose drift is over."""
    now: dict[str, JSON] = {
        str(c.address): {"reason": c.reason, "fields": [f.path for f in c.fields], "basis": c.basis} for c in changes
    }
    over: dict[str, JSON] = {str(a): None for a in state.observed if str(a) not in now}
    known = {str(a): dict(v) for a, v in state.observed.items()}
    return {**{a: v for a, v in now.items() if known.get(a) != v}, **over}


def _record(workspace: Workspace, scope: StageScope, drifted: list[Change]) -> None:
    news = _observations(drifted, scope.ledger.state())
    if news:
        scope.ledger.append(Event.OBSERVED, origin_of(workspace, "drift check"), body={"observed": news})


def drift(workspace: Workspace, stage: str, *, record: bool = False) -> Drift:
    """Compare what is live with what was applied last.

    Args:
        workspace: The opened repository.
        stage: The stage, or `shared`.
        record: Append an `observed` record where something changed since the last one.
    """
    scopes = open_scopes(workspace, stage)
    views = look_at(scopes)
    plan = plan_seen(workspace, scopes, views)
    found: list[Change] = []
    for section, scope, view in zip(plan.sections, _scopes(scopes), _seen(views), strict=True):
        drifted = list(_drifted(section.changes, view, scope))
        found += drifted
        if record:
            _record(workspace, scope, drifted)
    return Drift(tuple(found), Exit.DRIFT if found else Exit.DONE)


def _scopes(scopes: Scopes) -> tuple[StageScope, ...]:
    return (scopes.shared,) if scopes.stage is None else (scopes.shared, scopes.stage)


def _seen(views: tuple[View, View | None]) -> tuple[View, ...]:
    shared, stage = views
    return (shared,) if stage is None else (shared, stage)
