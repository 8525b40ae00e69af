"""The commit message of a record, for people who read `git log`.

Records are read from `record.json` only, so nothing in a message can forge one. Still no name or reason may look like
a line of its own: whatever comes from outside is put on one line, and never begins one.
"""

from __future__ import annotations

import unicodedata
from typing import assert_never

from mlops.ledger.clock import to_text
from mlops.ledger.record import Record
from mlops.resource import Event

_SUBJECT = 120
_LINE = 500
_RESULTS = 50


def one_line(text: str, limit: int = _LINE) -> str:
    """Text without anything that breaks a line, moves a cursor or turns the direction of writing."""
    kept = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text[: limit * 4])
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def identity(text: str) -> str:
    """A name or an email that cannot leave its place in the header of a commit."""
    return one_line("".join(" " if sign in "<>" else sign for sign in text), 200).strip(" .,:;'\"\\")


def _what(record: Record) -> str:
    body = record.body
    told = ""
    match record.event:
        case Event.STARTED:
            intended = body.get("intended")
            count = len(intended) if isinstance(intended, dict) else 0
            told = f"started, {count} {'change' if count == 1 else 'changes'}"
        case Event.STEP:
            told = f"{body.get('address')} step {body.get('step')} {'done' if body.get('done') else 'begins'}"
        case Event.PAUSED:
            told = f"{body.get('address')} paused until {body.get('until')}"
        case Event.DENIED:
            told = f"{body.get('address')} {str(body.get('goal'))[:8]} denied"
        case Event.ALLOWED:
            told = f"{body.get('address')} {str(body.get('goal'))[:8]} allowed again"
        case Event.OBSERVED:
            observed = body.get("observed")
            told = f"observed {', '.join(observed) if isinstance(observed, dict) else ''}"
        case Event.ROTATED:
            told = f"{body.get('address')} {body.get('key')} key made anew"
        case Event.APPROVED:
            told = f"approved {record.digests.get('effect', '')[:12]}"
        case Event.FINISHED | Event.FAILED | Event.INTERRUPTED:
            told = _ended(record)
        case _:
            assert_never(record.event)
    return told


def _ended(record: Record) -> str:
    if len(record.results) == 1:
        result = record.results[0]
        return f"{record.event.value}, {result.action} {result.address} {result.outcome.value}"
    counts: dict[str, int] = {}
    for result in record.results:
        counts[result.outcome.value] = counts.get(result.outcome.value, 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return f"{record.event.value}, {told or 'nothing changed'}"


def make_message(record: Record) -> str:
    """The whole message: one line, what became of each change, why, and trailers of ours."""
    lines = [one_line(f"{record.stage}: {_what(record)}, by {record.actor.name}", _SUBJECT), ""]
    for result in record.results[:_RESULTS]:
        reason = f" ({result.reason})" if result.reason else ""
        lines.append("- " + one_line(f"{result.action} {result.address}: {result.outcome.value}{reason}"))
    if len(record.results) > _RESULTS:
        lines.append(f"- and {len(record.results) - _RESULTS} more")
    if record.reason:
        lines.append("- " + one_line(f"why: {record.reason}"))
    if record.revision is not None and record.revision.commit is not None:
        dirty = ", with changes that are not committed" if record.revision.dirty else ""
        lines.append("- " + one_line(f"from {record.revision.commit}{dirty}"))
    if lines[-1]:
        lines.append("")
    lines.append(f"Mlops-Record: {record.sequence} {record.event.value} {to_text(record.time)}")
    if record.run is not None:
        lines.append(f"Mlops-Run: {one_line(record.run)}")
    return "\n".join(lines) + "\n"
