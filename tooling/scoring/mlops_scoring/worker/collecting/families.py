"""The figures of data collection as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_scoring.collection.figures import Snapshot
from mlops_scoring.telemetry.families import Family, Point, counter, gauge

_UNIT = "{event}"


def families(figures: Snapshot) -> Iterator[Family]:
    """One family for each figure; designations are declared names, never a client's words."""
    collected = tuple(Point((("designation", name),), value) for name, value in sorted(figures.collected.items()))
    dropped = tuple(Point((("reason", reason),), value) for reason, value in sorted(figures.dropped.items()))
    yield Family("mlops_worker_collected_events", "counter", "Events of collected data written.", collected, _UNIT)
    yield Family("mlops_worker_collected_dropped", "counter", "Events of collected data lost.", dropped, _UNIT)
    yield counter("mlops_worker_collected_sampled_out", "Events not in the sample.", figures.sampled_out, _UNIT)
    yield counter("mlops_worker_collected_bytes", "Bytes of collected data written.", figures.written, "By")
    yield gauge("mlops_worker_collected_queue_length", "Events that wait to be written.", figures.queued, _UNIT)
    yield gauge("mlops_worker_collected_queue_bytes", "What they hold of the memory.", figures.queued_bytes, "By")
