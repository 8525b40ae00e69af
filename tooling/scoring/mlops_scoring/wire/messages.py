"""HTTP messages as values, and how they are written."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus

from mlops_scoring.wire.inflow import Inflow

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, in the order they came."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
        b"content-length",
    }
)
"""Headers of one connection, never passed on (RFC 9110, section 7.6.1); lengths are written anew."""

MIRRORED = b"x-mlops-mirrored"
"""Header of requests that are copies; a client's own is not passed on."""

TRIAL = (b"x-mlops-trial", b"true")
"""Header of requests by which the toolkit tries a deployment; a client's own is not passed on."""

_STAY = HOP_BY_HOP | {MIRRORED, TRIAL[0]}

MAX_REQUEST_ID = 100
"""Longest request id taken from a client, as azureml-inference-server-http has it."""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(100, 1000)}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a client is told before its connection ends, because its request cannot be taken."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Request:
    """One request; complete, unless it has an inflow.

    Attributes:
        method: For example `b"POST"`.
        target: Path and query in origin form, as the client wrote it.
        headers: All headers but trailers.
        body: The body, where it has been read to its end.
        inflow: The body, where it is passed on as it comes.
        keep_alive: Whether the client wants the connection to go on.
        modern: HTTP/1.1, so that the client understands chunks.
        mirrored: A copy, whose answer nobody gets.
        trial: Made by the toolkit to try a deployment, so that it is no data of production.
        options: Further headers that are this connection's only, because its `Connection` header names them.
    """

    __slots__ = (
        *("body", "headers", "inflow", "keep_alive", "method", "mirrored", "modern", "options", "target", "trial"),
    )

    def __init__(self) -> None:
        """Begin empty; the reader fills it."""
        self.method = b""
        self.target = b""
        self.headers: Headers = []
        self.body: bytes | bytearray = b""
        self.inflow: Inflow | None = None
        self.keep_alive = True
        self.modern = True
        self.mirrored = False
        self.trial = False
        self.options: frozenset[bytes] | None = None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    def head_without(self, dropped: bytes) -> bytes:
        """Request line and headers as they came, but for one header."""
        version = b" HTTP/1.1\r\n" if self.modern else b" HTTP/1.0\r\n"
        lines = [name + b": " + value + b"\r\n" for name, value in self.headers if name != dropped]
        return b"".join([self.method, b" ", self.target, version, *lines, b"\r\n"])

    def serialise(self) -> bytes:
        """The request as one side writes it to a worker; without the body where that is still coming."""
        stay = _STAY if self.options is None else _STAY | self.options
        parts: list[bytes | bytearray] = [self.method, b" ", self.target, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name not in stay:
                parts += (name, b": ", value, b"\r\n")
        if self.mirrored:
            parts.append(MIRRORED + b": true\r\n")
        if self.trial:
            parts += (TRIAL[0], b": ", TRIAL[1], b"\r\n")
        if not self.modern and self.header(b"host") is None:
            parts.append(b"host: localhost\r\n")  # HTTP/1.1 needs one (RFC 9112, section 3.2)
        if self.inflow is not None:
            length = self.inflow.length
            parts.append(b"transfer-encoding: chunked\r\n\r\n" if length is None else _length_line(length) + b"\r\n")
            return b"".join(parts)
        if self.body or self.method in {b"POST", b"PUT", b"PATCH"}:
            parts.append(_length_line(len(self.body)))
        parts += (b"\r\n", self.body)
        return b"".join(parts)

    def copy_for_mirror(self) -> Request:
        """The same request, marked as a copy."""
        copy = Request()
        copy.method, copy.target, copy.body, copy.options = self.method, self.target, self.body, self.options
        copy.headers, copy.modern, copy.mirrored = list(self.headers), self.modern, True
        return copy


def _length_line(length: int) -> bytes:
    return b"content-length: %d\r\n" % length


def serialise_head(status: int, headers: Headers, extra: bytes) -> list[bytes | bytearray]:
    """Status line and headers of a response, without the empty line at the end.

    Args:
        status: The status code.
        headers: Those of a worker or of ours; hop-by-hop ones and lengths are left out.
        extra: Whole header lines to add.
    """
    parts: list[bytes | bytearray] = [_STATUS_LINES[status]]
    for name, value in headers:
        if name not in HOP_BY_HOP:
            parts += (name, b": ", value, b"\r\n")
    parts.append(extra)
    return parts


def bodiless(status: int) -> bool:
    """Whether responses of this status never have a body (RFC 9112, section 6.3)."""
    return status in {204, 304} or status < 200


def message(text: str) -> bytes:
    """The body of an error, as Azure ML's server writes it."""
    return json.dumps({"message": text}).encode()


def identifying_headers(request: Request) -> Headers:
    """Request ids for an answer that no worker made, by the rules of azureml-inference-server-http."""
    given = {name: value for name, value in request.headers if name.endswith(b"request-id")}
    usable = {name: value for name, value in given.items() if 0 < len(value) <= MAX_REQUEST_ID}
    own = usable.get(b"x-request-id") or str(uuid.uuid4()).encode()
    legacy = usable.get(b"x-ms-request-id")
    client = usable.get(b"x-ms-client-request-id") or legacy
    headers: Headers = [(b"x-request-id", own), (b"x-ms-request-id", legacy or client or own)]
    if client:
        headers.append((b"x-ms-client-request-id", client))
    return headers
