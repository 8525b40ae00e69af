"""The admin interface: HTTP and JSON on a UNIX socket that only the owner can open."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from mlops_scoring.configuration import FORMAT, parse_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.exchange import answer_error
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.supervisor import access
from mlops_scoring.supervisor.endpoint import Endpoint
from mlops_scoring.supervisor.front import Front
from mlops_scoring.supervisor.monitoring import Monitoring
from mlops_scoring.telemetry.exposition import CONTENT_TYPE
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.server import ServerConnection

_JSON = (b"content-type", b"application/json")
_METRICS = (b"content-type", CONTENT_TYPE.encode())
_PASSED_ON = ((b"POST", b"/score/", b"/score"), (b"GET", b"/openapi/", b"/swagger.json"))
"""Calls whose paths end with a live name: method, beginning of the path, what the deployment is asked."""

_ACCESS: Mapping[tuple[bytes, bytes], Callable[[Front, bytes], Awaitable[access.Reply]]] = {
    (b"GET", b"/credentials"): access.credentials,
    (b"POST", b"/credentials/regenerate"): access.regenerate,
    (b"POST", b"/token"): access.token,
    (b"POST", b"/tls/reload"): access.reload_certificate,
}
_log = logging.getLogger("mlops_scoring.supervisor")


class AdminInterface:
    """Answers the toolkit.

    Args:
        endpoint: What is configured and asked about.
        front: What clients meet.
        gateway: Where sample requests go.
        monitoring: What was counted.
        shut_down: Drains and stops everything; the process ends after the answer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        front: Front,
        gateway: Gateway,
        monitoring: Monitoring,
        shut_down: Callable[[], Awaitable[None]],
    ) -> None:
        """Know the parts that it speaks for."""
        self._endpoint = endpoint
        self._front = front
        self._gateway = gateway
        self._monitoring = monitoring
        self._shut_down = shut_down
        self._started = time.time()
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        match request.method, request.path:
            case b"GET", b"/status":
                self._send(client, 200, self._status())
            case b"GET", b"/metrics":
                self._start(self._measure(client))
            case b"PUT", b"/configuration":
                self._start(self._configure(bytes(request.body), client))
            case b"POST", b"/shutdown":
                self._start(self._stop(client))
            case b"POST", b"/score":
                self._gateway.route(request, client)
            case method, path if (method, path) in _ACCESS:
                self._start(self._answer(_ACCESS[method, path](self._front, bytes(request.body)), client))
            case method, path if not self._pass_on(method, path, request, client):
                answer_error(client, request, 404, "The admin interface has no such route.")

    def _pass_on(self, method: bytes, path: bytes, request: Request, client: ServerConnection) -> bool:
        """Pass a request to the deployment that its path names; False where the path is another."""
        for called, prefix, target in _PASSED_ON:
            if method == called and path.startswith(prefix):
                name = unquote(path[len(prefix) :].decode("latin-1"))
                request.target = target + request.target[len(path) :]
                request.trial = True
                self._gateway.pass_to(name, request, client, counted=False)
                return True
        return False

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, work: Awaitable[access.Reply], client: ServerConnection) -> None:
        self._send(client, *await work)

    async def _measure(self, client: ServerConnection) -> None:
        client.send(200, [_METRICS], await self._monitoring.exposition())

    def _status(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "pid": os.getpid(),
            "started": self._started,
            **self._endpoint.report(),
            **self._front.report(),
        }

    async def _configure(self, body: bytes, client: ServerConnection) -> None:
        try:
            configuration = parse_configuration(body)
            async with self._writing:
                self._endpoint.check(configuration)
                self._front.check(configuration)
                await asyncio.to_thread(self._endpoint.write, configuration)
                self._front.apply(configuration)
                self._endpoint.apply(configuration)
                self._monitoring.apply(configuration)
        except InvalidDocument as invalid:
            self._send(client, 400, {"message": str(invalid), "problems": list(invalid.problems)})
        except OSError as error:
            _log.exception("the configuration cannot be kept")
            self._send(client, 507, {"message": f"The configuration cannot be kept: {error.strerror}."})
        else:
            _log.info("configuration accepted")
            self._send(client, 200, {"accepted": True})

    async def _stop(self, client: ServerConnection) -> None:
        await self._shut_down()
        self._send(client, 200, {"stopped": True})

    def _send(self, client: ServerConnection, status: int, document: object) -> None:
        client.send(status, [_JSON], json.dumps(document).encode())
