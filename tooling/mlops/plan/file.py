"""Write a plan to bytes and read it back, strictly. The same plan always gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops.errors import Diagnostic, InvalidPlan, Location
from mlops.plan.change import PLAN_FORMAT, Action, Change, Digests, Plan, Section
from mlops.plan.digests import digests_of
from mlops.resource import (
    JSON,
    UNSET,
    Address,
    Artifact,
    Checks,
    FieldChange,
    Health,
    Resource,
    Rollout,
)
from mlops.rollout import Step

if TYPE_CHECKING:
    from mlops.plan.document import ChangeDocument, FieldDocument, PlanDocument, ResourceDocument

LIMIT = 256 * 1024 * 1024
"""The largest plan file that is read, in bytes."""


def _field_json(field: FieldChange) -> dict[str, JSON]:
    sides = {"declared": field.declared, "applied": field.applied, "live": field.live}
    present: dict[str, JSON] = {k: v for k, v in sides.items() if v is not UNSET}
    return {"path": field.path, **present, "effect": field.effect.value, "reason": field.reason}


def _rollout_json(rollout: Rollout) -> dict[str, JSON]:
    checks = rollout.checks
    return {
        "strategy": rollout.strategy,
        "weights": list(rollout.weights),
        "soak": rollout.soak,
        "checks": {
            "sample_request": checks.sample_request,
            "max_error_rate": checks.max_error_rate,
            "min_requests": checks.min_requests,
            "deadline": checks.deadline,
        },
    }


def _resource_json(resource: Resource) -> dict[str, JSON]:
    return {
        "spec": resource.spec,
        "after": [str(a) for a in sorted(resource.after)],
        "protect": resource.protect,
        "rollout": _rollout_json(resource.rollout),
        "artifacts": [{"sha256": a.sha256, "source": a.source, "size": a.size} for a in resource.artifacts],
        "origin": resource.origin.file if resource.origin is not None else None,
        "timeout": resource.timeout,
    }


def _step_json(step: Step) -> dict[str, JSON]:
    return {
        "title": step.title,
        "spec": step.spec,
        "weight": step.weight,
        "soak": step.soak,
        "check": list(step.check),
        **({"soaked": True} if step.soaked else {}),
    }


def change_to_json(change: Change) -> dict[str, JSON]:
    """One change as JSON; what says nothing is left out."""
    value: dict[str, JSON] = {
        "address": str(change.address),
        "action": change.action.value,
        "reason": change.reason,
        "driver": change.driver,
        "basis": change.basis,
        "before": change.before,
        "goal": change.goal,
    }
    if change.fields:
        value["fields"] = [_field_json(f) for f in change.fields]
    if change.waits:
        value["waits"] = list(change.waits)
    if change.uses:
        value["uses"] = [str(a) for a in sorted(change.uses)]
    if change.health is not None:
        value["health"] = {"state": change.health.state.value, "reason": change.health.reason}
    if change.steps:
        value["steps"] = [_step_json(s) for s in change.steps]
        value["start"] = change.start
        value["start_goal"] = change.start_goal
    if change.desired is not None and change.action is not Action.NONE:
        value["desired"] = _resource_json(change.desired)
    return value


def plan_to_json(plan: Plan) -> dict[str, JSON]:
    """The whole plan as JSON, as `schemas/plan.schema.json` describes it."""
    selections = {"only": plan.only, "retry": plan.retry}
    return {
        "format": PLAN_FORMAT,
        "project": plan.project,
        "stage": plan.stage,
        **{name: [str(a) for a in addresses] for name, addresses in selections.items() if addresses},
        "revision": dict(plan.revision),
        "digests": {"goal": plan.digests.goal, "effect": plan.digests.effect, "basis": plan.digests.basis},
        "sections": [
            {"stage": s.stage, "live": s.live, "changes": [change_to_json(c) for c in s.changes]} for s in plan.sections
        ],
    }


def write_plan(plan: Plan) -> bytes:
    """The plan as the bytes of a plan file."""
    return (json.dumps(plan_to_json(plan), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _field(document: FieldDocument) -> FieldChange:
    sides = {
        k: getattr(document, k) if k in document.model_fields_set else UNSET for k in ("declared", "applied", "live")
    }
    return FieldChange(document.path, **sides, effect=document.effect, reason=document.reason)


def _resource(address: Address, driver: str, document: ResourceDocument) -> Resource:
    rollout = document.rollout
    checks = Checks(**rollout.checks.model_dump())
    return Resource(
        address,
        driver,
        document.spec,
        frozenset(Address.parse(a) for a in document.after),
        protect=document.protect,
        rollout=Rollout(rollout.strategy, tuple(rollout.weights), rollout.soak, checks),
        artifacts=tuple(Artifact(a.sha256, a.source, a.size) for a in document.artifacts),
        origin=Location(document.origin) if document.origin is not None else None,
        timeout=document.timeout,
    )


def _change(document: ChangeDocument) -> Change:
    address = Address.parse(document.address)
    health = document.health
    return Change(
        address,
        document.action,
        document.reason,
        document.driver,
        fields=tuple(_field(f) for f in document.fields),
        steps=tuple(Step(s.title, s.spec, s.weight, s.soak, tuple(s.check), s.soaked) for s in document.steps),
        start=document.start,
        start_goal=document.start_goal,
        waits=tuple(document.waits),
        uses=frozenset(Address.parse(a) for a in document.uses),
        desired=_resource(address, document.driver, document.desired) if document.desired is not None else None,
        basis=document.basis,
        before=document.before,
        goal=document.goal,
        health=Health(health.state, health.reason) if health is not None else None,
    )


def _plan(document: PlanDocument) -> Plan:
    sections = tuple(Section(s.stage, tuple(_change(c) for c in s.changes), s.live) for s in document.sections)
    digests = Digests(document.digests.goal, document.digests.effect, document.digests.basis)
    only = tuple(Address.parse(a) for a in document.only)
    retry = tuple(Address.parse(a) for a in document.retry)
    return Plan(document.project, document.stage, sections, digests, document.revision, only, retry)


def _parse(data: bytes, name: str) -> object:
    if len(data) > LIMIT:
        raise InvalidPlan(Diagnostic("Not a plan file", f"{name} is larger than {LIMIT} bytes."))
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidPlan(
            Diagnostic(
                "Not a plan file",
                f"{name} is not JSON: {error}.",
                todo="Make it with:",
                command="mlops plan --out FILE",
            )
        ) from error


def read_plan(data: bytes, name: str = "the plan") -> Plan:
    """Read the bytes of a plan file.

    Args:
        data: The file's content.
        name: How to call it in errors.

    Raises:
        InvalidPlan: It is no plan, of another version, holds an unknown field, or was edited after it was made.
    """
    value = _parse(data, name)
    version = value.get("format") if isinstance(value, Mapping) else None
    if version != PLAN_FORMAT:
        raise InvalidPlan(
            Diagnostic(
                "A plan of another version",
                f"{name} has format {version!r}; this toolkit reads format {PLAN_FORMAT}.",
                todo="Plan again with this toolkit:",
                command="mlops plan --out FILE",
            )
        )
    from pydantic import ValidationError  # noqa: PLC0415 - only reading a plan file needs it

    from mlops.plan.document import PlanDocument  # noqa: PLC0415

    try:
        plan = _plan(PlanDocument.model_validate(value))
    except ValidationError as error:
        problems = [
            Diagnostic("Not a plan file", f"{'.'.join(map(str, e['loc']))}: {e['msg']}", Location(name))
            for e in error.errors()[:20]
        ]
        raise InvalidPlan(*problems) from error
    if digests_of(plan.sections) != plan.digests:
        raise InvalidPlan(
            Diagnostic(
                "The plan was edited",
                f"The content of {name} does not have the digests that it states.",
                todo="A plan is made by the toolkit and never by hand; plan again:",
                command="mlops plan --out FILE",
            )
        )
    return plan
