"""What the gateway counts: plain numbers on the way of a request, and frozen copies for whoever shows them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms' buckets, in seconds; a last bucket has everything beyond."""

CLIENT_GONE = 499
"""Status under which a request is counted whose client left before the answer, as nginx does it."""


@dataclass(frozen=True, slots=True)
class DeploymentFigures:
    """What was counted for one live name since the supervisor began; mirrored requests are counted apart.

    Attributes:
        requests: Requests answered or given up.
        errors: Those with 5xx.
        statuses: Requests by the first digit of their status, `"2xx"` and so on.
        buckets: Requests by duration, one number for each of `BOUNDS` and one for the rest; not cumulative.
        seconds: Sum of the durations.
        wait_buckets: As `buckets`, for the time that requests waited for a worker.
        wait_seconds: Sum of that.
        queue_full: Requests that found no worker in time (429).
        timed_out: Requests that took too long (504).
        retried: Requests given to a second worker because the first one was gone.
        streamed: Requests whose body was passed on as it came.
        mirrored: Copies sent to it.
        mirror_errors: Those answered with 5xx, or not in time, or not at all.
        mirror_dropped: Copies not sent, because no worker was free or too many were under way.
        in_flight: Requests that workers have now.
        waiting: Requests that wait for a worker now.
        ready: Workers that take requests now.
    """

    requests: int
    errors: int
    statuses: Mapping[str, int]
    buckets: tuple[int, ...]
    seconds: float
    wait_buckets: tuple[int, ...]
    wait_seconds: float
    queue_full: int
    timed_out: int
    retried: int
    streamed: int
    mirrored: int
    mirror_errors: int
    mirror_dropped: int
    in_flight: int = 0
    waiting: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True)
class GatewayFigures:
    """What was counted for the endpoint as a whole, and for each live name.

    Attributes:
        refusals: Requests refused before they were passed on, by status: 401 is authentication, 408 and 413 limits, 404
            no such deployment, 503 none with traffic or too many bytes held.
        connections: Open client connections.
        connections_refused: Connections closed because there were too many.
        handshakes_failed: TLS connections that never came about.
        buffered_bytes: Bytes of request bodies held now.
    """

    refusals: Mapping[int, int]
    connections: int
    connections_refused: int
    handshakes_failed: int
    buffered_bytes: int
    deployments: Mapping[str, DeploymentFigures]


class Tally:
    """Counts of one live name; they only grow. See `DeploymentFigures` for their meanings."""

    __slots__ = (
        "_buckets",
        "_seconds",
        "_statuses",
        "_wait_buckets",
        "_wait_seconds",
        "errors",
        "mirror_dropped",
        "mirror_errors",
        "mirrored",
        "queue_full",
        "requests",
        "retried",
        "streamed",
        "timed_out",
    )

    def __init__(self) -> None:
        """Begin at nothing."""
        self.requests = self.errors = self.retried = self.streamed = 0
        self.queue_full = self.timed_out = 0
        self.mirrored = self.mirror_errors = self.mirror_dropped = 0
        self._statuses = [0] * 10
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._wait_buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = self._wait_seconds = 0.0

    def count(self, status: int, seconds: float, waited: float) -> None:
        """Note a request that was answered or given up."""
        self.requests += 1
        self.errors += status >= 500
        self._statuses[status // 100] += 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds
        self._wait_buckets[bisect_left(BOUNDS, waited)] += 1
        self._wait_seconds += waited

    def figures(self, *, in_flight: int, waiting: int, ready: int) -> DeploymentFigures:
        """A frozen copy."""
        return DeploymentFigures(
            requests=self.requests,
            errors=self.errors,
            statuses={f"{digit}xx": self._statuses[digit] for digit in range(1, 6)},
            buckets=tuple(self._buckets),
            seconds=self._seconds,
            wait_buckets=tuple(self._wait_buckets),
            wait_seconds=self._wait_seconds,
            queue_full=self.queue_full,
            timed_out=self.timed_out,
            retried=self.retried,
            streamed=self.streamed,
            mirrored=self.mirrored,
            mirror_errors=self.mirror_errors,
            mirror_dropped=self.mirror_dropped,
            in_flight=in_flight,
            waiting=waiting,
            ready=ready,
        )
