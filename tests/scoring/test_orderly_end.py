"""The end of an endpoint, of a deployment and of a worker while clients are still sending."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.scoring.processes import is_running
from tests.scoring.rig import Supervised, ask, await_truth, connect, make_deployment

UPLOAD = json.dumps({"text": "x" * 3_000_000}).encode()
HEAD = b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(UPLOAD)


@pytest.fixture
def serving(supervised: Supervised, code: Path) -> Supervised:
    """An endpoint with one healthy deployment, `blue-1`, and clients who may pause."""
    supervised.start(document(supervised, {"blue-1": make_deployment(code)}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    return supervised


def document(
    supervised: Supervised, deployments: Mapping[str, Mapping[str, object]], traffic: Mapping[str, int]
) -> dict[str, object]:
    """A configuration under which an upload may pause for as long as processes start and end meanwhile."""
    return {**supervised.document(deployments, traffic), "limits": {"slowest_rate": 0, "body_seconds": 600}}


@contextmanager
def begin_upload(serving: Supervised) -> Iterator[socket.socket]:
    """A client that has sent more than the gateway holds, and not all; a worker has the beginning."""
    with connect(serving.port) as client:
        client.sendall(HEAD + UPLOAD[:2_000_000])
        await_truth(lambda: streamed(serving) == 1, "a worker has the beginning")
        yield client


def streamed(serving: Supervised) -> int:
    """Requests whose body was passed on as it came."""
    text = ask(serving.admin, "GET", "/metrics").body.decode()
    counts = re.findall(r"^mlops_gateway_streamed_total\{.*\} (\d+)$", text, re.MULTILINE)
    return sum(int(count) for count in counts)


def finish_upload(client: socket.socket) -> tuple[bytes, bytes]:
    """Send the rest; the answer's head and body."""
    client.sendall(UPLOAD[2_000_000:])
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < announced(received):
        piece = client.recv(65536)
        assert piece, received[:300]
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def announced(received: bytes) -> int:
    lines = received.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


def send_until_refused(client: socket.socket) -> None:
    while True:
        client.sendall(UPLOAD)


def ready(port: int) -> int | None:
    try:
        return ask(port, "GET", "/healthz/ready").status
    except OSError:
        return None


def test_readiness_goes_first_and_clients_are_served_for_the_delay(supervised: Supervised, code: Path) -> None:
    """Whoever balances the load needs a moment to hear of it."""
    process = launch_with_delay(supervised, code, 600)
    process.send_signal(signal.SIGTERM)
    await_truth(lambda: ready(supervised.port) == 503, "readiness goes first")
    assert ask(supervised.port, "GET", "/v2/health/ready").status == 503
    for _ in range(20):
        answer = supervised.score()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert ask(supervised.port, "GET", "/healthz/live").status == 200
    assert process.poll() is None
    process.kill()
    process.wait()


def test_after_the_delay_the_endpoint_ends(supervised: Supervised, code: Path) -> None:
    process = launch_with_delay(supervised, code, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert ready(supervised.port) is None


def launch_with_delay(supervised: Supervised, code: Path, seconds: float) -> subprocess.Popen[bytes]:
    deployed = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
    process = supervised.launch({**deployed, "drain_delay": seconds})
    await_truth(lambda: ready(supervised.port) == 200, "it is ready")
    assert ask(supervised.port, "GET", "/v2/health/ready").status == 200
    return process


def test_an_upload_under_way_is_answered_before_the_end(serving: Supervised) -> None:
    assert serving.process is not None
    with begin_upload(serving) as client:
        assert serving.score().status == 200
        serving.process.send_signal(signal.SIGTERM)
        await_truth(lambda: ready(serving.port) is None, "no further connections are taken")
        assert serving.process.poll() is None
        head, body = finish_upload(client)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in head
    assert len(json.loads(body)["order"]["text"]) == 3_000_000
    assert serving.process.wait(60) == 0


def test_a_deployment_that_leaves_finishes_the_uploads_it_has(serving: Supervised, code: Path) -> None:
    (old,) = serving.worker_pids()
    with begin_upload(serving) as client:
        assert serving.score().json["pid"] == old
        changed = make_deployment(code, environment_variables={"NAME": "new"})
        assert serving.put(document(serving, {"blue-2": changed}, {"blue-2": 100})).status == 200
        await_truth(lambda: serving.score().json["name"] == "new", "the new one serves")
        assert is_running(old)
        head, body = finish_upload(client)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["pid"] == old
    serving.await_settled()
    assert not is_running(old)


def test_a_worker_killed_with_half_an_upload_is_a_502_and_is_replaced(serving: Supervised) -> None:
    (old,) = serving.worker_pids()
    with begin_upload(serving) as client:
        assert serving.score().json["pid"] == old
        os.kill(old, signal.SIGKILL)
        assert client.recv(65536).startswith(b"HTTP/1.1 502 ")
    await_truth(lambda: serving.report("blue-1").items() >= {"ready": 1, "restarts": 1}.items(), "it is replaced")
    assert serving.score().status == 200


def test_a_supervisor_killed_with_an_upload_leaves_nothing_behind(serving: Supervised) -> None:
    pids = serving.worker_pids()
    assert serving.process is not None
    with begin_upload(serving) as client:
        serving.process.kill()
        serving.process.wait()
        await_truth(lambda: not any(is_running(pid) for pid in pids), "the workers have ended")
        with pytest.raises(ConnectionError):
            send_until_refused(client)
    serving.start()
    serving.await_state("blue-1", "Healthy")
    assert serving.score().status == 200
