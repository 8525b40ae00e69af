"""What live deployments say of the data that they collect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mlops.driver import Collected, Counting, Driver
from mlops.resource import JSON, Address, Observed

Counts = Mapping[str, Collected | None]
"""By the declared name of a deployment, or its live name where two live ones share that; None: it does not say."""


def collected(driver: Driver, live: Sequence[Observed]) -> Mapping[Address, Counts]:
    """Ask the endpoints that collect data, and no others.

    Args:
        driver: Of their compute.
        live: What is live there.
    """
    names = {observed.address: found for observed in live if (found := _collecting(observed))}
    if not names or not isinstance(driver, Counting):
        return {}
    said = driver.counted(frozenset(names))
    return {
        address: {shown: said.get(address, {}).get(live_name) for live_name, shown in found.items()}
        for address, found in names.items()
    }


def _collecting(observed: Observed) -> Mapping[str, str]:
    """The deployments that collect, by live name, as they are shown."""
    deployments = _mapping(observed.spec.get("deployments"))
    declared = {name: str(_mapping(one).get("deployment", name)) for name, one in deployments.items()}
    shared = Counter(declared.values())
    return {
        name: shown if shared[shown] == 1 else name
        for name, shown in declared.items()
        if _is_on(_mapping(_mapping(deployments[name]).get("data_collector")))
    }


def _is_on(collector: Mapping[str, JSON]) -> bool:
    collections = _mapping(collector.get("collections")).values()
    return any(_mapping(one).get("enabled", True) is not False for one in collections)


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}
