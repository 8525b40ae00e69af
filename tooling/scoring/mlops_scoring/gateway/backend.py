"""One live deployment in the gateway: its workers, its bounded queue and its counters."""

from __future__ import annotations

import asyncio

from mlops_scoring.configuration import RequestSettings
from mlops_scoring.gateway.figures import DeploymentFigures, Tally
from mlops_scoring.gateway.waiting import Queue, Waiting
from mlops_scoring.wire.pool import Upstream

MAX_WAITING = 4096
"""Requests that wait for one deployment; beyond it they are refused at once, however short their wait would be."""

MAX_STREAMS = 4
"""Bodies that one worker is getting at once, as they come. They take no place until they are whole, but memory."""


class Backend:
    """Gives requests to the least busy worker, and lets them wait when all are busy.

    Attributes:
        name: The live name.
        header: The response header that names the deployment.
        settings: Limits of its requests.
        tally: What the gateway has answered for it.
    """

    def __init__(self, name: str, settings: RequestSettings, tally: Tally) -> None:
        """Begin without workers."""
        self.name = name
        self.header = (b"azureml-model-deployment", name.encode())
        self.settings = settings
        self.tally = tally
        self._upstreams: list[Upstream] = []
        self._waiting = Queue()
        self._streams = Queue()  # those whose body is to be passed on as it comes
        self._claims: dict[Upstream, Queue] = {}  # those whose body one worker has, but for its end
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
        while self._waiting.entries and upstream.free:
            self._freed(upstream)
        while self._streams.entries and upstream.accepting and upstream.streams < MAX_STREAMS:
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
        self._enqueue(self._waiting, request)
        return True

    def submit_if_idle(self, request: Waiting) -> bool:
        """Give a request to a worker only where nobody waits and one is free.

        Returns:
            False otherwise; the request does not wait.
        """
        if self._waiting.entries or self._claims or not any(upstream.free for upstream in self._upstreams):
            return False
        return self.submit(request)

    def submit_stream(self, request: Waiting) -> bool:
        """Give a worker a request whose body is still coming, now or when one has few enough of them.

        Returns:
            False when no worker is ready.
        """
        ready = [upstream for upstream in self._upstreams if upstream.accepting]
        if not ready:
            return False
        chosen = min(ready, key=lambda upstream: (upstream.streams, upstream.in_flight))
        if chosen.streams < MAX_STREAMS:
            self._upstreams.remove(chosen)
            self._upstreams.append(chosen)
            request.assigned(chosen)
        else:
            self._enqueue(self._streams, request)
        return True

    def claim(self, request: Waiting, upstream: Upstream) -> None:
        """A request's body is whole: give it a place at the worker that has it, now or when there is one."""
        if upstream.has_place:
            request.assigned(upstream)
        else:
            self._enqueue(self._claims.setdefault(upstream, Queue()), request)

    def _enqueue(self, queue: Queue, request: Waiting) -> None:
        if len(queue.entries) >= MAX_WAITING or not self.settings.max_queue_wait_ms:
            request.overdue()
        else:
            queue.add(request, self.settings.max_queue_wait_ms)

    def withdraw(self, request: Waiting) -> None:
        """A waiting request's client is gone."""
        self._waiting.withdraw(request)
        self._streams.withdraw(request)
        for queue in self._claims.values():
            queue.withdraw(request)
        self._note_calm()

    def _freed(self, upstream: Upstream) -> None:
        if self._claims:
            self._freed_for_claims(upstream)
        if self._waiting.entries:
            if upstream.free:
                self._waiting.take().assigned(upstream)
            elif not self.ready:
                self._strand()
        if self._streams.entries:
            if upstream.accepting and upstream.streams < MAX_STREAMS:
                self._streams.take().assigned(upstream)
            elif not self.ready:
                self._strand()
        if self._calm is not None:
            self._note_calm()

    def _freed_for_claims(self, upstream: Upstream) -> None:
        claims = self._claims.get(upstream)
        if claims is None:
            return
        if claims.entries and upstream.has_place:
            claims.take().assigned(upstream)
        if not claims.entries:
            del self._claims[upstream]

    def _strand(self) -> None:
        waiting, self._waiting = self._waiting, Queue()
        streams, self._streams = self._streams, Queue()
        for queue in (waiting, streams):
            while queue.entries:
                queue.take().stranded()
        self._note_calm()

    def _note_calm(self) -> None:
        nobody = not self._waiting.entries and not self._streams.entries
        if self._calm is not None and nobody and not self._calm.done():
            self._calm.set_result(None)

    def figures(self) -> DeploymentFigures:
        """What was counted, and how it is now."""
        return self.tally.figures(
            in_flight=sum(upstream.in_flight for upstream in self._upstreams),
            waiting=sum(len(queue.entries) for queue in (self._waiting, self._streams, *self._claims.values())),
            ready=sum(upstream.accepting for upstream in self._upstreams),
        )

    @property
    def streaming(self) -> bool:
        """Whether any body is on its way to a worker, or any long answer from one."""
        return any(upstream.streams or upstream.unread for upstream in self._upstreams)

    async def drain(self) -> None:
        """Return when nobody waits any more; the backend must be out of the route."""
        if self._waiting.entries or self._streams.entries:
            self._calm = asyncio.get_running_loop().create_future()
            await self._calm
