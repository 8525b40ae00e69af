"""The side that workers are on: one connection to a worker's UNIX socket, with one request at a time."""

from __future__ import annotations

import asyncio
import sys
from enum import Enum
from typing import Protocol, cast

import httptools

from mlops_scoring.wire.messages import Headers, Request

_HIGH_WATER = 1024 * 1024
_HEAD_BYTES = 64 * 1024
_SURELY_ATOMIC = 32 * 1024
"""A write of so many bytes to an idle UNIX socket is taken whole or not at all, and read whole or not at all."""

_NEVER_READ = (BrokenPipeError, ConnectionResetError) if sys.platform == "linux" else (BrokenPipeError,)
"""How a connection ends whose other side has not read our bytes. On a UNIX socket, Linux says ECONNRESET only when the
other side has closed with bytes unread (unix_release_sock in net/unix/af_unix.c)."""


class Loss(Enum):
    """How far a request had come when its connection was lost."""

    UNSENT = "the worker had not received any of it"
    UNANSWERED = "the worker may have begun it, and had not answered"
    PARTIAL = "the worker had begun to answer"


class Reply(Protocol):
    """Takes what a worker answers; either `whole`, or `begun`, `piece` and `ended`, or `lost` at any point."""

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for the answer."""

    def sent(self, connection: UpstreamConnection) -> None:
        """The request is on its way, on this connection."""

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The answer, complete."""

    def begun(self, status: int, headers: Headers) -> None:
        """The head of an answer whose body is still coming."""

    def piece(self, body: bytes) -> None:
        """A piece of the body."""

    def ended(self) -> None:
        """The body is complete."""

    def lost(self, loss: Loss) -> None:
        """There will be no answer, or no more of it."""

    def worker_resumed(self) -> None:
        """The worker has read what was written; a body that is still coming may go on."""


class Pool(Protocol):
    """The worker that a connection belongs to."""

    @property
    def accepting(self) -> bool:
        """Whether the connection may be used again."""

    def opened(self, connection: UpstreamConnection) -> None:
        """A connection was made."""

    def closed(self, connection: UpstreamConnection) -> None:
        """A connection has ended."""

    def answered(self, connection: UpstreamConnection, length: int) -> None:
        """`run()` has returned, and an answer of so many bytes is still to be read."""

    def finished(self, reusable: UpstreamConnection | None, *, placed: bool, unread: int = 0) -> None:
        """A request has left the worker.

        Args:
            reusable: The connection, where it can carry another one.
            placed: Whether the request had one of the worker's places.
            unread: Its `unread`; the place was given back already unless it is 0.
        """


class UpstreamConnection(asyncio.Protocol):
    """One connection to a worker.

    Attributes:
        writable: Whether the worker reads what is written.
        placed: Whether its request has got one of the worker's places; one whose body is still coming has none.
        unread: Bytes of the answer for which the place was given back before they were read.
    """

    def __init__(self, pool: Pool) -> None:
        """Wait for the transport."""
        self.writable = True
        self.placed = False
        self.unread = 0
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._reply: Reply | None = None
        self._sent = 0
        self._chunked = False
        self._wrote_all = True
        self._answering = False  # any byte of the response has come
        self._bodiless_request = False
        self._reset()

    def _reset(self) -> None:
        self._status = 0
        self._headers: Headers = []
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._head_done = False
        self._begun = False
        self._complete = False
        self._reusable = True

    # What the transport calls

    def pause_writing(self) -> None:
        """The worker reads slowly."""
        self.writable = False

    def resume_writing(self) -> None:
        """The worker has read what was written."""
        self.writable = True
        if self._reply is not None:
            self._reply.worker_resumed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        connected = self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        connected.set_write_buffer_limits(high=_HIGH_WATER)
        self._pool.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker has closed, or died."""
        self._pool.closed(self)
        if self._reply is None:
            return
        if self._answering:
            loss = Loss.PARTIAL
        elif isinstance(exc, _NEVER_READ) and self._sent <= _SURELY_ATOMIC:
            loss = Loss.UNSENT
        else:
            loss = Loss.UNANSWERED
        self._lose(loss)

    def _lose(self, loss: Loss) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            self._pool.finished(None, placed=self.placed, unread=self.unread)
            reply.lost(loss)

    def data_received(self, data: bytes) -> None:
        """Parse; pass on what came."""
        reply = self._reply
        if reply is None:
            self._transport.abort()  # bytes that nobody asked for: the two sides would disagree about what is next
            return
        self._answering = True
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.abort()
            self._lose(Loss.PARTIAL)
            return
        if self._head_bytes > _HEAD_BYTES and self._head_is_too_large():
            self._transport.abort()
            self._lose(Loss.PARTIAL)
        elif self._complete:
            self._finish(reply)
        elif self._head_done:
            self._flush(reply)

    def _head_is_too_large(self) -> bool:
        """Whether it was the head, and not a body in the same piece, that made so many bytes."""
        if self._head_done:
            self._head_bytes = sum(len(name) + len(value) for name, value in self._headers)
        return self._head_bytes > _HEAD_BYTES

    def _flush(self, reply: Reply) -> None:
        if not self._begun:
            self._begun = True
            length = self._length()
            reply.begun(self._status, self._headers)
            if length and self.placed:
                self._pool.answered(self, length)
        pieces, self._body = self._body, []
        for piece in pieces:
            reply.piece(piece)

    def _length(self) -> int:
        """What the worker says of the answer's length, which it can say only when `run()` has returned; or 0."""
        return next((int(value) for name, value in self._headers if name == b"content-length"), 0)

    def _finish(self, reply: Reply) -> None:
        status, headers, body, begun = self._status, self._headers, self._body, self._begun
        unread, self.unread = self.unread, 0
        self._reply = None
        # An answer that came before the request was written whole leaves bytes behind.
        reusable = self._reusable and self._wrote_all and not self._transport.get_write_buffer_size()
        self._reset()
        if reusable and self._pool.accepting:
            self._pool.finished(self, placed=self.placed, unread=unread)
        else:
            self._transport.close()
            self._pool.finished(None, placed=self.placed, unread=unread)
        if begun:
            for piece in body:
                reply.piece(piece)
            reply.ended()
        else:
            reply.whole(status, headers, body[0] if len(body) == 1 else b"".join(body))

    # What the parser calls

    def on_message_begin(self) -> None:
        """The first byte of a response."""
        if self._complete:
            self._reusable = False  # a second response that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; trailers are dropped."""
        if not self._head_done and not self._complete:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        self._head_done = True
        self._reusable = self._parser.should_keep_alive()
        if self._bodiless_request:
            # The parser cannot be told that no body follows the length, so it is not used again.
            self._complete = True
            self._reusable = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._complete:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The response is complete, or was an interim one."""
        if self._complete:
            return
        if self._status < 200:
            self._reset()
        else:
            self._complete = True

    # What the upstream and the exchange call

    def send(self, request: Request, reply: Reply) -> bool:
        """Write a request; without its body where that is still coming.

        Returns:
            False when the connection was found closed before any byte was written.
        """
        transport = self._transport
        if transport.is_closing():
            return False
        self._answering = False
        self._bodiless_request = request.method == b"HEAD"
        inflow = request.inflow
        self._wrote_all = self.placed = inflow is None
        self._chunked = inflow is not None and inflow.length is None
        data = request.serialise()
        self._sent = len(data)
        transport.write(data)
        if transport.is_closing():
            return False
        self._reply = reply
        reply.sent(self)
        return True

    def write(self, piece: bytes | bytearray, *, last: bool) -> None:
        """Write a piece of the body of a request that was sent without it."""
        if self._transport.is_closing():
            return
        self._sent += len(piece)
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)) if self._chunked else piece)
        if last:
            self._wrote_all = True
            if self._chunked:
                self._transport.write(b"0\r\n\r\n")

    def pause(self) -> None:
        """Stop reading the answer for a while."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading the answer."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()
