"""Which requests are kept: decided once for a request, so that all its rows are kept or left out together."""

from __future__ import annotations

import hashlib

_SPAN = float(2**53)


class Draw:
    """Draws requests by a keyed hash of their ids, so that callers who choose their ids cannot choose the outcome.

    Args:
        key: Any bytes; processes with the same key decide alike.
    """

    def __init__(self, key: bytes) -> None:
        """Derive the draw's own key."""
        self._state = hashlib.blake2b(digest_size=8, key=key[:64], person=b"sampling")

    def lot(self, identity: str) -> float:
        """A number from 0 (included) to 1 (excluded), the same for the same id; below the rate means kept."""
        state = self._state.copy()
        state.update(identity.encode("utf-8", "surrogatepass"))
        return (int.from_bytes(state.digest()) >> 11) / _SPAN
