"""Where `azureml-ai-monitoring`'s collectors send their rows: `POST /modeldata/log` on loopback.

The form is that package's (1.0.0): records as JSON, and `ce-` headers with collection, time and correlation id. On
Azure a container beside the model's takes them; here the worker does, in a thread, so that scripts stay as they are.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

from mlops_scoring.wire.limits import Limits
from mlops_scoring.wire.messages import Request, message
from mlops_scoring.wire.server import Listener, ServerConnection
from mlops_scoring.worker.entry_script import is_json

HOST = "127.0.0.1"
"""The only address that it listens on."""

_PATH = b"/modeldata/log"
_JSON = (b"content-type", b"application/json")
_LIMITS = Limits(body_bytes=8 * 1024 * 1024, buffered_bytes=16 * 1024 * 1024, connections=64, idle_seconds=10)

Accept = Callable[[dict[str, str], bytes], tuple[int, str]]
"""Takes the headers of one post and its body; says with which status and why it is answered."""


class Sink:
    """A listener on a free port.

    Args:
        accept: Takes what is posted; called in the listener's thread.

    Attributes:
        port: Where it listens.

    Raises:
        OSError: There is no free port.
    """

    def __init__(self, accept: Accept) -> None:
        """Listen, and start the thread."""
        self._accept = accept
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._hosts = {f"{name}:{self.port}".encode() for name in (HOST, "localhost")}
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="collection-sink", daemon=True)
        self._thread.start()

    def close(self, seconds: float = 2.0) -> None:
        """Answer what has come, and end."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(seconds)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        listener = Listener(self._handle, _LIMITS)
        server = await self._loop.create_server(listener, sock=self._socket)
        await self._ending.wait()
        server.close()
        await listener.drain(1.0)

    def _handle(self, request: Request, client: ServerConnection) -> None:
        status, text = self._answer(request)
        client.send(status, [_JSON], message(text))

    def _answer(self, request: Request) -> tuple[int, str]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        if request.target != _PATH:
            return 404, "There is no such route."
        if request.method != b"POST":
            return 405, "The route takes POST only."
        # A page in a browser on this machine can send requests here, but not with this host and content type.
        if headers.get("host", "").encode("latin-1") not in self._hosts:
            return 403, "The request is for another host."
        if not is_json(headers.get("content-type", "")):
            return 415, "Records are sent as application/json."
        return self._accept(headers, bytes(request.body))
