"""What a run that was killed has left to be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlops.plan.change import Action, Change
from mlops.resource import Address


def left_over(changes: Iterable[Change], intended: Mapping[Address, str | None]) -> dict[Address, str | None]:
    """Objects that a dead run was about to change, and on which nothing is left to do.

    Args:
        changes: The whole plan of the stage, as it is now.
        intended: What runs that did not end were about to do.

    Returns:
        The goal that is live, by address; None where nothing is.
    """
    now = {c.address: c for c in changes}
    found: dict[Address, str | None] = {}
    for address in intended:
        change = now.get(address)
        if change is None:
            found[address] = None
        elif change.action is Action.NONE:
            found[address] = change.before
    return found
