"""What an endpoint answered."""

from __future__ import annotations

from mlops.driver import Answer
from mlops.reports.document import document
from mlops.reports.escape import plain
from mlops.resource import JSON, Address

_PRINTED = {"\n", "\t"}


def render_answer(answer: Answer) -> str:
    """The body as it is, except for what a terminal would obey; bytes that are no UTF-8 are counted."""
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return f"({len(answer.body):,} bytes of {plain(answer.headers.get('content-type', 'unknown type'))})\n"
    text = "".join(c if c in _PRINTED else plain(c) for c in text) if not text.isprintable() else text
    return text if text.endswith("\n") else f"{text}\n"


def render_answer_json(address: Address, answer: Answer) -> str:
    """Status, headers and body; a body that is JSON is given as such."""
    import json  # noqa: PLC0415 - beside the only use

    body: JSON
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = answer.body.decode("utf-8", "replace")
    fields: dict[str, JSON] = {
        "address": str(address),
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": body,
    }
    return document("answer", fields)
