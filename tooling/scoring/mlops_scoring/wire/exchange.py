"""What a client's connection tells whoever answers its current request."""

from __future__ import annotations

from typing import Protocol


class Exchange(Protocol):
    """What a connection tells the answerer of its current request."""

    def client_lost(self) -> None:
        """The client is gone; nobody reads the answer."""

    def client_paused(self) -> None:
        """The client reads more slowly than the answer comes."""

    def client_resumed(self) -> None:
        """The client has caught up."""

    def body_lost(self, status: int) -> None:
        """The rest of the body will not come; the client is told so with this status."""


class Silent:
    """An exchange that does not care what becomes of its client."""

    def client_lost(self) -> None:
        """Nothing to stop."""

    def client_paused(self) -> None:
        """Nothing to slow down."""

    def client_resumed(self) -> None:
        """Nothing was slowed down."""

    def body_lost(self, status: int) -> None:
        """Nothing waits for it."""


SILENT = Silent()
