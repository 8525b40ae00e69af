"""The last lines of an endpoint's logs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mlops.drivers.local.home import Home

_BLOCK = 1 << 16
_ROTATED = re.compile(r"\.log(?:\.(\d+))?")


def tail(home: Home, live_names: tuple[str, ...] | None, lines: int) -> Iterator[str]:
    """The last lines of each log, the log that was written last at the end; each line begins with its log's name.

    JSON lines are given as text: one line for each line of their messages and tracebacks.

    Args:
        home: The endpoint's folder.
        live_names: Whose workers' logs; None: all, and the supervisor's.
        lines: How many of each.
    """
    from mlops_scoring.telemetry.reading import readable  # noqa: PLC0415 - only `mlops logs` reads

    streams: dict[str, list[Path]] = {}
    for path in sorted(home.logs.glob("*.log*"), key=_age, reverse=True):
        name = _ROTATED.sub("", path.name)
        if live_names is None or any(re.fullmatch(re.escape(live) + r"-\d+", name) for live in live_names):
            streams.setdefault(name, []).append(path)
    for name in sorted(streams, key=lambda stream: (max(_written(path) for path in streams[stream]), stream)):
        for line in last_lines(streams[name], lines):
            for part in readable(line):
                yield f"{name} | {part}"


def last_lines(paths: list[Path], lines: int) -> list[str]:
    """The last lines of files that follow each other, oldest first; only the ends that are needed are read."""
    found: deque[str] = deque()
    for path in reversed(paths):
        for line in reversed(_end(path, lines - len(found))):
            found.appendleft(line)
        if len(found) >= lines:
            break
    return list(found)


def _end(path: Path, lines: int) -> list[str]:
    try:
        with path.open("rb") as stream:
            position = stream.seek(0, 2)
            data = b""
            while position and data.count(b"\n") <= lines:
                step = min(position, _BLOCK)
                position -= step
                stream.seek(position)
                data = stream.read(step) + data
    except FileNotFoundError:
        return []
    return data.decode(errors="replace").splitlines()[-lines:] if lines > 0 else []


def _age(path: Path) -> int:
    """How often a log was rotated since: 0 is the one that is being written."""
    matched = _ROTATED.search(path.name)
    return int(matched[1]) if matched and matched[1] else 0


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
