"""Log lines for people: JSON lines become text, other lines stay as they are."""

from __future__ import annotations

import json

from mlops_scoring.telemetry.logs import visible

_FIRST = '{"time": "'
_PRINTED = "print"


def readable(line: str) -> list[str]:
    """The lines that a person is shown for one line of a log; control characters are written out."""
    if not line.startswith(_FIRST):
        return [visible(line)]
    try:
        fields = json.loads(line)
    except ValueError:  # cut off
        return [visible(line)]
    message, logger, level = (str(fields.get(name, "")) for name in ("message", "logger", "level"))
    head = "" if logger == _PRINTED else f"{level} {logger}: "
    lines = f"{head}{message}".split("\n")
    for name in ("exception", "stack"):
        if fields.get(name):
            lines += str(fields[name]).split("\n")
    return [visible(part) for part in lines]
