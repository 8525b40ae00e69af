"""One client's connection: requests answered in order, keep-alive, bounded reading and writing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from mlops_scoring.wire.exchange import SILENT, Exchange
from mlops_scoring.wire.messages import Headers, Refusal, Request, bodiless, message, serialise_head
from mlops_scoring.wire.pace import Pace
from mlops_scoring.wire.reading import RequestReader, Stage

if TYPE_CHECKING:
    from mlops_scoring.wire.server import Listener

_HIGH_WATER = 256 * 1024
_LINGER_SECONDS = 30.0
_LINGER_SILENCE = 5.0
"""After a refusal what the client still sends is read and dropped for so long, in all and without any byte coming, as
nginx does it (`lingering_time`, `lingering_timeout`): a close with unread bytes would reset the connection, and who
writes a body before reading would never see why."""
_LINGER_BYTES = 256 * 1024 * 1024
_LINGER_RETIRED = 1.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_JSON = (b"content-type", b"application/json")
_RETRY_AFTER = (b"retry-after", b"1")
_RETRY_LATER = frozenset({429, 503})


class ServerConnection(asyncio.Protocol):
    """One client's connection: requests answered in order, keep-alive, bounded reading.

    Attributes:
        deadline: Time of the listener after which the connection has been silent for too long.
        exchange: Hears of the client's going and slowness while a request is being answered.
    """

    def __init__(self, listener: Listener) -> None:
        """Wait for the transport."""
        self.deadline = listener.now() + listener.limits.head_seconds
        self.exchange: Exchange = SILENT
        self.writable = True
        self._listener = listener
        self._reader = RequestReader(listener.limits, listener.buffered, listener.admit, streaming=listener.streaming)
        self._transport: asyncio.Transport
        self._current: Request | None = None
        self._advancing = False
        self._limits = listener.limits
        self._paused_since: float | None = None
        self._sending = Pace()
        self._taking = Pace()
        self._written = 0
        self._started = False
        self._chunked = False
        self._mute = False
        self._lingered = 0
        self._linger_until = 0.0
        self._retired = False
        self._refused = False
        self._broken_off = False

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it when there are too many."""
        connected = self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if self._listener.crowded or self._listener.draining:
            self._listener.connections_refused += 1
            connected.abort()
            return
        self.deadline = self._listener.now() + self._limits.head_seconds
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
        self._listener.loop.call_soon(self._advance)  # not now: asyncio's transport must not be closed in the middle

    def data_received(self, data: bytes) -> None:
        """Parse; begin answering what can be answered."""
        reader = self._reader
        if reader.refusal is not None:
            self._drop(len(data))
            return
        before = reader.stage
        reader.feed(data)
        if reader.stage is not before:
            self._set_deadline()
        refusal = self._reader.refusal
        if refusal is not None:
            reader.drop_partial()
            if self._incomplete:
                self._break_off(refusal.status)
        self._advance()

    def _drop(self, size: int) -> None:
        """So many bytes have come that nobody looks at."""
        self._lingered += size
        if self._lingered > max(self._limits.body_bytes, _LINGER_BYTES):
            self._transport.abort()
        elif self._refused:
            self.deadline = min(self._listener.now() + _LINGER_SILENCE, self._linger_until)

    @property
    def _incomplete(self) -> bool:
        """Whether the current request's body is still coming."""
        return self._current is not None and self._current.inflow is not None and not self._current.inflow.complete

    def _break_off(self, status: int) -> None:
        """The rest of the current request's body will not come."""
        self._broken_off = True
        exchange, self.exchange = self.exchange, SILENT
        request, self._current = self._current, None
        if request is not None:
            self._reader.release(request)
        exchange.body_lost(status)
        if self._started:
            self.abort()

    def _set_deadline(self) -> None:
        limits = self._limits
        match self._reader.stage:
            case Stage.IDLE:
                seconds = limits.idle_seconds
            case Stage.HEAD:
                seconds = limits.head_seconds
            case Stage.BODY:
                seconds = limits.body_seconds
        self.deadline = self._listener.now() + seconds

    def _advance(self) -> None:
        """Answer the next request, when the one before is answered and the client has read it."""
        if self._advancing or self._transport.is_closing():
            return
        self._advancing = True
        reader = self._reader
        while self._current is None and reader.requests and self.writable and not self._transport.is_closing():
            request = self._current = reader.requests.popleft()
            self._mute = request.method == b"HEAD"
            self._started = False
            if request.inflow is not None:
                request.inflow.eased = self._regulate_reading
            self._listener.handler(request, self)
        self._advancing = False
        if self._current is None and self.writable and not reader.requests:
            if reader.refusal is not None:
                self._refuse(reader.refusal)
            elif reader.wants_continue:
                reader.wants_continue = False
                self._transport.write(_CONTINUE)
                self._set_deadline()  # the client has waited for us
            elif self._retired and reader.stage is Stage.IDLE:
                self._transport.close()
        self._regulate_reading()

    def _regulate_reading(self) -> None:
        # Reading goes on while a request is answered, to hear of the client's going, but not once another one is here.
        inflow = self._current.inflow if self._current is not None else None
        pause = bool(self._reader.requests) or (inflow is not None and inflow.full)
        if pause == (self._paused_since is not None) or self._transport.is_closing():
            return
        now = self._listener.now()
        if self._paused_since is None:
            self._paused_since = now
            self._transport.pause_reading()
        else:
            self.deadline += now - self._paused_since  # time in which we did not read is not the client's
            self._paused_since = None
            self._transport.resume_reading()

    def _refuse(self, refusal: Refusal) -> None:
        if self._refused:
            return
        status = refusal.status
        self._listener.refusals[status] += 1
        body = message(refusal.text)
        lines = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        headers = [_JSON, *refusal.headers, *([_RETRY_AFTER] if status in _RETRY_LATER else [])]
        self._put(b"".join([*serialise_head(status, headers, lines), body]))
        if self._listener.refused is not None and not self._broken_off:  # otherwise the exchange has heard of it
            self._listener.refused(refusal, self._reader.partial)
        self._linger()

    def _linger(self) -> None:
        """End the connection, but not before the client had time to read the answer."""
        self._refused = True
        self._reader.refusal = self._reader.refusal or Refusal(400, "")  # what still comes is not looked at
        if self._paused_since is not None:
            self._paused_since = None
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        now = self._listener.now()
        self._linger_until = now + (_LINGER_RETIRED if self._retired else _LINGER_SECONDS)
        self.deadline = min(now + _LINGER_SILENCE, self._linger_until)

    def _put(self, data: bytes | bytearray) -> None:
        self._written += len(data)
        self._transport.write(data)

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
        self._put(b"".join(parts))
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
        self._started = True
        self._put(b"".join(serialise_head(status, headers, lines + self._connection_line() + b"\r\n")))

    def write(self, body: bytes | bytearray) -> None:
        """Write a piece of the body."""
        if self._current is None or self._mute or not body:
            return
        self._put(b"%x\r\n%b\r\n" % (len(body), bytes(body)) if self._chunked else body)

    def finish(self) -> None:
        """End an answer that came in pieces."""
        if self._current is None:
            return
        if self._chunked and not self._mute:
            self._put(b"0\r\n\r\n")
        self._end()

    def abort(self) -> None:
        """End the connection at once, so that a partial answer cannot be taken for a whole one."""
        self._transport.abort()

    def retire(self) -> None:
        """Close once everything received so far has been answered."""
        self._retired = True
        if self._refused:
            self._linger_until = min(self._linger_until, self._listener.now() + _LINGER_RETIRED)
            self.deadline = min(self.deadline, self._linger_until)
        self._advance()

    def check(self, now: float) -> None:
        """Look at the deadline and the pace, about once a second."""
        limits, reader = self._limits, self._reader
        if self.deadline < now:
            self.expire()
            return
        unsent = self._transport.get_write_buffer_size()
        if not unsent:
            self._sending.rest()
        elif self._sending.is_slow(now, self._written - unsent, limits.slowest_rate, limits.rate_seconds):
            self.abort()
        idle = reader.stage is not Stage.BODY or self._paused_since is not None or reader.wants_continue
        if idle or reader.refusal is not None:
            self._taking.rest()
        elif self._taking.is_slow(now, reader.received, limits.slowest_rate, limits.rate_seconds):
            self._time_out()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._current is not None and not (self._incomplete and self._paused_since is None):
            return  # the answerer has its own time limits
        if self._reader.stage is not Stage.IDLE:
            self._time_out()
        else:
            self._transport.abort()

    def _time_out(self) -> None:
        if self._reader.refusal is not None:
            self._transport.abort()
            return
        self._reader.refusal = Refusal(408, "The request did not arrive in time.")
        self._reader.drop_partial()
        if self._incomplete:
            self._break_off(408)
        self._advance()

    def _connection_line(self) -> bytes:
        request = self._current
        if request is not None and self._listener.leaving and not self._reader.requests:
            request.keep_alive = False
        if (
            request is None
            or self._retired
            or not request.keep_alive
            or (request.inflow is not None and self._incomplete)
        ):
            return b"connection: close\r\n"
        return b"" if request.modern else b"connection: keep-alive\r\n"

    def _end(self) -> None:
        request = self._current
        incomplete = request is not None and request.inflow is not None and self._incomplete
        self._current = None
        self.exchange = SILENT
        if self._reader.stage is Stage.IDLE:  # what has begun to come keeps its own deadline
            self.deadline = self._listener.now() + self._limits.idle_seconds
        if request is not None:
            self._reader.release(request)
            if incomplete:
                self._linger()
                return
            if self._is_last(request):
                self._transport.close()
                return
        if self._reader.requests or self._reader.refusal is not None or self._reader.wants_continue:
            self._advance()
        elif self._paused_since is not None:
            self._regulate_reading()

    def _is_last(self, request: Request) -> bool:
        """Whether the connection ends with this answer."""
        return not request.keep_alive or (self._retired and not self._reader.requests)
