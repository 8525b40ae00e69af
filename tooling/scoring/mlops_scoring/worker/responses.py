"""How an answer is written: headers of ours, those of the script, and nothing that could end them early."""

from __future__ import annotations

import json

from mlops_scoring.wire.messages import Headers, bodiless
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.request_ids import ID_NAMES
from mlops_scoring.worker.scoring import INTERNAL_ERROR, Answer

RETRY_AFTER = ("retry-after", "1")
_OURS = frozenset({b"content-length", b"transfer-encoding", b"connection"})


def respond(client: ServerConnection, answer: Answer, added: Headers) -> None:
    """Write a whole answer.

    Args:
        client: Who asked.
        answer: What is answered.
        added: Headers beside the answer's own.
    """
    client.send(*response_head(answer, added))


def response_head(answer: Answer, added: Headers) -> tuple[int, Headers, bytes]:
    """Status, headers and body as they are written."""
    status, body = answer.status, answer.body
    headers = [(name.encode("latin-1").lower(), value.encode("latin-1", "replace")) for name, value in answer.headers]
    if any(b"\r" in part or b"\n" in part or b"\0" in part for pair in headers for part in pair):
        # A script that reflects its input must not be able to end our headers.
        status, body, headers = 500, json.dumps({"message": INTERNAL_ERROR}).encode(), []
    headers = [pair for pair in headers if pair[0] not in _OURS]
    if added:
        ours = ID_NAMES.intersection(name for name, _ in added)
        headers = [pair for pair in headers if pair[0] not in ours]
    if answer.run_function_failed is not None:
        headers.append((b"x-ms-run-function-failed", b"True" if answer.run_function_failed else b"False"))
    if answer.milliseconds is not None:
        headers.append((b"x-ms-run-fn-exec-ms", b"%.3f" % answer.milliseconds))
    return status, headers + added, b"" if bodiless(status) else body
