"""A client's connection on loan: a thread reads and writes it itself, and the event loop does nothing with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import time

from mlops_scoring.cpu_limit import cpu_limit
from mlops_scoring.wire.connection import ServerConnection
from mlops_scoring.wire.inflow import Buffered
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.reading import Stage
from mlops_scoring.wire.server import Listener

_PIECE = 64 * 1024

_PROMPT_SECONDS = 0.0002 if cpu_limit() > 1 else 0.0
"""A client that asks again within this time is waited for awake: to sleep and to be woken would take 30 of its 200 µs.
Who asks more slowly is waited for asleep, so no more than this is lost when a client becomes slow. With one CPU it is
the client's."""


class LentTransport(asyncio.Transport):
    """Stands in for a connection's transport while the connection is on loan.

    `recall`, `abort`, `has_more` and `forget` are the event loop's, all else is the thread's that has the connection.

    Args:
        owner: The event loop's transport, which is paused.

    Attributes:
        aborted: Whether the connection is to end at once when it is given back.
        owner: As given.
        recalled: Whether the event loop wants the connection back.
        unsent: What the socket has not taken; it is the event loop's to send.

    Raises:
        OSError: There is no file descriptor left.
    """

    def __init__(self, owner: asyncio.Transport) -> None:
        """Have a descriptor of one's own for the same socket, which stays valid whatever the owner does."""
        super().__init__()
        self.aborted = False
        self.owner = owner
        self.recalled = False
        self.unsent = b""
        self._closing = False
        self._prompt = False
        self._hear, self._call = socket.socketpair()
        try:
            self._socket = socket.socket(fileno=os.dup(owner.get_extra_info("socket").fileno()))
        except OSError:
            self._hear.close()
            self._call.close()
            raise
        for end in (self._call, self._socket):
            end.setblocking(False)  # a script may have set another default
        self._waiting = select.poll()
        self._waiting.register(self._socket, select.POLLIN)
        self._waiting.register(self._hear, select.POLLIN)

    def recall(self) -> None:
        """Ask for the connection; whoever has it gives it back when the request that it answers is answered."""
        if not self.recalled:
            self.recalled = True
            self._call.send(b"\0")

    def abort(self) -> None:
        """End the connection at once when it has been given back."""
        self.aborted = True
        self.recall()

    @property
    def has_more(self) -> bool:
        """Whether the client has sent what nobody has read, or has gone."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))

    def forget(self) -> None:
        """The connection is the event loop's again, and ends when that closes it, whatever the thread still does."""
        self._hear.close()
        self._call.close()
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Whether the client has sent something; False when the time is over, or the connection is recalled."""
        began = time.perf_counter()
        found = self._prompt and self._poll_until(began + _PROMPT_SECONDS)
        if not found:
            found = bool(self._waiting.poll(seconds * 1000))
            self._prompt = time.perf_counter() - began < _PROMPT_SECONDS
        return found and not self.recalled

    def _poll_until(self, end: float) -> bool:
        """Whether something has come by then; each look lets other threads have the interpreter's lock."""
        poll, now = self._waiting.poll, time.perf_counter
        while not (found := poll(0)) and now() < end:
            pass
        return bool(found)

    def receive(self) -> bytes | None:
        """What has come; nothing where the client has gone, None where nothing has come."""
        try:
            return self._socket.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the socket takes at once; a client that has gone is noticed when the connection is given back."""
        taken = 0
        if not self.unsent:
            with contextlib.suppress(OSError):
                taken = self._socket.send(data)
        if taken < len(data):
            self.unsent += bytes(data[taken:])

    def close(self) -> None:
        """End the connection when it has been given back and all is sent."""
        self._closing = True

    def is_closing(self) -> bool:
        """Whether it is to end."""
        return self._closing

    @property
    def undisturbed(self) -> bool:
        """Whether there is nothing that the event loop has to do for the connection."""
        return not (self.recalled or self._closing or self.unsent)


class LendableConnection(ServerConnection):
    """A connection that can be lent to a thread.

    Between `lend` and `take_back` the thread calls `take`, `put_back` and what the answerer calls, and the event loop
    nothing but what is said to be its own.
    """

    _lent: LentTransport | None = None

    @property
    def lendable(self) -> bool:
        """Whether it waits for the next request, with nothing read, nothing unsent, nothing to end it, and no TLS."""
        transport = self._transport
        return (
            self._lent is None
            and self._is_idle
            and not self._retired
            and self.writable
            and self._paused_since is None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
            and transport.get_extra_info("socket") is not None
            and transport.get_extra_info("sslcontext") is None
        )

    @property
    def _is_idle(self) -> bool:
        reader = self._reader
        return self._current is None and reader.stage is Stage.IDLE and not (reader.requests or reader.refusal)

    def lend(self) -> LentTransport:
        """Leave the connection to a thread; it must be lendable.

        Raises:
            OSError: There is no file descriptor left; nothing has changed.
        """
        lent = LentTransport(self._transport)
        self._transport.pause_reading()
        self._lent = self._transport = lent
        self._reader.buffered = Buffered()  # the listener's count is the event loop's
        return lent

    def take_back(self) -> None:
        """Go on as before; called on the event loop, when the thread does nothing any more."""
        lent, self._lent = self._lent, None
        if lent is None:
            return
        transport = self._transport = lent.owner
        self._listener.buffered.size += self._reader.buffered.size
        self._reader.buffered = self._listener.buffered
        has_more = lent.has_more
        lent.forget()
        if lent.aborted:
            transport.abort()
            return
        self._set_deadline()
        transport.resume_reading()
        if lent.unsent:
            transport.write(lent.unsent)
        if lent.is_closing():
            transport.close()
        if not (has_more and self._is_idle):  # else it will be read; a retired connection is closed after that
            self._advance()

    def retire(self) -> None:
        """Close once everything received so far has been answered."""
        if self._lent is None:
            super().retire()
        else:
            self._retired = True
            self._lent.recall()

    def check(self, now: float) -> None:
        """Look at the deadline and the pace, about once a second; a loan is for no longer unless requests come."""
        if self._lent is None:
            super().check(now)

    def _is_last(self, request: Request) -> bool:
        return super()._is_last(request) if self._lent is None else not request.keep_alive

    # What the thread calls

    def take(self, data: bytes) -> Request | None:
        """Parse; the request that is whole now, where it is all that has come and nothing is wrong with it."""
        reader = self._reader
        reader.feed(data)
        if len(reader.requests) != 1 or reader.refusal is not None or reader.stage is not Stage.IDLE:
            return None
        request = self._current = reader.requests.popleft()
        self._mute = request.method == b"HEAD"
        self._started = False
        return request

    @property
    def wants_more(self) -> bool:
        """Whether a part of one request has come, and nothing has to be done but to wait for the rest."""
        reader = self._reader
        return not (reader.requests or reader.refusal or reader.wants_continue)

    def put_back(self) -> None:
        """Leave the request that was taken to the event loop."""
        if self._current is not None:
            self._reader.requests.appendleft(self._current)
            self._current = None


class LendingListener(Listener):
    """A listener whose connections can be lent."""

    _connection = LendableConnection
