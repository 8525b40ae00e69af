"""Measured values, as they are when somebody looks: what Prometheus is shown and OpenTelemetry is sent."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Labels = tuple[tuple[str, str], ...]
"""Names and values; values are of closed sets, never a client's words."""

Kind = Literal["counter", "gauge", "histogram"]
"""What a family's values mean: only growing, any, or counted by size."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of durations, in seconds; a last bucket has everything beyond."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's value.

    Attributes:
        bounds: Upper bounds, inclusive.
        counts: One number for each bound and one for what is beyond the last; not cumulative.
        total: Sum of what was counted.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a family."""

    labels: Labels
    value: float | Distribution


@dataclass(frozen=True, slots=True)
class Family:
    """All values of one name.

    Attributes:
        name: As Prometheus has it: with its unit, and without `_total` for counters.
        text: What it is, one sentence.
        unit: In UCUM, as OpenTelemetry has it: `s`, `By`, `{request}`.
    """

    name: str
    kind: Kind
    text: str
    points: tuple[Point, ...]
    unit: str = "1"


def counter(name: str, text: str, value: float, unit: str = "1") -> Family:
    """A counter without labels."""
    return Family(name, "counter", text, (Point((), value),), unit)


def gauge(name: str, text: str, value: float, unit: str = "1") -> Family:
    """A gauge without labels."""
    return Family(name, "gauge", text, (Point((), value),), unit)


class Durations:
    """Counts durations in plain numbers; written by one thread, read by any."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        """Begin at nothing."""
        self._counts = [0] * (len(SECONDS) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._total += seconds

    def distribution(self) -> Distribution:
        """A frozen copy."""
        return Distribution(SECONDS, tuple(self._counts), self._total)
