"""Whether two plans do the same to the same: what staleness is made of."""

from __future__ import annotations

from mlops.errors import Diagnostic
from mlops.plan.change import ABSENT, EFFECTIVE, Change, Plan


def _view(change: Change | None) -> object:
    return None if change is None else (change.action, change.basis, change.goal, change.steps)


def _why(before: Change | None, now: Change | None) -> str:
    if before is None or now is None:
        return "is in one of the two plans only"
    if before.goal != now.goal:
        return "is declared otherwise in Git now"
    if before.basis != now.basis:
        if ABSENT in (before.basis, now.basis):
            return "was not live when it was planned and is now" if before.basis == ABSENT else "is not live any more"
        return "was changed on its target since it was planned"
    if before.action is not now.action:
        return f"would be {now.action} now ({now.reason}) and was planned as {before.action}"
    return "would be changed in other steps now: the ledger moved on"


def moved(reviewed: Plan, now: Plan) -> tuple[Diagnostic, ...]:
    """Why a reviewed plan is not what would be done now; empty where it is."""
    if (reviewed.project, reviewed.stage) != (now.project, now.stage):
        detail = (
            f"It was made for project {reviewed.project}, stage {reviewed.stage}; this is {now.project}, {now.stage}."
        )
        return (
            Diagnostic(
                "The plan is for another stage",
                detail,
                todo="Apply it in its own project, and name its stage or none.",
                command=f"mlops apply --stage {reviewed.stage} FILE",
            ),
        )
    if reviewed.digests.effect == now.digests.effect and reviewed.digests.basis == now.digests.basis:
        return ()
    before = {(s.stage, c.address): c for s in reviewed.sections for c in s.changes}
    after = {(s.stage, c.address): c for s in now.sections for c in s.changes}
    found = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if not any(c is not None and c.action in EFFECTIVE for c in (old, new)):
            continue
        if _view(old) != _view(new):
            found.append(f"{key[1]} {_why(old, new)}")
    detail = "; ".join(found[:10]) or "the ledger moved on"
    return (
        Diagnostic(
            "The plan is stale",
            f"Since it was made: {detail}.",
            todo="Nothing was changed. Plan again and look at it:",
            command=f"mlops plan --stage {now.stage}",
        ),
    )
