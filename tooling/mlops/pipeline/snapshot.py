"""`mlops snapshot`: what is live and what the ledger knows, so that a plan needs no credential and no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlops.errors import Diagnostic, InvalidPlan
from mlops.pipeline.planning import EVERYTHING, Selection, declared_for, look_at, open_scopes, plan_views
from mlops.pipeline.usage import declared_users_of
from mlops.pipeline.view import View
from mlops.pipeline.workspace import Workspace
from mlops.plan import Baseline, Plan, RolloutState
from mlops.plan.wanted import Target
from mlops.resource import JSON, Address, Health, HealthState, Observed, Spec, Stamp

SNAPSHOT_FORMAT = 1


@dataclass(frozen=True)
class Snapshot:
    """One stage and `shared` at a time, as JSON.

    Attributes:
        project: The project's id.
        stage: The stage.
        views: Per section, its live objects and what its ledger knows.
    """

    project: str
    stage: str
    views: tuple[Mapping[str, JSON], ...]

    def to_bytes(self) -> bytes:
        """The snapshot as a file."""
        value = {"format": SNAPSHOT_FORMAT, "project": self.project, "stage": self.stage, "views": list(self.views)}
        return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _observed_json(observed: Observed, driver: str) -> dict[str, JSON]:
    return {
        "address": str(observed.address),
        "driver": driver,
        "spec": observed.spec,
        "stamp": observed.stamp.to_json() if observed.stamp is not None else None,
        "health": {"state": observed.health.state.value, "reason": observed.health.reason},
    }


def _view_json(view: View) -> dict[str, JSON]:
    baseline = view.baseline
    goals = {o.stamp.goal for o in view.observed if o.stamp is not None}
    goals |= {r.base for r in baseline.rollouts.values() if r.base is not None}
    goals |= {goal for address, goal in baseline.good.items() if address in baseline.denied}
    specs = {goal: baseline.spec(goal) for goal in sorted(goals)}
    return {
        "stage": view.stage,
        "observed": [_observed_json(o, view.drivers[o.address]) for o in view.observed],
        "exists": baseline.exists,
        "applied": {str(a): g for a, g in baseline.applied.items()},
        "good": {str(a): g for a, g in baseline.good.items()},
        "denied": {str(a): dict(d) for a, d in baseline.denied.items()},
        "rollouts": {
            str(a): {"goal": r.goal, "base": r.base, "paused_until": r.paused_until, "done": r.done}
            for a, r in baseline.rollouts.items()
        },
        "specs": {goal: spec for goal, spec in specs.items() if spec is not None},
    }


def take_snapshot(workspace: Workspace, stage: str) -> Snapshot:
    """Observe a stage and `shared`, and read their ledgers.

    Raises:
        MlopsError: Something cannot be read.
    """
    views = [v for v in look_at(open_scopes(workspace, stage)) if v is not None]
    return Snapshot(workspace.project, stage, tuple(_view_json(v) for v in views))


def _mapping(value: object) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return value


def _health(value: object) -> Health:
    data = _mapping(value)
    return Health(HealthState(str(data["state"])), str(data["reason"]))


def _observed(value: object) -> tuple[Observed, str]:
    data = _mapping(value)
    address = Address.parse(str(data["address"]))
    stamp = Stamp.from_json(data["stamp"])
    return Observed(address, _mapping(data["spec"]), stamp, health=_health(data["health"])), str(data["driver"])


def _rollout(value: object) -> RolloutState:
    data = _mapping(value)
    base, until = data["base"], data["paused_until"]
    return RolloutState(
        str(data["goal"]),
        str(base) if base is not None else None,
        float(until) if isinstance(until, int | float) else None,
        data["done"] is True,
    )


def _baseline(data: Mapping[str, JSON]) -> Baseline:
    specs: dict[str, Spec] = {goal: _mapping(spec) for goal, spec in _mapping(data["specs"]).items()}
    return Baseline(
        exists=data["exists"] is True,
        applied={Address.parse(a): str(g) for a, g in _mapping(data["applied"]).items()},
        good={Address.parse(a): str(g) for a, g in _mapping(data["good"]).items()},
        denied={
            Address.parse(a): {g: str(r) for g, r in _mapping(d).items()} for a, d in _mapping(data["denied"]).items()
        },
        rollouts={Address.parse(a): _rollout(r) for a, r in _mapping(data["rollouts"]).items()},
        spec=specs.get,
    )


def _view(data: Mapping[str, JSON], targets: Mapping[str, Target]) -> View:
    items = data["observed"]
    pairs = [_observed(item) for item in items] if isinstance(items, list) else []
    names = {o.address: driver for o, driver in pairs}
    return View(str(data["stage"]), tuple(o for o, _ in pairs), names, _baseline(data), targets)


def read_snapshot(data: bytes, name: str = "the snapshot") -> Snapshot:
    """Read the bytes of a snapshot file.

    Raises:
        InvalidPlan: It is no snapshot, or of another version.
    """
    try:
        value = _mapping(json.loads(data))
        if value.get("format") != SNAPSHOT_FORMAT:
            problem = f"{name} has format {value.get('format')!r}; this toolkit reads format {SNAPSHOT_FORMAT}."
            raise InvalidPlan(Diagnostic("A snapshot of another version", problem))
        views = value["views"]
        items = tuple(_mapping(v) for v in views) if isinstance(views, list) else ()
        for item in items:
            _baseline(item)
        return Snapshot(str(value["project"]), str(value["stage"]), items)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        detail = f"{name}: {type(error).__name__}: {error}"
        raise InvalidPlan(Diagnostic("Not a snapshot", detail, todo="Take one:", command="mlops snapshot")) from error


def plan_from(workspace: Workspace, snapshot: Snapshot, selection: Selection = EVERYTHING) -> Plan:
    """Plan from a snapshot: no driver and no ledger is asked.

    Raises:
        InvalidPlan: The snapshot is of another project.
    """
    if snapshot.project != workspace.project:
        detail = f"It was taken of project {snapshot.project}; this is {workspace.project}."
        raise InvalidPlan(Diagnostic("The snapshot is of another project", detail))
    targets = workspace.targets()
    views = [_view(data, targets) for data in snapshot.views]
    declared = declared_for(workspace, snapshot.stage)

    def usage(orphans: frozenset[Address]) -> Mapping[Address, tuple[str, ...]]:
        return declared_users_of(workspace, orphans, unknown=frozenset(workspace.stages) - {snapshot.stage})

    return plan_views(workspace, declared, (views[0], views[1] if len(views) > 1 else None), usage, selection)
