"""How long a place waits before its worker is started again."""

from __future__ import annotations

FIRST_DELAY = 0.1
"""Seconds before the first restart; doubled each time."""

LAST_DELAY = 10.0
"""Longest time between restarts, in seconds."""

CALM_SECONDS = 30.0
"""A worker that was ready for so long has earned a quick restart."""

FAILED_STARTS = 3
"""Starts in a row that fail before a deployment counts as failed."""

_MOST_DOUBLINGS = 10


class Restarts:
    """Restarts of one place."""

    def __init__(self) -> None:
        """None so far."""
        self._attempts = 0

    def delay(self, failed_starts: int, seconds: float) -> float:
        """Seconds to wait now.

        Args:
            failed_starts: Starts in a row that have failed; 0 when the worker had been ready.
            seconds: How long its process lived.
        """
        if not failed_starts and seconds >= CALM_SECONDS:
            self._attempts = 0
        doublings = min(self._attempts, _MOST_DOUBLINGS)
        self._attempts += 1
        return LAST_DELAY if failed_starts >= FAILED_STARTS else min(LAST_DELAY, FIRST_DELAY * 2**doublings)
