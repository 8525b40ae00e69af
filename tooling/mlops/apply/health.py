"""Waiting for health: one loop for every kind on every compute."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mlops.clock import Clock
from mlops.driver import Driver
from mlops.errors import Diagnostic, Interrupted, TargetError
from mlops.resource import Address, HealthState, Kind, Observed

TIMEOUTS = {Kind.ENDPOINT: 300.0, Kind.INFRA: 3600.0, Kind.IMAGE: 1800.0}
"""Seconds to wait for health by kind; kinds that are absent here are healthy once they are put."""

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class Watch:
    """What waiting needs: where to look, the time, and whether to stop."""

    address: Address
    driver: Driver
    clock: Clock
    stop: threading.Event

    def look(self) -> Observed | None:
        """The live object now."""
        return next((o for o in self.driver.observe(frozenset({self.address})) if o.address == self.address), None)

    def looks(self, deadline: float) -> Iterator[Observed | None]:
        """Look at once, and again ever more rarely, down to once a second, until the deadline in seconds of uptime.

        A target that does not answer is asked again: it may be busy with the very change that is waited for.

        Raises:
            Interrupted: The user asked to stop.
            TargetError: It did not answer when it was asked last.
        """
        pause = _FIRST_PAUSE
        while True:
            trouble: TargetError | None = None
            try:
                found = self.look()
            except TargetError as error:
                trouble = error
            else:
                yield found
            left = deadline - self.clock.uptime()
            if left <= 0:
                break
            if self.clock.wait(self.stop, min(pause, left)):
                raise Interrupted(Diagnostic("Stopped on request", f"{self.address} was still changing."))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        if trouble is not None:
            raise trouble


class Unhealthy(Exception):
    """An object did not become or stay healthy."""

    def __init__(self, reason: str, observed: Observed | None) -> None:
        """Keep the reason and what was seen last."""
        super().__init__(reason)
        self.observed = observed


def _settled(observed: Observed | None, expects: Callable[[Observed], bool], deployments: Sequence[str]) -> bool:
    if observed is None:
        return False
    health = observed.health_of(deployments)
    if health.state is HealthState.FAILED:
        raise Unhealthy(health.reason or "it failed", observed)
    return health.state is HealthState.HEALTHY and expects(observed)


def wait_healthy(
    watch: Watch, timeout: float, expects: Callable[[Observed], bool], deployments: Sequence[str] = ()
) -> Observed:
    """Look until the object is as expected and healthy.

    Args:
        watch: Where to look.
        timeout: Seconds.
        expects: Whether what was put has arrived.
        deployments: Live names of those that have to be healthy, and no others: a version that is sick already must not
            keep the one that replaces it from coming. None named: the whole object.

    Raises:
        Unhealthy: It failed, or was not healthy in time.
        Interrupted: The user asked to stop.
        TargetError: The target does not say.
    """
    observed: Observed | None = None
    for observed in watch.looks(watch.clock.uptime() + timeout):
        if observed is not None and _settled(observed, expects, deployments):
            return observed
    if observed is None:
        raise Unhealthy(f"it is not live {timeout:.0f} s after it was put", None)
    health = observed.health_of(deployments)
    raise Unhealthy(f"{health.state} after {timeout:.0f} s{': ' if health.reason else ''}{health.reason}", observed)
