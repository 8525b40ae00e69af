"""How single values are written for people."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from mlops.reports.escape import cut, plain
from mlops.resource import JSON, Unset

SHORT = 12
"""Hexadecimal digits by which a digest is shown: enough to find it, as Git and Docker do."""

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def short(digest: str | None) -> str:
    """The beginning of a digest or of a commit."""
    return plain(digest[:SHORT]) if digest else "none"


def value_text(value: JSON | Unset, limit: int = 60) -> str:
    """A value of a spec, as JSON with short digests; `(unset)` where there is none."""
    if isinstance(value, Unset):
        return value.value
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return cut(plain(_DIGEST.sub(lambda found: f"{found[0][:SHORT]}…", text)), limit)


def name_text(value: object) -> str:
    """A value where a name or a version is expected: without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return cut(plain(value), 64) if isinstance(value, str) else plain(str(value))


def time_text(epoch: float) -> str:
    """A point in time, in UTC to the second."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def iso(epoch: float) -> str:
    """A point in time for machines, in UTC to the millisecond."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration_text(seconds: float) -> str:
    """A duration in its two largest units: `45s`, `2m 5s`, `3h 10m`, `2d 4h`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, lesser, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // lesser
            return f"{whole // size}{unit} {rest}{name}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def size_text(size: float) -> str:
    """A number of bytes in the largest binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
