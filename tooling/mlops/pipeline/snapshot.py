"""`mlops snapshot`: what is live and what the ledger knows, so that a plan needs no credential and no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops.errors import Diagnostic, InvalidPlan, Location
from mlops.pipeline.planning import EVERYTHING, Selection, declared_for, look_at, open_scopes, plan_views
from mlops.pipeline.usage import declared_users_of
from mlops.pipeline.view import View
from mlops.pipeline.workspace import Workspace
from mlops.plan import Baseline, Plan
from mlops.resource import JSON, SHARED, Address, Observed

if TYPE_CHECKING:
    from mlops.pipeline.snapshot_document import ViewDocument

SNAPSHOT_FORMAT = 1

_TAKE = "Take one:"
_COMMAND = "mlops snapshot --out FILE"


@dataclass(frozen=True)
class Seen:
    """One stage, or `shared`, as it was.

    Attributes:
        stage: The stage.
        observed: What was live.
        drivers: Per live address, the name of the driver that observed it.
        baseline: What the ledger knew.
    """

    stage: str
    observed: tuple[Observed, ...]
    drivers: Mapping[Address, str]
    baseline: Baseline


@dataclass(frozen=True)
class Snapshot:
    """One stage and `shared` at a time.

    Attributes:
        project: The project's id.
        stage: The stage.
        views: `shared` first, then the stage where it is another.
    """

    project: str
    stage: str
    views: tuple[Seen, ...]

    def to_bytes(self) -> bytes:
        """The snapshot as a file."""
        views: list[JSON] = [_view_json(view) for view in self.views]
        value = {"format": SNAPSHOT_FORMAT, "project": self.project, "stage": self.stage, "views": views}
        return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _observed_json(observed: Observed, driver: str) -> dict[str, JSON]:
    return {
        "address": str(observed.address),
        "driver": driver,
        "spec": observed.spec,
        "stamp": observed.stamp.to_json() if observed.stamp is not None else None,
        "health": {"state": observed.health.state.value, "reason": observed.health.reason},
    }


def _view_json(view: Seen) -> dict[str, JSON]:
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
        "intended": {str(a): g for a, g in baseline.intended.items()},
        "specs": {goal: spec for goal, spec in specs.items() if spec is not None},
    }


def take_snapshot(workspace: Workspace, stage: str) -> Snapshot:
    """Observe a stage and `shared`, and read their ledgers.

    Raises:
        MlopsError: Something cannot be read.
    """
    views = (v for v in look_at(open_scopes(workspace, stage)) if v is not None)
    seen = tuple(Seen(v.stage, v.observed, v.drivers, v.baseline) for v in views)
    return Snapshot(workspace.project, stage, seen)


def _parse(data: bytes, name: str) -> Mapping[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidPlan(_not_a_snapshot(name, f"It is not JSON: {error}.")) from error
    if not isinstance(value, Mapping):
        raise InvalidPlan(_not_a_snapshot(name, "It is no JSON object."))
    if value.get("format") != SNAPSHOT_FORMAT or "views" not in value:
        problem = f"{name} has format {value.get('format')!r}; this toolkit reads format {SNAPSHOT_FORMAT}."
        other = Diagnostic("A snapshot of another version", problem, todo=_TAKE, command=_COMMAND)
        raise InvalidPlan(other if "views" in value else _not_a_snapshot(name, "It holds no views."))
    return value


def _not_a_snapshot(name: str, detail: str) -> Diagnostic:
    return Diagnostic("Not a snapshot", detail, Location(name), _TAKE, _COMMAND)


def read_snapshot(data: bytes, name: str = "the snapshot") -> Snapshot:
    """Read the bytes of a snapshot file.

    Raises:
        InvalidPlan: It is no snapshot, of another version, or holds an unknown field.
    """
    value = _parse(data, name)
    from pydantic import ValidationError  # noqa: PLC0415 - only reading a snapshot needs it

    from mlops.pipeline.snapshot_document import SnapshotDocument  # noqa: PLC0415

    try:
        document = SnapshotDocument.model_validate(value)
        views = tuple(_seen(view) for view in document.views)
    except ValidationError as error:
        problems = [_not_a_snapshot(name, f"{'.'.join(map(str, e['loc']))}: {e['msg']}.") for e in error.errors()[:20]]
        raise InvalidPlan(*problems) from error
    stages = [view.stage for view in views]
    if stages != list(dict.fromkeys((SHARED, document.stage))):
        detail = f"It is called one of stage {document.stage}, and holds {', '.join(stages)}."
        raise InvalidPlan(_not_a_snapshot(name, detail))
    return Snapshot(document.project, document.stage, views)


def _seen(document: ViewDocument) -> Seen:
    pairs = [(item.value(), item.driver) for item in document.observed]
    names = {observed.address: driver for observed, driver in pairs}
    return Seen(document.stage, tuple(observed for observed, _ in pairs), names, document.baseline())


def plan_from(
    workspace: Workspace, snapshot: Snapshot, selection: Selection = EVERYTHING, *, stage: str | None = None
) -> Plan:
    """Plan from a snapshot: no driver and no ledger is asked.

    Args:
        workspace: The opened repository.
        snapshot: What was live.
        selection: What to narrow to.
        stage: The stage that is meant; None: that of the snapshot.

    Raises:
        InvalidPlan: The snapshot is of another project, or of another stage.
    """
    if snapshot.project != workspace.project:
        detail = f"It was taken of project {snapshot.project}; this is {workspace.project}."
        raise InvalidPlan(Diagnostic("The snapshot is of another project", detail, todo=_TAKE, command=_COMMAND))
    if stage not in (None, snapshot.stage):
        detail = f"It was taken of stage {snapshot.stage}, and stage {stage} is asked for."
        command = f"mlops snapshot --stage {stage} --out FILE"
        raise InvalidPlan(Diagnostic("The snapshot is of another stage", detail, todo=_TAKE, command=command))
    targets = workspace.targets()
    views = [View(v.stage, v.observed, v.drivers, v.baseline, targets) for v in snapshot.views]
    declared = declared_for(workspace, snapshot.stage)

    def usage(orphans: frozenset[Address]) -> Mapping[Address, tuple[str, ...]]:
        return declared_users_of(workspace, orphans, unknown=frozenset(workspace.stages) - {snapshot.stage})

    return plan_views(workspace, declared, (views[0], views[1] if len(views) > 1 else None), usage, selection)
