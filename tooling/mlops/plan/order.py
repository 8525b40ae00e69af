"""The order of changes: what is needed first; deletions last and in reverse."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from mlops.errors import Diagnostic, InvalidRepository
from mlops.plan.change import Action, Change
from mlops.resource import Address, Kind

_RANK = {kind: rank for rank, kind in enumerate(Kind)}


def _key(address: Address) -> tuple[int, str]:
    return _RANK[address.kind], address.name


def ordered(changes: Mapping[Address, Change]) -> list[Change]:
    """Sort changes so that each follows what it needs; the same input gives the same order.

    Raises:
        InvalidRepository: Objects need each other in a circle.
    """
    kept = [c for c in changes.values() if c.action is not Action.DELETE]
    deleted = [c for c in changes.values() if c.action is Action.DELETE]
    rank = _ranks({c.address: c.desired.after if c.desired else frozenset() for c in kept})
    kept.sort(key=lambda c: (rank[c.address], _key(c.address)))
    deleted.sort(key=lambda c: _key(c.address), reverse=True)
    return [*kept, *deleted]


def _ranks(needs: Mapping[Address, frozenset[Address]]) -> dict[Address, int]:
    """How long the longest chain of needs below each address is."""
    if not any(needs.values()):
        return dict.fromkeys(needs, 0)
    inner = {address: [n for n in after if n in needs] for address, after in needs.items()}
    try:
        order = list(TopologicalSorter(inner).static_order())
    except CycleError as error:
        circle = " -> ".join(str(a) for a in error.args[1])
        raise InvalidRepository(
            Diagnostic("Objects need each other in a circle", circle, todo="Remove one of these references.")
        ) from error
    rank: dict[Address, int] = {}
    for address in order:
        rank[address] = 1 + max((rank[n] for n in inner[address]), default=-1)
    return rank
