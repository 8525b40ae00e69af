"""The three sides of one field, for people."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.reports.values import value_text
from mlops.resource import UNSET, FieldChange, FieldEffect
from mlops.rules import same


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One field as it is shown; texts may hold anything that prints.

    Attributes:
        path: Dotted path.
        values: `live → declared`, or what is kept where the difference is suppressed.
        applied: What was applied last, where the other two do not say it.
        effect: What making it so does, or "kept".
        reason: Why it differs, and which rule holds.
    """

    path: str
    values: str
    applied: str
    effect: str
    reason: str


def field_line(field: FieldChange, limit: int = 48) -> FieldLine:
    """Write one field.

    Args:
        field: A difference between what is declared, applied and live.
        limit: Characters for each value.
    """
    live, declared = value_text(field.live, limit), value_text(field.declared, limit)
    kept = field.effect is FieldEffect.IGNORED
    said = any(same(field.applied, side) for side in (UNSET, field.live, field.declared))
    applied = "" if said else f"last applied {value_text(field.applied, limit)}"
    values = f"{live} stays, declared {declared}" if kept else f"{live} → {declared}"
    return FieldLine(field.path, values, applied, "kept" if kept else field.effect.value, field.reason)
