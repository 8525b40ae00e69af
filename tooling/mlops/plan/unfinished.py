"""What a run that was killed has left to be done, and to be written down."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from mlops.plan.change import Action, Change
from mlops.plan.wanted import Wanted
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


def remains(wanted: Wanted, known: Container[Address]) -> Iterator[Change]:
    """Deletions of objects that the ledger knows, and that are neither declared nor live.

    A run that was killed in a deletion, or a target that lost the object, may have left parts of it that are not seen:
    deleting is repeated until a run has recorded it as done.

    Args:
        wanted: Everything that the section is planned from.
        known: What is declared or live.
    """
    baseline = wanted.baseline
    for address in sorted(a for a in {*baseline.applied, *baseline.intended} if a not in known):
        compute = address.compute
        if compute is not None and compute in wanted.targets:
            reason = "no longer declared, and not live: what may be left of it is cleared away"
            yield Change(address, Action.DELETE, reason, compute)
