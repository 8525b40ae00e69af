"""A record as `record.json`, read strictly."""

from __future__ import annotations

from mlops.git import Actor, Revision
from mlops.ledger.clock import to_text
from mlops.ledger.fields import Fields, Malformed
from mlops.ledger.record import Entry, Origin, Outcome, Record, RecordedResult
from mlops.resource import JSON, Address, Event, Kind

RECORD_FORMAT = 1

KINDS = {kind.value: kind for kind in Kind}


def read_address(text: str) -> Address:
    """An address as it is written in a document.

    Raises:
        Malformed: It is none.
    """
    kind, slash, name = text.partition("/")
    if not slash or not name or kind not in KINDS:
        raise Malformed(f"{text!r} is not an address")
    return Address(KINDS[kind], name)


def actor_to_json(actor: Actor) -> dict[str, JSON]:
    """Who acts."""
    return {"name": actor.name, "email": actor.email, "source": actor.source}


def read_actor(fields: Fields) -> Actor:
    """Who acts.

    Raises:
        Malformed: It is not what its format says.
    """
    actor = Actor(fields.text("name"), fields.text("email"), fields.text("source"))
    fields.end()
    return actor


def revision_to_json(revision: Revision | None) -> JSON:
    """What was checked out."""
    if revision is None:
        return None
    return {
        "commit": revision.commit,
        "branch": revision.branch,
        "dirty": revision.dirty,
        "tree": revision.tree,
    }


def read_revision(value: JSON) -> Revision | None:
    """What was checked out.

    Raises:
        Malformed: It is not what its format says.
    """
    if value is None:
        return None
    fields = Fields(value, "revision")
    revision = Revision(
        fields.text_or_none("commit"),
        fields.text_or_none("branch"),
        fields.boolean("dirty"),
        fields.text_or_none("tree"),
    )
    fields.end()
    return revision


def _result_to_json(result: RecordedResult) -> dict[str, JSON]:
    return {
        "address": str(result.address),
        "action": result.action,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "goal": result.goal,
        "outputs": dict(result.outputs),
        "health": result.health,
    }


def _read_result(value: JSON) -> RecordedResult:
    fields = Fields(value, "a result")
    outcome = fields.text("outcome")
    if outcome not in set(Outcome):
        raise Malformed(f"{outcome!r} is not an outcome")
    result = RecordedResult(
        address=read_address(fields.text("address")),
        action=fields.text("action"),
        outcome=Outcome(outcome),
        reason=fields.text("reason"),
        goal=fields.text_or_none("goal"),
        outputs=fields.texts("outputs"),
        health=fields.text("health"),
    )
    fields.end()
    return result


def record_to_json(record: Record) -> dict[str, JSON]:
    """The content of `record.json`."""
    entry, origin = record.entry, record.entry.origin
    return {
        "format": RECORD_FORMAT,
        "project": record.project,
        "stage": record.stage,
        "sequence": record.sequence,
        "time": to_text(record.time),
        "event": entry.event.value,
        "run": entry.run,
        "actor": actor_to_json(origin.actor),
        "reason": origin.reason,
        "revision": revision_to_json(origin.revision),
        "pull_request": origin.pull_request,
        "digests": dict(entry.digests),
        "gates": entry.gates,
        "evidence": entry.evidence,
        "results": [_result_to_json(result) for result in entry.results],
        "specs": list(entry.specs),
        "body": dict(entry.body),
    }


def _read_entry(fields: Fields) -> Entry:
    event = fields.text("event")
    if event not in set(Event):
        raise Malformed(f"{event!r} is not an event")
    origin = Origin(
        read_actor(fields.fields("actor")),
        fields.text("reason"),
        read_revision(fields.take("revision")),
        fields.text_or_none("pull_request"),
    )
    return Entry(
        event=Event(event),
        origin=origin,
        run=fields.text_or_none("run"),
        digests=fields.texts("digests"),
        gates=fields.take("gates"),
        evidence=fields.take("evidence"),
        results=tuple(_read_result(value) for value in fields.items("results")),
        specs=tuple(str(value) for value in fields.items("specs")),
        body=fields.mapping("body"),
    )


def read_record(commit: str, value: object) -> Record:
    """Read `record.json`.

    Args:
        commit: Id of the commit that holds it.
        value: The parsed document.

    Raises:
        Malformed: It is not what its format says, or of a newer format.
    """
    fields = Fields(value, "the record")
    check_format(fields.integer("format"), RECORD_FORMAT)
    record = Record(
        commit=commit,
        sequence=fields.integer("sequence"),
        time=fields.moment("time"),
        project=fields.text("project"),
        stage=fields.text("stage"),
        entry=_read_entry(fields),
    )
    fields.end()
    return record


class Newer(Malformed):
    """A document is of a format that came after this version of the toolkit."""


def check_format(found: int, known: int) -> None:
    """Refuse a format that this version does not know.

    Raises:
        Newer: It is a later one.
        Malformed: It is none that ever was.
    """
    if found > known:
        raise Newer(f"format {found} is newer than {known}, the newest that this version of mlops reads")
    if found < 1:
        raise Malformed(f"there is no format {found}")
