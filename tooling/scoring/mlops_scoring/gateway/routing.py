"""Which deployment gets a request: exact weights, aliases, and the way out when a deployment has no worker."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping

from mlops_scoring.gateway.backend import Backend

_DIGEST = re.compile(r"-[0-9a-z]+")


def schedule(weights: Mapping[str, int]) -> tuple[str, ...]:
    """A cycle of names in which each is as frequent as its weight says, spread evenly.

    Smooth weighted round-robin, as nginx does it: each turn every name gains its weight, the largest is chosen and pays
    the sum. Over any whole number of cycles the shares are exact; a cycle has at most 100 turns when weights are
    percentages.
    """
    wanted = {name: weight for name, weight in weights.items() if weight}
    if not wanted:
        return ()
    divisor = math.gcd(*wanted.values())
    shares = {name: weight // divisor for name, weight in wanted.items()}
    total = sum(shares.values())
    current = dict.fromkeys(shares, 0)
    turns = []
    for _ in range(total):
        for name, share in shares.items():
            current[name] += share
        chosen = max(current, key=lambda name: current[name])
        current[chosen] -= total
        turns.append(chosen)
    return tuple(turns)


class Route:
    """Where requests go; replaced as a whole, so that weights and aliases change at one moment.

    Args:
        traffic: Weight in percent of each live name.
        aliases: Live name of each declared name.
        backend: Finds the backend of a live name, or None.
    """

    def __init__(
        self, traffic: Mapping[str, int], aliases: Mapping[str, str], backend: Callable[[str], Backend | None]
    ) -> None:
        """Lay out the cycle of weights."""
        self.traffic = dict(traffic)
        self.aliases = dict(aliases)
        self._backend = backend
        self._turns = schedule(traffic)
        self._next = 0

    def by_weight(self) -> Backend | None:
        """The deployment whose turn it is; None when none has traffic."""
        if not self._turns:
            return None
        name = self._turns[self._next]
        self._next += 1
        if self._next == len(self._turns):
            self._next = 0
        return self._backend(name)

    def by_name(self, name: str) -> Backend | None:
        """The deployment of an alias or a live name; None when there is none."""
        return self._backend(self.aliases.get(name, name))

    def instead(self, name: str | None) -> Iterator[Backend]:
        """Deployments with traffic and a ready worker, largest weight first, to answer in another's place.

        Args:
            name: The deployment that the client asked for: only others that carry the same declared name are given.
                None when it asked for none.
        """
        for live in sorted(self.traffic, key=lambda live: -self.traffic[live]):
            backend = self._backend(live)
            if not self.traffic[live] or backend is None or not backend.ready:
                continue
            if name is None or (name in self.aliases and _carries(live, name)):
                yield backend


def _carries(live: str, declared: str) -> bool:
    return live.startswith(declared) and _DIGEST.fullmatch(live, len(declared)) is not None
