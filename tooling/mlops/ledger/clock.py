"""Times as the ledger writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from mlops.clock import Clock, SystemClock

__all__ = ["Clock", "SystemClock", "from_text", "to_text"]


@lru_cache(maxsize=256)
def to_text(moment: float) -> str:
    """Epoch seconds as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def from_text(text: str) -> float:
    """Epoch seconds of an ISO 8601 time with an offset, in whole milliseconds.

    Raises:
        ValueError: It is not such a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say its offset from UTC")
    return round(moment.timestamp(), 3)
