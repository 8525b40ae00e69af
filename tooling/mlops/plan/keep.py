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


def stuck(changes: Iterable[Change]) -> list[Change]:
    """The changes that an apply would not do: they wait or are blocked."""
    return [c for c in changes if c.action in (Action.WAIT, Action.BLOCKED)]


def keep_needed(section: Section, undone: Iterable[Change]) -> Section:
    """Delete nothing that is still needed.

    Args:
        section: The section whose deletions are looked at.
        undone: Changes, also of other sections, that an apply of this plan would not do.
    """
    users = list(undone)
    if not users or not any(c.action is Action.DELETE for c in section.changes):
        return section
    return replace(section, changes=tuple(_kept(c, users) if c.action is Action.DELETE else c for c in section.changes))


def _kept(change: Change, users: Iterable[Change]) -> Change:
    names = ", ".join(str(c.address) for c in users if c.address != change.address and keeps(c, change))
    return replace(change, action=Action.NONE, reason=f"no longer declared, kept for {names}") if names else change
