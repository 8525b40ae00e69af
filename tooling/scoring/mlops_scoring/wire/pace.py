"""Whether one direction of a connection moves fast enough."""

from __future__ import annotations


class Pace:
    """Bytes over time, looked at about once a second.

    A window begins when somebody waits for bytes, and begins anew when it has passed and enough has moved in it.
    """

    __slots__ = ("_amount", "_since")

    def __init__(self) -> None:
        """Begin outside of a window."""
        self._since: float | None = None
        self._amount = 0

    def rest(self) -> None:
        """Nobody waits for bytes."""
        self._since = None

    def is_slow(self, now: float, amount: int, rate: float, window: float) -> bool:
        """Whether a window has passed with too few bytes.

        Args:
            now: Seconds, of any clock.
            amount: Bytes that have moved since the connection began.
            rate: Bytes a second that must move.
            window: Seconds over which that is measured.
        """
        if self._since is None:
            self._since, self._amount = now, amount
            return False
        if now - self._since < window:
            return False
        moved = amount - self._amount
        slow = moved < rate * (now - self._since)
        self._since, self._amount = now, amount
        return slow
