"""What may not be deleted yet, because a change that is not done still needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlops.plan.change import Action, Change, Section
from mlops.resource import Address, Kind


def _stem(address: Address) -> str:
    return address.name.partition("@")[0]


def keeps(change: Change, other: Change) -> bool:
    """Whether `change`, as long as it is not done, needs the object that `other` deletes.

    It does where its live object or its wanted one refers to it, and where it is the same endpoint on another compute.
    """
    if other.address in change.uses or (change.desired is not None and other.address in change.desired.after):
        return True
    moved = change.address.kind is Kind.ENDPOINT and other.address.kind is Kind.ENDPOINT
    return moved and _stem(change.address) == _stem(other.address) and change.action is not Action.DELETE


def keep_needed(section: Section, changes: Iterable[Change], left_out: Iterable[Change] = ()) -> Section:
    """Delete nothing that is still needed: by what waits, is blocked or is left out, or by what is going to be live.

    Args:
        section: The section whose deletions are looked at.
        changes: The changes of the plan, also of other sections.
        left_out: Changes that an apply of the plan would not do.
    """
    if not any(c.action is Action.DELETE for c in section.changes):
        return section
    planned = list(changes)
    undone = [*left_out, *(c for c in planned if c.action in (Action.WAIT, Action.BLOCKED))]
    wanted: dict[Address, list[Address]] = {}
    for change in planned:
        for needed in change.desired.after if change.desired is not None else ():
            wanted.setdefault(needed, []).append(change.address)

    def kept(change: Change) -> Change:
        users = [*wanted.get(change.address, ()), *(c.address for c in undone if keeps(c, change))]
        names = ", ".join(str(a) for a in sorted(set(users) - {change.address}))
        return replace(change, action=Action.NONE, reason=f"no longer declared, kept for {names}") if names else change

    return replace(section, changes=tuple(kept(c) if c.action is Action.DELETE else c for c in section.changes))
