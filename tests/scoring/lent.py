"""A worker whose thread has a client on loan, and that client."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.scoring import rig
from tests.scoring.telemetry.admin import AdministeredWorker, start_with_admin

SCRIPT = """
import json, os, pathlib, threading
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    global home
    home = threading.get_ident()

def hold(name):
    pathlib.Path(name + ".begun").touch()
    while not os.path.exists(name):
        threading.Event().wait(0.01)

def pieces(order):
    yield b"first "
    hold(order["stream"])
    yield b"last"

@rawhttp
def run(request):
    order = json.loads(request.get_data())
    if "hold" in order:
        hold(order["hold"])
    if "fail" in order:
        raise ValueError("no")
    if "fork" in order and not os.fork():
        if order["fork"] == "raise":
            raise SystemExit(0)
        return AMLResponse("from the child", 200)
    if "stream" in order:
        return AMLResponse(pieces(order), 200)
    text = json.dumps({"order": order, "home": home == threading.get_ident()})
    return AMLResponse("x" * order["size"] if "size" in order else text, 200)
"""


def post(order: object, *lines: str) -> bytes:
    """A request, with further header lines."""
    body = json.dumps(order).encode()
    more = "".join(f"{line}\r\n" for line in lines)
    return f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def loans(worker: AdministeredWorker) -> float:
    """How often a thread has had a client on loan."""
    return worker.figure("mlops_worker_loans_total")


class Client:
    """One connection that is kept open."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rest = b""

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of the next answer."""
        while b"\r\n\r\n" not in self.rest:
            self.read()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        if headers.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size)
                self._until(b"\r\n")
            self._until(b"\r\n")
        else:
            body = self._exactly(int(headers.get(b"content-length", b"0")))
        return int(first.split()[1]), headers, body

    def ask(self, order: object) -> tuple[int, bytes]:
        self.send(post(order))
        status, _, body = self.answer()
        return status, body

    def ends(self) -> bool:
        """Wait until the server closes; whether it said nothing more."""
        return not self.rest and not self.connection.recv(1)

    def read(self) -> None:
        piece = self.connection.recv(1 << 20)
        assert piece, f"the connection ended after {self.rest!r}"
        self.rest += piece

    def _until(self, end: bytes) -> bytes:
        while end not in self.rest:
            self.read()
        found, _, self.rest = self.rest.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self.rest) < size:
            self.read()
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


@contextmanager
def worker_of(folder: Path, *options: str, **settings: int) -> Iterator[AdministeredWorker]:
    """A worker with one thread that is asked directly."""
    limits = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 60000}
    with start_with_admin(folder, SCRIPT, ("--direct", *options), request_settings={**limits, **settings}) as worker:
        yield worker


@contextmanager
def lent(worker: AdministeredWorker) -> Iterator[Client]:
    """A client that the thread has on loan, or has had a moment ago."""
    before = loans(worker)
    with rig.connect(worker.socket) as connection:
        client = Client(connection)

        def is_lent() -> bool:
            for _ in range(20):
                assert client.ask({"n": 1})[0] in {200, 504}  # where the time limit is short and the machine busy
            return loans(worker) > before

        rig.await_truth(is_lent, "the client is lent")
        yield client
