"""What waits to be kept, and how it becomes lines in the writer's thread."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mlops_scoring import __version__
from mlops_scoring.collection.events import RECORDS, Envelope, Event, Unreadable, parse_payload, to_json
from mlops_scoring.collection.privacy import Unfiltered
from mlops_scoring.collection.settings import INPUTS, OUTPUTS, REQUEST, RESPONSE
from mlops_scoring.collection.writer import Dropped, Line
from mlops_scoring.worker.collecting.plan import Kept, Plan, StoreKey
from mlops_scoring.worker.collecting.rows import input_records, output_records, plain_body
from mlops_scoring.worker.entry_script import is_json
from mlops_scoring.worker.observing import Scored

AGENT = f"mlops-scoring/{__version__}"
"""Attribute `agent` of what was captured without code."""

_OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class Press:
    """What entries are made into lines with."""

    plan: Plan
    envelope: Envelope
    key: StoreKey

    def line(self, kept: Kept, event: Event) -> Line | Dropped:
        """Filter an event's data and write it."""
        try:
            if kept.filter:
                data = kept.filter.apply(event.data, self.key.get() if kept.filter.hash else b"")
                event = replace(event, data=data)
            text = self.envelope.line(event)
        except Unfiltered as error:
            return Dropped("unfiltered", str(error))
        return Line(kept.designation, text)

    def headers(self, kept: Kept, scored: Scored) -> Mapping[str, str]:
        """The attribute with the request's headers.

        Raises:
            Unfiltered: There is no key to hash one with.
        """
        if not self.plan.headers:
            return {}
        found: dict[str, str] = {}
        for name, value in scored.request.headers:
            text = name.decode("latin-1")
            if text in self.plan.headers:
                more = value.decode("latin-1")
                found[text] = f"{found[text]}, {more}" if text in found else more
        kept_headers = kept.filter.apply_to_headers(found, self.key.get() if kept.filter.hash else b"")
        return {"requestheaders": to_json(kept_headers)}


@dataclass(frozen=True, slots=True)
class Captured:
    """A request and its answer, of which something is to be kept."""

    press: Press
    kept: tuple[Kept, ...]
    scored: Scored

    @property
    def events(self) -> int:
        """One for each collection."""
        return len(self.kept)

    @property
    def size(self) -> int:
        """Of both bodies, and what is held with them."""
        return len(self.scored.request.body) + len(self.scored.answer.body) + _OVERHEAD

    def lines(self) -> Iterator[Line | Dropped]:
        """One for each collection."""
        for kept in self.kept:
            try:
                yield self.press.line(kept, self._event(kept))
            except Unfiltered as error:
                yield Dropped("unfiltered", str(error))
            except Exception as error:  # noqa: BLE001 - whatever one side holds, the other is kept
                why = str(error) if isinstance(error, Unreadable) else type(error).__name__
                yield Dropped("malformed", f"{kept.name}: {why}")

    def _event(self, kept: Kept) -> Event:
        scored = self.scored
        request, answer = scored.request, scored.answer
        name = request.request_id
        identity: dict[str, str | int] = {"correlationid": name, "xrequestid": name, "agent": AGENT}
        match kept.name.lower():
            case "model_inputs":
                records = input_records(request, kept.filter)
                attributes = {**identity, "collectdatatype": RECORDS, **self.press.headers(kept, scored)}
                return Event(INPUTS, records, scored.started, attributes)
            case "model_outputs":
                outputs = output_records(request, answer, kept.filter)
                ended = scored.started + scored.seconds
                return Event(OUTPUTS, outputs, ended, {**identity, "collectdatatype": RECORDS})
            case "request":
                attributes = {**identity, "httppath": request.path, **self.press.headers(kept, scored)}
                return _payload(
                    kept, REQUEST, plain_body(request), request.header(b"content-type"), scored.started, attributes
                )
            case _:
                kind = next((value for name, value in answer.headers if name.lower() == "content-type"), "")
                ended = scored.started + scored.seconds
                attributes = {**identity, "httpstatus": answer.status}
                return _payload(kept, RESPONSE, answer.body, kind, ended, attributes)


def _payload(
    kept: Kept, name: str, body: bytes, kind: str, seconds: float, attributes: Mapping[str, str | int]
) -> Event:
    """A whole body: as JSON where it is some, else as text or bytes."""
    if not body:
        return Event(name, None, seconds, attributes)
    try:
        if kept.filter:
            return Event(name, json.loads(body), seconds, attributes)
        return Event(name, parse_payload(body.decode()), seconds, attributes)
    except (ValueError, RecursionError):
        if kept.filter:
            message = "a body that is not JSON"
            raise Unfiltered(message) from None
    content_type = "text/plain" if is_json(kind) or not kind else kind
    try:
        return Event(name, body.decode(), seconds, attributes, content_type)
    except UnicodeDecodeError:
        return Event(name, base64.b64encode(body).decode(), seconds, attributes, content_type, binary=True)


@dataclass(frozen=True, slots=True)
class Posted:
    """What a script's collector sent."""

    press: Press
    kept: Kept
    body: bytes
    seconds: float
    attributes: Mapping[str, str | int]
    events: int = 1

    @property
    def size(self) -> int:
        """Of the body, and what is held with it."""
        return len(self.body) + _OVERHEAD

    def lines(self) -> Iterator[Line | Dropped]:
        """One."""
        try:
            records = json.loads(self.body)
        except (ValueError, RecursionError):
            yield Dropped("malformed", f"{self.kept.name}: not JSON")
            return
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            yield Dropped("malformed", f"{self.kept.name}: no list of records")
            return
        yield self.press.line(self.kept, Event(self.kept.name, records, self.seconds, self.attributes))
