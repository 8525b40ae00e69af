"""What was collected and what was not, in plain numbers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DropReason = Literal["queue_full", "disk", "malformed", "unfiltered", "unknown_collection", "streamed", "end"]
"""Why an event was not kept.

- `queue_full`: events came faster than they could be written.
- `disk`: the store could not be written: full, read-only, gone.
- `malformed`: what was to be kept cannot be read as rows, or is no JSON.
- `unfiltered`: fields are to be left out or hashed, and it cannot be known where they are in it, or there is no key.
- `unknown_collection`: a script's collector sent rows of a collection that is not declared, or is not enabled.
- `streamed`: the answer was streamed, and is not held.
- `end`: the process ended before it could be written.
"""

DROP_REASONS: tuple[DropReason, ...] = (
    "queue_full",
    "disk",
    "malformed",
    "unfiltered",
    "unknown_collection",
    "streamed",
    "end",
)
"""All of them, so that a counter is there before its first event."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures at one moment.

    Attributes:
        collected: Events written, by designation.
        sampled_out: Events that their sampling rate left out.
        dropped: Events lost, by reason.
        written: Bytes written.
        queued: Events that wait to be written.
        queued_bytes: What they hold of the memory, roughly.
    """

    collected: Mapping[str, int]
    sampled_out: int
    dropped: Mapping[str, int]
    written: int
    queued: int
    queued_bytes: int


class Figures:
    """Counters of one process; every method may be called by any thread."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._lock = threading.Lock()
        self._collected: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter(dict.fromkeys(DROP_REASONS, 0))
        self._sampled_out = 0
        self._written = 0
        self._queued = 0
        self._queued_bytes = 0

    def collected(self, designation: str, events: int, written: int) -> None:
        """So many events were written, in so many bytes."""
        with self._lock:
            self._collected[designation] += events
            self._written += written

    def dropped(self, reason: DropReason, events: int = 1) -> None:
        """So many events were lost."""
        with self._lock:
            self._dropped[reason] += events

    def sampled_out(self, events: int) -> None:
        """So many events were left out, as wanted."""
        with self._lock:
            self._sampled_out += events

    def queued(self, events: int, size: int) -> None:
        """The queue grew by so much, or shrank where negative."""
        with self._lock:
            self._queued += events
            self._queued_bytes += size

    def snapshot(self) -> Snapshot:
        """All figures, of one moment."""
        with self._lock:
            return Snapshot(
                dict(self._collected),
                self._sampled_out,
                dict(self._dropped),
                self._written,
                self._queued,
                self._queued_bytes,
            )
