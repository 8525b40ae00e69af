"""The worker's routes as a plain ASGI application: status codes, bodies and headers of Azure ML's server."""

from __future__ import annotations

import asyncio
import json
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from mlops_scoring import __version__
from mlops_scoring.worker.scoring import (
    INTERNAL_ERROR,
    Answer,
    Scorer,
    ScoringRequest,
    Unfit,
    error_answer,
    json_answer,
)
from mlops_scoring.worker.swagger import Swagger, UnknownVersion

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MAX_BODY = 64 * 1024 * 1024
"""Largest request body in bytes."""

_MAX_ID = 100
_SERVER = (b"x-ms-server-version", f"mlops-scoring/{__version__}".encode())
_METHODS = {"/": ("GET", "HEAD"), "/swagger.json": ("GET", "HEAD"), "/score": ("GET", "POST", "OPTIONS")}
_OURS = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_NOT_FOUND = "The requested URL was not found on the server."
_NOT_ALLOWED = "The method is not allowed for the requested URL."


class _Disconnected(Exception):
    """The client went away before its request was whole."""


@dataclass(frozen=True, slots=True)
class Application:
    """Answers for one model.

    Attributes:
        scorer: The model; it is called in `executor`, so that the health route stays live while it works.
        swagger: Its description.
        executor: As many threads as requests may be inside `run()` at once.
    """

    scorer: Scorer
    swagger: Swagger
    executor: Executor

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer, headers = await self._answer(scope, receive)
        except _Disconnected:
            return
        await _send(send, answer, headers)

    async def _answer(self, scope: Event, receive: Receive) -> tuple[Answer, list[tuple[bytes, bytes]]]:
        path, method = scope["path"], scope["method"]
        allowed = _METHODS.get(path)
        if allowed is None:
            return error_answer(404, _NOT_FOUND), []
        if method not in allowed:
            refused = error_answer(405, _NOT_ALLOWED)
            refused.headers.append(("allow", ", ".join(allowed)))
            return refused, []
        headers, refusal = identify(scope["headers"])
        if refusal is not None:
            return refusal, headers
        match path:
            case "/":
                return Answer(200, b"Healthy", [("content-type", "text/html; charset=utf-8")], None), headers
            case "/swagger.json":
                return self._describe(scope["query_string"]), headers
            case _:
                return await self._score(scope, receive), headers

    def _describe(self, query: bytes) -> Answer:
        version = parse_qs(query.decode("latin-1")).get("version", ["2"])[0]
        try:
            return json_answer(200, self.swagger.document(version))
        except UnknownVersion as unknown:
            return error_answer(404, str(unknown))

    async def _score(self, scope: Event, receive: Receive) -> Answer:
        body = await _read(receive)
        if body is None:
            return error_answer(413, f"The body has more than {MAX_BODY} bytes.")
        if scope["method"] == "OPTIONS":
            return Answer(200, b"", [("content-type", "text/html; charset=utf-8")])
        request = ScoringRequest(scope["method"], scope["path"], scope["query_string"], tuple(scope["headers"]), body)
        try:
            return await asyncio.get_running_loop().run_in_executor(self.executor, self.scorer.score, request)
        except Unfit as unfit:
            return error_answer(unfit.status, str(unfit))
        except Exception:  # noqa: BLE001 - a bug of a scorer is an error of this request, not of the worker
            traceback.print_exc()
            return error_answer(500, INTERNAL_ERROR)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None when it is too large."""
    event = await receive()
    if event["type"] == "http.request" and not event.get("more_body"):
        body: bytes = event.get("body", b"")
        return body if len(body) <= MAX_BODY else None
    pieces: list[bytes] = []
    size = 0
    while event["type"] == "http.request":
        pieces.append(event.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY:
            return None
        if not event.get("more_body"):
            return b"".join(pieces)
        event = await receive()
    raise _Disconnected


def identify(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], Answer | None]:
    """Request ids of the response, by the rules of azureml-inference-server-http.

    Returns:
        The headers to add, and the refusal where an id is too long.
    """
    found = {name: value for name, value in headers if name.endswith(b"request-id") or name == b"traceid"}
    trace = found.get(b"traceid")
    added = [_SERVER, (b"traceid", trace)] if trace is not None else [_SERVER]
    own = found.get(b"x-request-id")
    if own is None:
        own = str(uuid.uuid4()).encode()
    elif len(own) > _MAX_ID:
        return added, error_answer(431, f"x-request-id must not exceed {_MAX_ID} characters")
    added.append((b"x-request-id", own))
    legacy = found.get(b"x-ms-request-id", b"")
    client = found.get(b"x-ms-client-request-id", b"") or legacy
    legacy = legacy or client or own
    if len(legacy) > _MAX_ID or len(client) > _MAX_ID:
        text = f"x-ms-request-id and x-ms-client-request-id must not exceed {_MAX_ID} characters"
        return added, error_answer(431, text)
    added.append((b"x-ms-request-id", legacy))
    if client:
        added.append((b"x-ms-client-request-id", client))
    return added, None


async def _send(send: Send, answer: Answer, added: list[tuple[bytes, bytes]]) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    if any(b"\r" in part or b"\n" in part or b"\0" in part for pair in headers for part in pair):
        # A script that reflects its input must not be able to end our headers.
        answer, headers = Answer(500, json.dumps({"message": INTERNAL_ERROR}).encode()), []
    headers = [pair for pair in headers if pair[0].lower() not in _OURS]
    if answer.run_function_failed is not None:
        headers.append((b"x-ms-run-function-failed", str(answer.run_function_failed).encode()))
    if answer.milliseconds is not None:
        headers.append((b"x-ms-run-fn-exec-ms", b"%.3f" % answer.milliseconds))
    bodiless = answer.status in {204, 304}
    if not bodiless:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers + added})
    await send({"type": "http.response.body", "body": b"" if bodiless else answer.body})
