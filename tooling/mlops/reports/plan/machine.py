"""Changes for machines, where a report holds less than a whole plan."""

from __future__ import annotations

from mlops.plan.change import Change
from mlops.resource import JSON, UNSET, FieldChange


def field_json(field: FieldChange) -> dict[str, JSON]:
    """One field; a side that is not set has no key, because null is a value."""
    sides = {"declared": field.declared, "applied": field.applied, "live": field.live}
    known = {name: value for name, value in sides.items() if not isinstance(value, type(UNSET))}
    return {"path": field.path, **known, "effect": field.effect.value, "reason": field.reason}


def change_json(change: Change) -> dict[str, JSON]:
    """One decision: what, why, and which fields."""
    return {
        "address": str(change.address),
        "action": change.action.value,
        "reason": change.reason,
        "waits": list(change.waits),
        "before": change.before,
        "goal": change.goal,
        "fields": [field_json(field) for field in change.fields],
    }
