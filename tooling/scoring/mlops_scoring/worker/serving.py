"""A worker's listeners, and its orderly end: readiness first, then the drain, then the observers."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from mlops_scoring import event_loop
from mlops_scoring.azureml_settings import Settings
from mlops_scoring.configuration import RequestSettings
from mlops_scoring.wire.lending import LendingListener
from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.server import Listener
from mlops_scoring.worker.admin import AdminSide
from mlops_scoring.worker.application import Application
from mlops_scoring.worker.condition import Condition
from mlops_scoring.worker.exchange import Desk
from mlops_scoring.worker.lifeline import Announcer
from mlops_scoring.worker.loads import Loads
from mlops_scoring.worker.observing import Observer
from mlops_scoring.worker.routes import Routes
from mlops_scoring.worker.run_threads import RunThreads
from mlops_scoring.worker.sharing import Accepting, SharedListener

BACKLOG = 2048
"""Connections that may wait to be accepted."""

_DRAIN_SECONDS = 3600.0

_BEHIND_GATEWAY = Limits(
    head_bytes=64 * 1024,
    headers=200,
    target_bytes=16 * 1024,
    body_bytes=4 * 1024**3,  # the gateway bounds bodies
    buffered_bytes=4 * 1024**3,
    head_seconds=60,
    body_seconds=7 * 24 * 3600,  # so it does their time: a body may come as slowly as the client sends it,
    slowest_rate=0,  # and an answer be read as slowly
    idle_seconds=7 * 24 * 3600,  # idle connections are the gateway's to close, so that none closes under a request
)


@dataclass(frozen=True, slots=True)
class Service:
    """What a worker serves, and where.

    Attributes:
        settings: What Azure ML's environment variables say.
        limits: Bounds that the worker keeps itself; None behind a gateway, which keeps them.
        drain_delay: Seconds between saying that it is not ready and taking no more connections.
        loads: What other workers that accept from the same listener have to do; None where there are none.
    """

    routes: Routes
    settings: Settings
    threads: RunThreads
    observers: tuple[Observer, ...]
    condition: Condition
    metrics: Callable[[], bytes]
    listener: socket.socket
    admin: socket.socket | None
    limits: RequestSettings | None
    drain_delay: float
    loads: Loads | None = None


def serve(service: Service, announcer: Announcer) -> None:
    """Serve until SIGTERM and the last answer; on uvloop where it is installed."""
    with event_loop.runner() as runner:
        runner.run(_serve(service, announcer))
    for observer in service.observers:
        observer.close()


async def _serve(service: Service, announcer: Announcer) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the supervisor's to handle
    timeout = service.settings.scoring_timeout_ms
    desk = Desk(loop, service.threads, service.observers, service.limits, timeout)
    application = Application(service.routes, desk, service.settings)
    clients, server = await _take_clients(service, application)

    def metrics() -> bytes:
        with desk.telling:  # whoever has an answer finds it counted
            pass
        return service.metrics()

    admin_side = AdminSide(service.condition, metrics)
    scrapers = Listener(admin_side.handle, Limits())
    admin_server = await _listen(scrapers, service.admin) if service.admin is not None else None
    announcer.ready()
    await stopping.wait()
    service.condition.ready = False
    clients.leaving = True
    await asyncio.sleep(service.drain_delay)
    server.close()
    await clients.drain(_DRAIN_SECONDS)
    await service.threads.drain()  # run() of requests whose clients have gone is not cut off either
    if admin_server is not None:
        admin_server.close()
    await scrapers.drain(0)


async def _take_clients(service: Service, application: Application) -> tuple[Listener, asyncio.Server | Accepting]:
    limits = _BEHIND_GATEWAY if service.limits is None else Limits()
    if service.loads is None:
        clients = LendingListener(application.handle, limits)
        return clients, await _listen(clients, service.listener)
    shared = SharedListener(application.handle, limits, service.threads, service.loads)
    return shared, Accepting(service.listener, shared, service.loads)


async def _listen(protocol: Listener, listener: socket.socket) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if listener.family == socket.AF_UNIX:
        return await loop.create_unix_server(protocol, sock=listener, backlog=BACKLOG)
    return await loop.create_server(protocol, sock=listener, backlog=BACKLOG)
