"""What served at a time, and why: the answer that an auditor asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlops.reports.document import document
from mlops.reports.escape import code, markdown, plain
from mlops.reports.history import Entry, entry_json
from mlops.reports.palette import PLAIN, Palette, Tone
from mlops.reports.values import iso, short, time_text
from mlops.resource import JSON, Address


@dataclass(frozen=True, slots=True)
class Served:
    """One object at a time in the past.

    Attributes:
        address: Which.
        goal: Digest of the spec that was applied.
        serves: What the spec says that it serves: model and weight of each deployment.
        models: Per file of a model that it served, its sha256: `digits:2/model.onnx`.
        since: Epoch seconds since when it was applied.
        source: The record by which it was applied.
        rollout: A rollout that was under way; empty where there was none.
        observed: What a drift check had found to differ; empty where nothing.
    """

    address: Address
    goal: str
    serves: tuple[str, ...]
    models: tuple[tuple[str, str], ...]
    since: float
    source: Entry | None
    rollout: str = ""
    observed: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """A stage at a time in the past.

    Attributes:
        stage: The stage.
        time: Epoch seconds that were asked for.
        record: The last record before then.
        objects: What was applied.
    """

    stage: str
    time: float
    record: Entry
    objects: tuple[Served, ...]


def _why(source: Entry) -> Iterator[str]:
    yield f"by {plain(source.who)}{f': {plain(source.why)}' if source.why else ''}"
    request = f"pull request {source.pull_request}" if source.pull_request else ""
    origin = ", ".join(filter(None, (source.revision, request, f"record {short(source.commit)}")))
    yield f"from {plain(origin)}"
    if effect := source.digests.get("effect"):
        yield f"effect {short(effect)}"
    if source.evidence is not None:
        yield f"evidence {plain(str(source.evidence))}"


def _lines(item: Served, palette: Palette) -> Iterator[str]:
    serves = f": {plain(', '.join(item.serves))}" if item.serves else ""
    yield f"{palette.paint(Tone.STRONG, plain(str(item.address)))}{serves}"
    yield f"    applied since {time_text(item.since)}, goal {short(item.goal)}"
    if item.source is not None:
        yield from (f"    {line}" for line in _why(item.source))
    yield from (f"    {plain(name)} sha256 {plain(sha256)}" for name, sha256 in item.models)
    if item.rollout:
        yield f"    {palette.paint(Tone.CHANGE, 'rollout')} {plain(item.rollout)}"
    if item.observed:
        yield f"    {palette.paint(Tone.DANGER, 'drift')} {plain(item.observed)}"


def render_past(past: Past, palette: Palette = PLAIN) -> str:
    """What was applied, by whom and from what, one block an object."""
    last = f"last record {time_text(past.record.time)} ({past.record.event.value})"
    lines = [f"Stage {plain(past.stage)} at {time_text(past.time)}; {last}", ""]
    for item in past.objects:
        lines += [*_lines(item, palette), ""]
    return "\n".join(lines if past.objects else [*lines, "Nothing was applied.", ""])


def render_past_markdown(past: Past) -> str:
    """One row an object."""
    lines = [f"### {code(past.stage)} at {time_text(past.time)}", "", "| Object | Served | Since | Who | From |"]
    lines.append("|---|---|---|---|---|")
    for item in past.objects:
        serves = "; ".join(filter(None, (*item.serves, item.rollout, item.observed)))
        who, origin = (item.source.who, item.source.revision) if item.source is not None else ("", "")
        cells = (markdown(serves), time_text(item.since), markdown(who), markdown(origin))
        lines.append(f"| {code(str(item.address))} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _json(item: Served) -> dict[str, JSON]:
    return {
        "address": str(item.address),
        "goal": item.goal,
        "serves": list(item.serves),
        "models": dict(item.models),
        "since": iso(item.since),
        "source": entry_json(item.source) if item.source is not None else None,
        "rollout": item.rollout,
        "observed": item.observed,
    }


def render_past_json(past: Past) -> str:
    """Everything that is known about the time."""
    body: dict[str, JSON] = {
        "stage": past.stage,
        "at": iso(past.time),
        "record": entry_json(past.record),
        "objects": [_json(item) for item in past.objects],
    }
    return document("moment", body)


def nothing_before(stage: str, time: float, first: Sequence[Entry]) -> str:
    """Said where the ledger begins later than the time that was asked for."""
    begins = f" Its ledger begins at {time_text(first[0].time)}." if first else " It has no ledger yet."
    return f"Nothing is known of stage {plain(stage)} at {time_text(time)}.{begins}"
