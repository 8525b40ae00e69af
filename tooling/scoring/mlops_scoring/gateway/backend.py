"""One live deployment in the gateway: its workers, its bounded queue and its counters."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.wire.pool import Upstream

MAX_WAITING = 4096
"""Requests that wait for one deployment; beyond it they are refused at once, however short their wait would be."""


class Waiting(Protocol):
    """A request that a backend gives a worker, now or soon."""

    def assigned(self, upstream: Upstream) -> None:
        """A worker is free."""

    def overdue(self) -> None:
        """No worker became free in time."""

    def stranded(self) -> None:
        """The deployment has no ready worker any more."""


class Counters:
    """Requests answered for one live name, and those answered with 5xx; they only grow."""

    __slots__ = ("errors", "requests")

    def __init__(self) -> None:
        """Begin at nothing."""
        self.requests = 0
        self.errors = 0


class Backend:
    """Gives requests to the least busy worker, and lets them wait when all are busy.

    Attributes:
        name: The live name.
        header: The response header that names the deployment.
        settings: Limits of its requests.
        counters: What the gateway has answered for it.
    """

    def __init__(self, name: str, settings: RequestSettings, counters: Counters) -> None:
        """Begin without workers."""
        self.name = name
        self.header = (b"azureml-model-deployment", name.encode())
        self.settings = settings
        self.counters = counters
        self._upstreams: list[Upstream] = []
        self._waiting: deque[tuple[Waiting, asyncio.TimerHandle]] = deque()
        self._calm: asyncio.Future[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether any worker takes requests."""
        return any(upstream.accepting for upstream in self._upstreams)

    def open(self, name: str, path: str) -> Upstream:
        """A worker has become ready: give it requests."""
        upstream = Upstream(name, path, self.settings.max_concurrent_requests_per_instance, self._freed)
        self.resume(upstream)
        return upstream

    def resume(self, upstream: Upstream) -> None:
        """Give a worker requests, for the first time or again."""
        upstream.accepting = True
        if upstream not in self._upstreams:
            self._upstreams.append(upstream)
        while self._waiting and upstream.free:
            self._freed(upstream)

    def suspend(self, upstream: Upstream) -> None:
        """Give a worker no more requests; those that it has go on."""
        upstream.accepting = False
        if upstream in self._upstreams:
            self._upstreams.remove(upstream)
        if not self.ready:
            self._strand()

    def submit(self, request: Waiting) -> bool:
        """Give a request to a worker, now or when one is free.

        Returns:
            False when no worker is ready.
        """
        chosen: Upstream | None = None
        for upstream in self._upstreams:
            if upstream.free and (chosen is None or upstream.in_flight < chosen.in_flight):
                chosen = upstream
        if chosen is not None:
            if len(self._upstreams) > 1:  # equally busy workers take turns
                self._upstreams.remove(chosen)
                self._upstreams.append(chosen)
            request.assigned(chosen)
            return True
        if not self.ready:
            return False
        if len(self._waiting) >= MAX_WAITING or not self.settings.max_queue_wait_ms:
            request.overdue()
            return True
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self.settings.max_queue_wait_ms / 1000, self._expire, request)
        self._waiting.append((request, timer))
        return True

    def withdraw(self, request: Waiting) -> None:
        """A waiting request's client is gone."""
        for entry in self._waiting:
            if entry[0] is request:
                entry[1].cancel()
                self._waiting.remove(entry)
                break
        self._note_calm()

    def _expire(self, request: Waiting) -> None:
        self.withdraw(request)
        request.overdue()

    def _freed(self, upstream: Upstream) -> None:
        if self._waiting and upstream.free:
            request, timer = self._waiting.popleft()
            timer.cancel()
            request.assigned(upstream)
        elif self._waiting and not self.ready:
            self._strand()
        self._note_calm()

    def _strand(self) -> None:
        stranded, self._waiting = self._waiting, deque()
        for request, timer in stranded:
            timer.cancel()
            request.stranded()
        self._note_calm()

    def _note_calm(self) -> None:
        if self._calm is not None and not self._waiting and not self._calm.done():
            self._calm.set_result(None)

    async def drain(self) -> None:
        """Return when nobody waits any more; the backend must be out of the route."""
        if self._waiting:
            self._calm = asyncio.get_running_loop().create_future()
            await self._calm
