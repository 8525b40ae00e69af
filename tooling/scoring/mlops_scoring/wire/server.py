"""The side that clients talk to: connections that yield whole requests and take answers, and their listener."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import cast

from mlops_scoring.wire.exchange import SILENT, Exchange
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Headers, Request, bodiless, message, serialise_head
from mlops_scoring.wire.reading import Buffered, RequestReader, Stage

_HIGH_WATER = 1024 * 1024
_SWEEP_SECONDS = 1.0
_LINGER_BYTES = 1024 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_JSON = (b"content-type", b"application/json")


Handler = Callable[[Request, "ServerConnection"], None]
"""Answers one request, then or later, by `send` or by `start`, `write` and `finish` of the connection. It may set the
connection's `exchange` to hear of the client's going."""


class Listener:
    """What the connections of one address share: handler, limits, and the count of what they hold."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        """Begin without connections, and watch their deadlines."""
        self.handler = handler
        self.limits = limits
        self.buffered = Buffered()
        self.connections: set[ServerConnection] = set()
        self.draining = False
        self.loop = asyncio.get_running_loop()
        self._sweeper = self.loop.call_later(_SWEEP_SECONDS, self._sweep)
        self._empty: asyncio.Future[None] | None = None

    def __call__(self) -> ServerConnection:
        """Make the protocol of a new connection."""
        return ServerConnection(self)

    def _sweep(self) -> None:
        now = self.loop.time()
        for connection in [found for found in self.connections if found.deadline < now]:
            connection.expire()
        self._sweeper = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def lost(self, connection: ServerConnection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    async def drain(self, seconds: float) -> None:
        """Let the requests that are under way be answered, for so long at most, then end all connections."""
        self.draining = True
        for connection in list(self.connections):
            connection.retire()
        if self.connections:
            self._empty = self.loop.create_future()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty, seconds)
        for connection in list(self.connections):
            connection.abort()
        self._sweeper.cancel()


class ServerConnection(asyncio.Protocol):
    """One client's connection: requests answered in order, keep-alive, bounded reading.

    Attributes:
        deadline: Loop time after which the connection has been silent for too long.
        exchange: Hears of the client's going and slowness while a request is being answered.
    """

    def __init__(self, listener: Listener) -> None:
        """Wait for the transport."""
        self.deadline = listener.loop.time() + listener.limits.head_seconds
        self.exchange: Exchange = SILENT
        self.writable = True
        self._listener = listener
        self._reader = RequestReader(listener.limits, listener.buffered)
        self._transport: asyncio.Transport
        self._current: Request | None = None
        self._advancing = False
        self._reading_paused = False
        self._chunked = False
        self._mute = False
        self._lingered = 0
        self._retired = False
        self._refused = False

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it when there are too many."""
        connected = self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if len(self._listener.connections) >= self._listener.limits.connections or self._listener.draining:
            connected.abort()
            return
        self._listener.connections.add(self)
        connected.set_write_buffer_limits(high=_HIGH_WATER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; tell the answerer."""
        del exc
        self._reader.close()
        exchange, self.exchange = self.exchange, SILENT
        if self._current is not None:
            self._reader.release(self._current)
            self._current = None
            exchange.client_lost()
        self._listener.lost(self)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self.writable = False
        self.exchange.client_paused()

    def resume_writing(self) -> None:
        """The client has read what was written."""
        self.writable = True
        self.exchange.client_resumed()
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Parse; begin answering what is whole."""
        reader = self._reader
        if reader.refusal is not None:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES:
                self._transport.abort()
            return
        before = reader.stage
        reader.feed(data)
        if reader.stage is not before:
            self._set_deadline()
        self._advance()

    def _set_deadline(self) -> None:
        limits = self._listener.limits
        match self._reader.stage:
            case Stage.IDLE:
                seconds = limits.idle_seconds
            case Stage.HEAD:
                seconds = limits.head_seconds
            case Stage.BODY:
                seconds = limits.body_seconds
        self.deadline = self._listener.loop.time() + seconds

    def _advance(self) -> None:
        """Answer the next request, when the one before is answered and the client has read it."""
        if self._advancing:
            return
        self._advancing = True
        reader = self._reader
        while self._current is None and reader.requests and self.writable and not self._transport.is_closing():
            request = self._current = reader.requests.popleft()
            self._mute = request.method == b"HEAD"
            self._listener.handler(request, self)
        self._advancing = False
        if self._current is None and self.writable and not reader.requests:
            if reader.refusal is not None:
                self._refuse(*reader.refusal)
            elif reader.wants_continue:
                reader.wants_continue = False
                self._transport.write(_CONTINUE)
            elif self._retired and reader.stage is Stage.IDLE:
                self._transport.close()
        self._regulate_reading()

    def _regulate_reading(self) -> None:
        # Reading goes on while a request is answered, to hear of the client's going, but not once another one is here.
        crowded = bool(self._reader.requests)
        if crowded != self._reading_paused and not self._transport.is_closing():
            self._reading_paused = crowded
            if crowded:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _refuse(self, status: int, text: str) -> None:
        if self._refused:
            return
        self._refused = True
        body = message(text)
        lines = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self._transport.writelines([*serialise_head(status, [_JSON], lines), body])
        # A close with unread bytes would reset the connection before the client has read the answer.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.deadline = self._listener.loop.time() + 1

    # What the answerer calls

    def send(self, status: int, headers: Headers, body: bytes | bytearray) -> None:
        """Answer the current request with all of its body."""
        if self._current is None:
            return
        if bodiless(status) or (self._mute and not body):
            length, body = b"", b""
        else:
            length = b"content-length: %d\r\n" % len(body)
        parts = serialise_head(status, headers, length + self._connection_line() + b"\r\n")
        if not self._mute:
            parts.append(body)
        self._transport.write(b"".join(parts))
        self._end()

    def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Begin an answer that comes in pieces.

        Args:
            status: The status code.
            headers: Headers, without lengths and hop-by-hop ones.
            length: Bytes of the body where known; otherwise it is chunked, or ended by closing for HTTP/1.0.
        """
        if self._current is None:
            return
        self._chunked = length is None and self._current.modern and not bodiless(status)
        if length is not None:
            lines = b"content-length: %d\r\n" % length
        elif self._chunked:
            lines = b"transfer-encoding: chunked\r\n"
        else:
            lines = b""
            self._current.keep_alive = self._current.keep_alive and bodiless(status)
        self._transport.write(b"".join(serialise_head(status, headers, lines + self._connection_line() + b"\r\n")))

    def write(self, body: bytes | bytearray) -> None:
        """Write a piece of the body."""
        if self._current is None or self._mute or not body:
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(body), bytes(body)) if self._chunked else body)

    def finish(self) -> None:
        """End an answer that came in pieces."""
        if self._current is None:
            return
        if self._chunked and not self._mute:
            self._transport.write(b"0\r\n\r\n")
        self._end()

    def abort(self) -> None:
        """End the connection at once, so that a partial answer cannot be taken for a whole one."""
        self._transport.abort()

    def retire(self) -> None:
        """Close once everything received so far has been answered."""
        self._retired = True
        self._advance()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._current is not None:
            return  # the answerer has its own time limits
        if self._reader.stage is not Stage.IDLE and self._reader.refusal is None:
            self._reader.refusal = (408, "The request did not arrive in time.")
            self._advance()
        else:
            self._transport.abort()

    def _connection_line(self) -> bytes:
        if self._current is None or self._retired:
            return b"connection: close\r\n"
        if not self._current.keep_alive:
            return b"connection: close\r\n"
        return b"" if self._current.modern else b"connection: keep-alive\r\n"

    def _end(self) -> None:
        request, self._current = self._current, None
        self.exchange = SILENT
        self.deadline = self._listener.loop.time() + self._listener.limits.idle_seconds
        if request is not None:
            self._reader.release(request)
            if not request.keep_alive or (self._retired and not self._reader.requests):
                self._transport.close()
                return
        if self._reader.requests or self._reader.refusal is not None or self._reader.wants_continue:
            self._advance()
