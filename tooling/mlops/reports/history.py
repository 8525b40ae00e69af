"""Who did what, when and why: the ledger's records, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlops.reports.document import document
from mlops.reports.escape import markdown, plain
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.values import iso, short, time_text
from mlops.resource import JSON, Event

_TONES: Mapping[Event, Tone] = {
    Event.FINISHED: Tone.GOOD,
    Event.FAILED: Tone.DANGER,
    Event.INTERRUPTED: Tone.DANGER,
    Event.DENIED: Tone.DANGER,
    Event.OBSERVED: Tone.CHANGE,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, as it is told.

    Attributes:
        stage: The stage whose ledger holds it.
        sequence: Its number there.
        time: Epoch seconds.
        event: What happened.
        who: The actor.
        actor_source: From where the actor is known.
        what: One line for each thing that happened.
        why: The reason that the actor gave.
        revision: What it was made from, for people.
        pull_request: Its number.
        run: The run that it belongs to.
        commit: Id of the record's commit.
        digests: The plan's digests by name.
        evidence: What a judgement was based on.
    """

    stage: str
    sequence: int
    time: float
    event: Event
    who: str
    actor_source: str
    what: tuple[str, ...]
    why: str = ""
    revision: str = ""
    pull_request: str | None = None
    run: str | None = None
    commit: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    evidence: JSON = None


_PLAIN_SOURCES = frozenset({"", "Git configuration"})
"""Where a name comes from when nothing has to be said about it."""


def _origin(entry: Entry) -> str:
    request = f"pull request {entry.pull_request}" if entry.pull_request else ""
    return ", ".join(filter(None, (entry.revision, request)))


def _lines(entry: Entry, palette: Palette) -> Iterator[str]:
    event = palette.paint(_TONES.get(entry.event), entry.event.value.ljust(11))
    taken = f" (from {plain(entry.actor_source)})" if entry.actor_source not in _PLAIN_SOURCES else ""
    yield f"{time_text(entry.time)}  {event} {plain(entry.who)}{taken}"
    yield from (f"    {plain(line)}" for line in entry.what)
    if entry.why:
        yield f"    why: {plain(entry.why)}"
    if origin := _origin(entry):
        yield palette.paint(Tone.QUIET, f"    from {plain(origin)}; record {short(entry.commit)}")


def render_history(stage: str, entries: Sequence[Entry], palette: Palette = PLAIN) -> str:
    """One block a record, newest first."""
    if not entries:
        return f"Stage {plain(stage)} has no history yet.\n"
    return "\n\n".join("\n".join(_lines(entry, palette)) for entry in entries) + "\n"


def render_history_markdown(stage: str, entries: Sequence[Entry]) -> str:
    """One row a record, newest first."""
    lines = [
        f"### History of {markdown(stage)}",
        "",
        "| Time | Event | Who | What | Why | From |",
        "|---|---|---|---|---|---|",
    ]
    for entry in entries:
        what = "<br>".join(markdown(line) for line in entry.what)
        cells = (time_text(entry.time), entry.event.value, markdown(entry.who), what)
        lines.append(f"| {' | '.join((*cells, markdown(entry.why), markdown(_origin(entry))))} |")
    return "\n".join([*lines, ""])


def entry_json(entry: Entry) -> dict[str, JSON]:
    """One record as JSON."""
    return {
        "stage": entry.stage,
        "sequence": entry.sequence,
        "time": iso(entry.time),
        "event": entry.event.value,
        "who": entry.who,
        "actor_source": entry.actor_source,
        "what": list(entry.what),
        "why": entry.why,
        "revision": entry.revision,
        "pull_request": entry.pull_request,
        "run": entry.run,
        "commit": entry.commit,
        "digests": dict(entry.digests),
        "evidence": entry.evidence,
    }


def render_history_json(stage: str, entries: Sequence[Entry]) -> str:
    """Every record that was asked for."""
    return document("history", {"stage": stage, "records": [entry_json(entry) for entry in entries]})
