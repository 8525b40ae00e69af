"""How an answer is written: headers of ours, those of the script, and nothing that could end them early."""

from __future__ import annotations

import logging
import re

from mlops_scoring.wire.messages import Headers, bodiless
from mlops_scoring.wire.server import ServerConnection
from mlops_scoring.worker.request_ids import ID_NAMES
from mlops_scoring.worker.scoring import INTERNAL_ERROR, Answer, error_answer

RETRY_AFTER = ("retry-after", "1")
UNWRITABLE = error_answer(500, INTERNAL_ERROR)
"""What is answered where a script's answer cannot be written."""

_log = logging.getLogger("mlops_scoring.worker")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch
_FINAL = range(200, 1000)
_OURS = frozenset({b"content-length", b"transfer-encoding", b"connection"})


def respond(client: ServerConnection, answer: Answer, added: Headers) -> Answer:
    """Write a whole answer.

    Args:
        client: Who asked.
        answer: What is answered.
        added: Headers beside the answer's own.

    Returns:
        What was written: the answer, or `UNWRITABLE` in its place.
    """
    written, head = _fit(answer, added)
    client.send(*head)
    return written


def start(client: ServerConnection, answer: Answer, added: Headers) -> bool:
    """Begin an answer that comes in pieces; false where `UNWRITABLE` was written in its place, whole.

    Args:
        client: Who asked.
        answer: What is answered.
        added: Headers beside the answer's own.
    """
    written, (status, headers, body) = _fit(answer, added)
    if written is not answer:
        client.send(status, headers, body)
        return False
    client.start(status, headers, None)
    return True


def _fit(answer: Answer, added: Headers) -> tuple[Answer, tuple[int, Headers, bytes]]:
    """An answer that can be written, with its status, headers and body as they are written."""
    try:
        return answer, _head(answer, added)
    except ValueError as error:
        _log.error("the script's answer cannot be written: %s", error)
        return UNWRITABLE, _head(UNWRITABLE, added)


def _head(answer: Answer, added: Headers) -> tuple[int, Headers, bytes]:
    """Status, headers and body as they are written.

    Raises:
        ValueError: HTTP has no such status (RFC 9110, section 15) or header (section 5), or the status is not a final
            one; a script that reflects its input must not be able to end our headers.
    """
    status, headers = answer.status, []
    if status not in _FINAL:
        raise ValueError(f"{status} is not a status of a final answer")
    for name, value in answer.headers:
        if _NAME(name) is None or _VALUE(value) is None:
            raise ValueError(f"{name!r} is not a header's name, or its value has a control character")
        headers.append((name.encode().lower(), value.encode("latin-1", "replace")))
    headers = [pair for pair in headers if pair[0] not in _OURS]
    if added:
        ours = ID_NAMES.intersection(name for name, _ in added)
        headers = [pair for pair in headers if pair[0] not in ours]
    if answer.run_function_failed is not None:
        headers.append((b"x-ms-run-function-failed", b"True" if answer.run_function_failed else b"False"))
    if answer.milliseconds is not None:
        headers.append((b"x-ms-run-fn-exec-ms", b"%.3f" % answer.milliseconds))
    return status, headers + added, b"" if bodiless(status) else answer.body
