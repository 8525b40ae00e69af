"""Requests that wait for something, each for a limited time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from mlops_scoring.wire.pool import Upstream


class Waiting(Protocol):
    """A request that a backend gives a worker, now or soon."""

    def assigned(self, upstream: Upstream) -> None:
        """A worker is free."""

    def overdue(self) -> None:
        """No worker became free in time."""

    def stranded(self) -> None:
        """The deployment has no ready worker any more."""


class Queue:
    """First come, first served; who waits too long hears `overdue`.

    Attributes:
        entries: Those who wait, and their alarms.
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        """Begin with nobody."""
        self.entries: deque[tuple[Waiting, asyncio.TimerHandle]] = deque()

    def add(self, request: Waiting, milliseconds: int) -> None:
        """Let a request wait for so long at most."""
        timer = asyncio.get_running_loop().call_later(milliseconds / 1000, self._expire, request)
        self.entries.append((request, timer))

    def take(self) -> Waiting:
        """The one that has waited longest; there must be one."""
        request, timer = self.entries.popleft()
        timer.cancel()
        return request

    def withdraw(self, request: Waiting) -> None:
        """A request waits no longer, if it did."""
        for entry in self.entries:
            if entry[0] is request:
                entry[1].cancel()
                self.entries.remove(entry)
                break

    def _expire(self, request: Waiting) -> None:
        self.withdraw(request)
        request.overdue()
