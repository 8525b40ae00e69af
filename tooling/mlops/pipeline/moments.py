"""Points in time as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_AGO = re.compile(rf"(\d{{1,6}}|an?)\s+({'|'.join(_UNITS)})s?\s+ago")
_EPOCH = re.compile(r"@(\d{1,11}(?:\.\d{1,6})?)")


def parse_time(text: str, now: float) -> float:
    """Read a point in time.

    Args:
        text: ISO 8601 (`2026-11-20`, `2026-11-20T09:30`, `2026-11-20T09:30:00+01:00`), `2 hours ago`, `yesterday`,
            `now`, or seconds since 1970 as `@1795000000`. Without an offset it is UTC, because a question about the
            past must have one answer wherever it is asked. A date alone is its beginning.
        now: Epoch seconds.

    Returns:
        Epoch seconds.

    Raises:
        ValueError: It is none of these; says what to write.
    """
    words = " ".join(text.split())
    lower = words.lower()
    if lower == "now":
        return now
    if found := _EPOCH.fullmatch(lower):
        return float(found[1])
    if found := _AGO.fullmatch(lower):
        count = 1 if found[1].startswith("a") else int(found[1])
        return now - (_UNITS[found[2]] * count).total_seconds()
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if lower in ("today", "yesterday"):
        return (midnight - timedelta(days=lower == "yesterday")).timestamp()
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        raise ValueError(
            f'"{text}" is no point in time. Write 2026-11-20T09:30Z, 2026-11-20, "2 hours ago" or yesterday.'
        ) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
