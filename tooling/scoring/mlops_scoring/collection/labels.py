"""Labels: what was true in the end, told later, and found again by the correlation id of the request.

They lie beside inputs and outputs, under the designation `labels`, as events of the same form.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlops_scoring.collection.events import Envelope, Event, Unreadable
from mlops_scoring.collection.files import NASCENT
from mlops_scoring.collection.layout import EVENTS, LABELS, Place, make_private, period_of
from mlops_scoring.documents import Fields, InvalidDocument, parse_json


@dataclass(frozen=True, slots=True)
class Label:
    """What was true of one request.

    Attributes:
        correlation_id: Of the request: its `x-request-id`, unless the script chose another.
        records: One for each row of the request, in its order.
    """

    correlation_id: str
    records: Sequence[Mapping[str, object]]


def parse_labels(lines: Iterable[bytes]) -> list[Label]:
    """Read labels, one JSON object a line: `{"correlationid": ID, "data": [{...}, ...]}`.

    Raises:
        InvalidDocument: With every line that is none.
    """
    labels: list[Label] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = Fields(parse_json(line, f"line {number}"), f"line {number}", problems)
        except InvalidDocument as error:
            problems.extend(error.problems)
            continue
        identity = fields.text("correlationid")
        records = fields.get("data")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            fields.problem("data", "must be a list of objects, one for each row of the request")
            records = []
        fields.finish()
        labels.append(Label(identity, records))
    if problems:
        raise InvalidDocument(problems)
    return labels


def append_labels(directory: Path, place: Place, labels: Iterable[Label]) -> Path | None:
    """Add labels to a store: all of them, or where this raises none.

    Returns:
        The file they are in; None where there were none.

    Raises:
        OSError: The disk refuses.
        Unreadable: A label cannot be written as JSON.
    """
    attributes = {"modelname": place.model, "modelversion": place.version}
    envelope = Envelope((place.service,), attributes)
    now = time.time()
    lines = [
        envelope.line(Event(LABELS, list(label.records), now, {"correlationid": label.correlation_id}))
        for label in labels
    ]
    if not lines:
        return None
    period = period_of(datetime.fromtimestamp(now, UTC), "Day")
    folder = place.folder(directory) / LABELS / period.day
    make_private(folder)
    path = folder / f"{period.stamp}-{secrets.token_hex(8)}{EVENTS}"
    draft = path.with_name(path.name + NASCENT)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    return path


__all__ = ["Label", "Unreadable", "append_labels", "parse_labels"]
