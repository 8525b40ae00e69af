"""What to do about a change that is blocked, or that waits."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mlops.plan.change import Action, Change
from mlops.resource import FieldEffect, Kind


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, and a command to copy where one does it."""

    todo: str
    command: str = ""


_BLOCKED: Mapping[str, Remedy] = {
    "this goal was returned from before": Remedy(
        "It was found bad in this stage. Declare something else, or allow it again once its cause is mended:",
        "mlops apply --stage {stage} --retry {address}",
    ),
    "protected:": Remedy("If it is meant, set `protect: false` in the endpoint or the stage, in a commit of its own."),
    "an object of this name exists": Remedy("Take the object away by hand, or declare this one under another name."),
    "the live object carries a stamp of format": Remedy("Upgrade the toolkit to the version that the project uses."),
    "the live object carries the stamp of": Remedy("Take the copy away by hand, or take our stamp off it."),
    "the live object belongs to project": Remedy("Give this one another name, or another compute."),
    "the live object is ours but its ledger": Remedy(
        "Without the ledger, nobody knows what was applied:", "git fetch REMOTE ledger/{stage}:ledger/{stage}"
    ),
}


def _waiting(waits: tuple[str, ...], stage: str) -> Remedy | None:
    if any(wait.startswith("content of ") for wait in waits):
        return Remedy("Apply it where it was registered; or put the file beside the YAML, and write path, not files.")
    if any("(" in wait for wait in waits):
        return Remedy("It is declared, and something keeps it back: see to that first, and this goes on by itself.")
    missing = [wait for wait in waits if wait.startswith(("model/", "environment/"))]
    if not missing:
        soaks = any(wait.startswith("paused until") for wait in waits)
        return Remedy("The next apply goes on.", f"mlops apply --stage {shlex.quote(stage)}") if soaks else None
    kind, _, rest = missing[0].partition("/")
    reference = rest.partition(" ")[0]
    if kind == Kind.MODEL.value:
        name = reference.partition(":")[0]
        return Remedy(
            f"Register {reference}, or take it over from an outside registry with `mlops model adopt {reference}`:",
            f"mlops model register {shlex.quote(name)} FILE",
        )
    return Remedy(f"Declare {reference} in environments/{reference.replace(':', '/')}.yaml.")


def remedy(change: Change, stage: str) -> Remedy | None:
    """What to do about a change, where there is anything to do.

    Args:
        change: One decision of a plan.
        stage: The stage of its section.
    """
    if change.action is Action.WAIT:
        return _waiting(change.waits, stage)
    if change.action is not Action.BLOCKED:
        return None
    if any(field.effect is FieldEffect.IMMUTABLE for field in change.fields):
        return Remedy("Undo the edit, and declare a new version for the new content.")
    for beginning, found in _BLOCKED.items():
        if change.reason.startswith(beginning):
            address, quoted = shlex.quote(str(change.address)), shlex.quote(stage)
            return Remedy(found.todo, found.command.format(stage=quoted, address=address))
    return None
