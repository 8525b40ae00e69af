"""Answers that a script makes piece by piece, through the gateway and asked directly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scoring.rig import Supervised, ask, await_truth, connect, make_code, make_deployment, receive

STREAMING = """
import json, os, threading
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

def pieces(order):
    for number in range(order["pieces"]):
        if number == order.get("fail_at"):
            raise ValueError("no more")
        if number == order.get("wait_at"):
            while not os.path.exists(order["until"]):
                threading.Event().wait(0.01)
        with open(order["log"], "w") as log:
            log.write(str(number))
        yield b"x" * order["size"]

@rawhttp
def run(request):
    return AMLResponse(pieces(json.loads(request.get_data())), 200, {"content-type": "text/plain"})
"""


@pytest.fixture
def streaming(supervised: Supervised, tmp_path: Path) -> Supervised:
    """An endpoint whose script streams."""
    one = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 60000}
    deployment = make_deployment(make_code(tmp_path / "streaming", STREAMING), request_settings=one)
    document = supervised.document({"blue-1": deployment}, {"blue-1": 100})
    supervised.start({**document, "limits": {"slowest_rate": 0}})  # clients may pause
    supervised.await_state("blue-1", "Healthy")
    return supervised


def order(tmp_path: Path, **wanted: object) -> bytes:
    """The body of a request for a stream."""
    return json.dumps({"pieces": 3, "size": 4, "log": str(tmp_path / "made"), **wanted}).encode()


def head(body: bytes) -> bytes:
    """A raw request."""
    return b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_pieces_come_as_they_are_made(streaming: Supervised, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with connect(streaming.port) as client:
        client.sendall(head(order(tmp_path, wait_at=1, until=str(go))))
        received = receive(client, lambda received: b"xxxx" in received)
        assert b"transfer-encoding: chunked" in received.lower()
        go.touch()
        received += receive(client, lambda rest: (received + rest).endswith(b"0\r\n\r\n"))
    assert received.count(b"xxxx") == 3


def test_a_stream_that_fails_is_not_taken_for_a_whole_one(streaming: Supervised, tmp_path: Path) -> None:
    with connect(streaming.port) as client:
        client.sendall(head(order(tmp_path, fail_at=2)))
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    assert not received.endswith(b"0\r\n\r\n")
    assert ask(streaming.port, body=order(tmp_path)).body == b"x" * 12


def test_a_slow_reader_holds_the_script_back(streaming: Supervised, tmp_path: Path) -> None:
    made = tmp_path / "made"
    count, size = 400, 256 * 1024
    with connect(streaming.port) as client:
        client.sendall(head(order(tmp_path, pieces=count, size=size)))
        assert client.recv(1)
        last = -1

        def is_still() -> bool:
            nonlocal last
            before, last = last, int(made.read_text() or -1) if made.exists() else -1
            return before == last >= 0

        await_truth(is_still, "the script waits", every=0.3)
        assert last < count / 2, "what nobody has read is not made"
        received = 1
        while received < count * size:
            piece = client.recv(1 << 20)
            assert piece, f"the connection ended after {received} bytes"
            received += len(piece)
    await_truth(lambda: made.read_text() == str(count - 1), "it went on to its end")


def test_a_client_that_goes_ends_the_stream(streaming: Supervised, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with connect(streaming.port) as client:
        client.sendall(head(order(tmp_path, pieces=100_000, size=64 * 1024)))
        assert client.recv(1)
    assert ask(streaming.port, body=order(tmp_path)).body == b"x" * 12, "its thread is free again"
    assert int(made.read_text() or 0) < 100_000 - 1
