"""A request's body that is passed on while it is still coming."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

_HELD = 256 * 1024
_MERGED = 64 * 1024


class Buffered:
    """Bytes of bodies held by all connections of a listener."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        """Begin at nothing."""
        self.size = 0


class Taker(Protocol):
    """Who passes the body on."""

    def body_came(self) -> None:
        """There is a further piece, or the body is complete."""


def _nothing() -> None:
    return


class Inflow:
    """Pieces of a body between a client's connection and a worker's.

    Args:
        first: What has come so far.
        length: Bytes of the whole body; None where the client does not say.
        buffered: Shared count of the bytes held.

    Attributes:
        complete: The last piece has come.
        received: Bytes that have come so far.
        taker: Hears of pieces.
        eased: Called when pieces were taken.
    """

    __slots__ = ("_buffered", "_closed", "_held", "_pieces", "complete", "eased", "length", "received", "taker")

    def __init__(self, first: bytes | bytearray, length: int | None, buffered: Buffered) -> None:
        """Hold the first piece, whose bytes `buffered` has already."""
        self.complete = False
        self.length = length
        self.received = len(first)
        self.taker: Taker | None = None
        self.eased: Callable[[], None] = _nothing
        self._pieces: deque[bytes | bytearray] = deque([first])
        self._held = len(first)
        self._buffered = buffered
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether the client should wait. One piece is always kept back, so one piece alone is never too much."""
        return self._held > _HELD and len(self._pieces) > 1

    @property
    def pieces(self) -> int:
        """How many pieces there are to take."""
        return len(self._pieces)

    def feed(self, piece: bytes) -> None:
        """A further piece has come."""
        self.received += len(piece)
        if self._closed:
            return
        self._held += len(piece)
        self._buffered.size += len(piece)
        last = self._pieces[-1] if len(self._pieces) > 1 else b""
        if isinstance(last, bytearray) and len(last) < _MERGED:
            last += piece
        else:
            self._pieces.append(piece if len(piece) >= _MERGED else bytearray(piece))
        if self.taker is not None:
            self.taker.body_came()

    def finish(self) -> None:
        """The body is complete."""
        self.complete = True
        if self.taker is not None:
            self.taker.body_came()

    def take(self) -> bytes | bytearray:
        """The next piece; there must be one."""
        piece = self._pieces.popleft()
        self._held -= len(piece)
        self._buffered.size -= len(piece)
        self.eased()
        return piece

    def close(self) -> None:
        """Nobody takes any more: drop what is here and what still comes."""
        if self._closed:
            return
        self._closed = True
        self.taker = None
        self._pieces.clear()
        self._buffered.size -= self._held
        self._held = 0
        self.eased()
