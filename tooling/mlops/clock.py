"""Time, injected, so that tests need not wait."""

from __future__ import annotations

import threading
import time
from typing import Protocol

_UPTIME = getattr(time, "CLOCK_BOOTTIME", None)
if _UPTIME is None:
    _UPTIME = time.CLOCK_MONOTONIC


class Clock(Protocol):
    """Three ways to look at time."""

    def time(self) -> float:
        """Seconds since 1970 by the wall clock, which may step in both directions."""

    def uptime(self) -> float:
        """Seconds since some start, never stepping back, and going on while the machine sleeps."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event for at most that long; whether it is set."""


class SystemClock:
    """The clocks of this machine.

    The uptime is CLOCK_BOOTTIME where there is one: plain monotonic time stands still while a laptop sleeps, so a
    holder would believe in a lease that others saw expire.
    """

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def uptime(self) -> float:
        """Seconds since the machine started, with the time that it slept."""
        return time.clock_gettime(int(_UPTIME or 0))

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event."""
        return event.wait(seconds)
