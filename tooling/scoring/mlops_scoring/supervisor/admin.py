"""The admin interface: HTTP and JSON on a UNIX socket that only the owner can open."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from mlops_scoring.configuration import FORMAT, parse_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.exchange import answer_error
from mlops_scoring.gateway.gateway import Gateway
from mlops_scoring.supervisor.endpoint import Endpoint
from mlops_scoring.wire.messages import Request
from mlops_scoring.wire.server import ServerConnection

_JSON = (b"content-type", b"application/json")
_SCORE = b"/score/"
_OPENAPI = b"/openapi/"
_log = logging.getLogger("mlops_scoring.supervisor")


class AdminInterface:
    """Answers the toolkit.

    Args:
        endpoint: What is configured and asked about.
        gateway: Where sample requests go.
        shut_down: Drains and stops everything; the process ends after the answer.
    """

    def __init__(self, endpoint: Endpoint, gateway: Gateway, shut_down: Callable[[], Awaitable[None]]) -> None:
        """Know the parts that it speaks for."""
        self._endpoint = endpoint
        self._gateway = gateway
        self._shut_down = shut_down
        self._started = time.time()
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request, client: ServerConnection) -> None:
        """Answer one request."""
        path = request.path
        match request.method, path:
            case b"GET", b"/status":
                self._send(client, 200, self._status())
            case b"PUT", b"/configuration":
                self._start(self._configure(bytes(request.body), client))
            case b"POST", b"/shutdown":
                self._start(self._stop(client))
            case b"POST", b"/score":
                self._gateway.route(request, client)
            case b"GET", _ if path.startswith(_OPENAPI):
                name = unquote(path[len(_OPENAPI) :].decode("latin-1"))
                request.target = b"/swagger.json" + request.target[len(path) :]
                self._gateway.pass_to(name, request, client, counted=False)
            case b"POST", _ if path.startswith(_SCORE):
                name = unquote(path[len(_SCORE) :].decode("latin-1"))
                request.target = b"/score" + request.target[len(path) :]
                self._gateway.pass_to(name, request, client, counted=False)
            case _:
                answer_error(client, request, 404, "The admin interface has no such route.")

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _status(self) -> dict[str, object]:
        return {"format": FORMAT, "pid": os.getpid(), "started": self._started, **self._endpoint.report()}

    async def _configure(self, body: bytes, client: ServerConnection) -> None:
        try:
            configuration = parse_configuration(body)
            async with self._writing:
                self._endpoint.check(configuration)
                await asyncio.to_thread(self._endpoint.write, configuration)
                self._endpoint.apply(configuration)
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
