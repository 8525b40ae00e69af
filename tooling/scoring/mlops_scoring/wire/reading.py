"""Reading requests: httptools' strict parser, and the checks that it leaves to us.

llhttp itself refuses what requests are smuggled with: `Content-Length` beside `Transfer-Encoding`, either of them
twice, signs or lists in a length, folded headers, bare CR or LF, control characters, space before a colon, bad chunk
sizes.
Here are the rest: versions, hosts, other transfer encodings, targets, and every bound on size.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from enum import Enum

import httptools

from mlops_scoring.wire.inflow import Buffered, Inflow
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Refusal, Request

_MAX_OFFERS = 16
_COMMON_OPTIONS = frozenset({b"keep-alive", b"close"})
_CHECKED = frozenset({b"content-length", b"transfer-encoding", b"expect", b"connection"})
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%_~-]*\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::[0-9]*)?")
"""RFC 9112, section 3.2: a name or an address, perhaps none, and perhaps a port."""
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


class Stage(Enum):
    """What the next bytes belong to."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class _Refused(Exception):
    """Stops the parser; what to answer is in `RequestReader.refusal`."""


class RequestReader:
    """Turns one connection's bytes into whole requests.

    Args:
        limits: Bounds on what is accepted.
        buffered: Shared count of body bytes; this reader adds, `release` takes away.
        admit: Looks at each request's head, and may refuse it before its body is read.
        streaming: Whether requests with large bodies are given out before they are whole, with an inflow.

    Attributes:
        buffered: As given.
        requests: Requests, in order; whole, unless they have an inflow.
        refusal: What the client is told, once something was wrong; nothing is read after it.
        received: Bytes of bodies that have come over this connection.
        stage: What the next bytes belong to.
        wants_continue: The client waits for `100 Continue` before it sends the body.
    """

    def __init__(
        self,
        limits: Limits,
        buffered: Buffered,
        admit: Callable[[Request], Refusal | None] | None = None,
        *,
        streaming: bool = False,
    ) -> None:
        """Stand before the first byte of a connection."""
        self.requests: deque[Request] = deque()
        self.refusal: Refusal | None = None
        self.received = 0
        self.stage = Stage.IDLE
        self.wants_continue = False
        self._limits = limits
        self.buffered = buffered
        self._admit = admit
        self._held_bytes = limits.stream_bytes if streaming else limits.body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._apart = 0  # bytes since the last piece of a body: a head, a chunk's extension, a trailer
        self._body_bytes = 0
        self._host = b""  # the last one that was found valid

    def feed(self, data: bytes) -> None:
        """Parse; afterwards look at the attributes."""
        self._apart += len(data)
        for _ in range(_MAX_OFFERS):
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # Some clients always offer HTTP/2, which may be ignored (RFC 9110, section 7.8). The parser has taken
                # the end of the head for the end of HTTP: it is given the same head again, without the offer.
                self._parser = httptools.HttpRequestParser(self)
                data = self.requests.pop().head_without(b"upgrade") + data[offer.args[0] :]
                continue
            except httptools.HttpParserError as error:
                self.refusal = self.refusal or Refusal(400, f"Not a valid HTTP/1.1 request: {error}.")
            except _Refused:
                pass
            break
        else:
            self.refusal = Refusal(400, "Too many offers of another protocol.")
        if self._apart > self._limits.head_bytes and self.stage is not Stage.IDLE and self.refusal is None:
            what = "headers" if self.stage is Stage.HEAD else "trailers or chunk sizes"
            self.refusal = Refusal(431, f"The request's {what} are too large.")

    @property
    def partial(self) -> Request:
        """What has been read of the request that is still coming; its method is empty until the head is whole."""
        return self._request

    def drop_partial(self) -> None:
        """Forget a request that was given out and waits for its turn, but whose body will not come to its end."""
        if self.requests:
            inflow = self.requests[-1].inflow
            if inflow is not None and not inflow.complete:
                self.release(self.requests.pop())

    def release(self, request: Request) -> None:
        """A request was answered or dropped: its body is no longer held."""
        self.buffered.size -= len(request.body)
        if request.inflow is not None:
            request.inflow.close()

    def close(self) -> None:
        """Drop whatever has not been answered."""
        if self._request.inflow is None:  # otherwise it was given out, or is among the requests
            self.release(self._request)
        for request in self.requests:
            self.release(request)
        self.requests.clear()
        self._request = Request()  # parser and reader know each other: a body would stay until both are collected

    # What the parser calls

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._request = Request()
        self.stage = Stage.HEAD
        self.wants_continue = False
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._request.target += url
        if len(self._request.target) > self._limits.target_bytes:
            self._refuse(414, "The request's target is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; or a trailer, which is dropped."""
        self._body_bytes += len(name) + len(value)
        if self.stage is Stage.BODY:
            if self._body_bytes > self._limits.body_bytes:
                self._refuse(413, "The request's trailers are too large.")
            return
        self._request.headers.append((name.lower(), value))
        if len(self._request.headers) > self._limits.headers or self._body_bytes > self._limits.head_bytes:
            self._refuse(431, "The request's headers are too large.")

    def on_headers_complete(self) -> None:
        """Check the head as a whole."""
        request = self._request
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        request.modern = version == "1.1"
        if version not in {"1.1", "1.0"}:
            self._refuse(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        self._check_headers(request)
        self._check_target(request)
        if self._admit is not None:
            refusal = self._admit(request)
            if refusal is not None:
                self.refusal = refusal
                raise _Refused
        self.stage = Stage.BODY
        self._body_bytes = self._apart = 0

    def _check_headers(self, request: Request) -> None:
        names = [name for name, _ in request.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (request.modern and not hosts):
            self._refuse(400, "A request has exactly one Host header.")
        if hosts:
            host = request.headers[names.index(b"host")][1]
            if host != self._host:
                if _HOST.fullmatch(host.strip(b" \t")) is None:
                    self._refuse(400, "The Host header is not valid.")
                self._host = host
        if names.count(b"authorization") > 1:
            self._refuse(400, "A request has at most one Authorization header.")
        for name, value in request.headers:
            if name in _CHECKED:
                self._check_header(request, name, value)

    def _check_header(self, request: Request, name: bytes, value: bytes) -> None:
        match name:
            case b"content-length":
                if int(value) > self._limits.body_bytes:
                    self._refuse(413, f"A request's body has at most {self._limits.body_bytes} bytes.")
            case b"transfer-encoding":
                if value.lower() != b"chunked" or not request.modern:
                    self._refuse(501, "The only transfer encoding is 'chunked', in HTTP/1.1.")
            case b"expect":
                if value.lower() != b"100-continue":
                    self._refuse(417, "The only expectation is '100-continue'.")
                self.wants_continue = request.modern
            case _:
                if value.lower() not in _COMMON_OPTIONS:
                    named = frozenset(option.strip().lower() for option in value.split(b",")) - {b"host"}
                    request.options = named | (request.options or frozenset())

    def _check_target(self, request: Request) -> None:
        if request.method == b"CONNECT":
            self._refuse(501, "This endpoint is no proxy.")
        if request.target.startswith(b"/") or (request.target == b"*" and request.method == b"OPTIONS"):
            return
        matched = _ABSOLUTE.match(request.target)
        if matched is None:
            self._refuse(400, "The request's target must be a path.")
            return
        rest = request.target[matched.end() :]
        request.target = rest if rest.startswith(b"/") else b"/" + rest

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        request = self._request
        self.wants_continue = False
        self.received += len(body)
        self._apart = 0
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse(413, f"A request's body has at most {self._limits.body_bytes} bytes.")
        if request.inflow is not None:
            request.inflow.feed(body)
            return
        if self.buffered.size + len(body) > self._limits.buffered_bytes:
            self._refuse(503, "The requests under way are too large together; try again.")
        self.buffered.size += len(body)
        if not request.body:
            request.body = body
        elif isinstance(request.body, bytearray):
            request.body += body
        else:
            request.body = bytearray(request.body) + body
        if self._body_bytes > self._held_bytes:
            self._give_out(request)

    def _give_out(self, request: Request) -> None:
        """Let a request be passed on although its body is still coming."""
        lengths = [int(value) for name, value in request.headers if name == b"content-length"]
        request.inflow = Inflow(request.body, lengths[0] if lengths else None, self.buffered)
        request.body = b""
        self.requests.append(request)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.wants_continue = False
        self.stage = Stage.IDLE
        self._apart = 0
        request, self._request = self._request, Request()
        if request.inflow is None:
            self.requests.append(request)
        else:
            request.inflow.finish()

    def _refuse(self, status: int, text: str) -> None:
        self.refusal = Refusal(status, text)
        raise _Refused
