"""A worker that keeps the limits itself: requests that nobody waits for any more, answers that cannot be written."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.scoring import rig
from tests.scoring.telemetry.admin import AdministeredWorker, start_with_admin

from mlops_scoring.worker.run_threads import RunThreads

MIB = 1024 * 1024

HOLDING = """
import json, os, pathlib, threading

def init():
    pass

def run(data):
    order = json.loads(data)
    if "hold" in order:
        pathlib.Path(order["hold"] + ".begun").touch()
        while not os.path.exists(order["hold"]):
            threading.Event().wait(0.01)
    return "done"
"""

RAW = """
import json, os, pathlib, threading
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

def hold(name):
    pathlib.Path(name + ".begun").touch()
    while not os.path.exists(name):
        threading.Event().wait(0.01)

def pieces(order):
    yield b"first"
    if "hold" in order:
        hold(order["hold"])
    if "fail" in order:
        raise ValueError("no more")

@rawhttp
def run(request):
    order = json.loads(request.get_data())
    if "wait" in order:
        hold(order["wait"])
    body = pieces(order) if order.get("stream") else "x"
    response = AMLResponse(body, 200, order.get("headers"))
    response.status_code = order.get("status", 200)
    return response
"""


LARGE = """
def init():
    pass

def run(data):
    return "x" * (8 * 1024 * 1024)
"""


@contextmanager
def direct(folder: Path, source: str = HOLDING, **changes: object) -> Iterator[AdministeredWorker]:
    """A worker with one thread that is asked directly; 60 s for `run()` and for the wait unless changed."""
    limits = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 60000}
    settings = {**limits, **{name: value for name, value in changes.items() if name in limits}}
    others = {name: value for name, value in changes.items() if name not in limits}
    with start_with_admin(folder, source, ("--direct",), request_settings=settings, **others) as worker:
        yield worker


def head(body: bytes) -> bytes:
    return b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)


@contextmanager
def inside(worker: AdministeredWorker, gate: Path, **order: object) -> Iterator[socket.socket]:
    """A client whose request is inside `run()`, or inside its stream, until the gate is there."""
    body = json.dumps(order or {"hold": str(gate)}).encode()
    with rig.connect(worker.socket) as client:
        client.sendall(head(body) + body)
        rig.await_truth(gate.with_name(f"{gate.name}.begun").exists, "run() has begun")
        yield client


@contextmanager
def held(worker: AdministeredWorker, gate: Path) -> Iterator[None]:
    """The worker's only thread is taken."""
    with inside(worker, gate) as client:
        yield
        gate.touch()
        assert client.recv(65536)


def answered(worker: AdministeredWorker, status: str) -> float:
    return worker.figure(rf'mlops_worker_requests_total{{.*status="{status}"}}')


def memory(worker: AdministeredWorker) -> int:
    """Bytes that the process has in memory."""
    text = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[0]) * 1024


def test_a_request_that_is_refused_gives_its_body_back(tmp_path: Path) -> None:
    body = b"x" * (16 * MIB)
    with direct(tmp_path, max_queue_wait_ms=20) as worker, held(worker, tmp_path / "go"):
        assert worker.ask(body).status == 429
        before = memory(worker)
        assert {worker.ask(body).status for _ in range(8)} == {429}
        rig.await_truth(lambda: memory(worker) < before + 40 * MIB, "of 128 MiB at most two bodies are kept")
        assert worker.figure("mlops_worker_queue_length") == 0


def test_a_request_whose_client_went_gives_its_body_back(tmp_path: Path) -> None:
    body = b"x" * (16 * MIB)
    with direct(tmp_path) as worker, held(worker, tmp_path / "go"):
        before = memory(worker)
        for number in range(8):
            assert answered(worker, "4xx") == number
            with rig.connect(worker.socket) as client:
                client.sendall(head(body) + body)
                rig.await_truth(lambda: worker.figure("mlops_worker_queue_length") == 1, "it waits")
            rig.await_truth(lambda: worker.figure("mlops_worker_queue_length") == 0, "its going was heard of")
        rig.await_truth(lambda: memory(worker) < before + 40 * MIB, "of 128 MiB at most two bodies are kept")


def test_what_waits_is_answered_and_what_went_is_left_out(tmp_path: Path) -> None:
    with direct(tmp_path) as worker:
        with held(worker, tmp_path / "go"):
            for _ in range(100):
                with rig.connect(worker.socket) as client:
                    client.sendall(head(b"{}") + b"{}")
            threads = [threading.Thread(target=worker.ask, args=("{}",)) for _ in range(100)]
            for thread in threads:
                thread.start()
            rig.await_truth(lambda: answered(worker, "4xx") == 100, "all that went are left out")
            rig.await_truth(lambda: worker.figure("mlops_worker_queue_length") == 100, "all others wait")
        for thread in threads:
            thread.join()
        rig.await_truth(lambda: answered(worker, "2xx") == 101, "and are answered")
        assert worker.figure("mlops_worker_in_flight") == 0
        worker.end()


@pytest.mark.parametrize("order", [{"wait": "gate"}, {"stream": True, "hold": "gate"}], ids=["run", "stream"])
def test_a_worker_that_hangs_is_not_live_though_its_client_went(tmp_path: Path, order: dict[str, object]) -> None:
    gate = tmp_path / "gate"
    placed = {name: str(gate) if value == "gate" else value for name, value in order.items()}
    with direct(tmp_path, RAW, request_timeout_ms=1000) as worker:
        with inside(worker, gate, **placed):
            pass
        rig.await_truth(lambda: worker.admin_status("/healthz/live") == 503, "its only thread hangs")
        gate.touch()
        rig.await_truth(lambda: worker.admin_status("/healthz/live") == 200, "it works again")
        rig.await_truth(lambda: worker.ask("{}").status == 200, "and answers")


def test_a_stream_that_begins_after_its_timeout_is_counted_once(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with direct(tmp_path, RAW, environment_variables={"SCORING_TIMEOUT_MS": "100"}) as worker:
        with inside(worker, gate, wait=str(gate), stream=True) as client:
            assert client.recv(65536).startswith(b"HTTP/1.1 500 ")
        gate.touch()
        rig.await_truth(lambda: worker.figure("mlops_worker_in_flight") == 0, "run() has returned")
        assert (answered(worker, "5xx"), answered(worker, "2xx")) == (1, 0)
        assert worker.figure("mlops_worker_run_duration_seconds_count") == 1


def test_a_stream_that_fails_is_counted_as_a_failure(tmp_path: Path) -> None:
    with direct(tmp_path, RAW) as worker:
        body = json.dumps({"stream": True, "fail": True}).encode()
        received = rig.exchange(worker.socket, head(body) + body)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert not received.endswith(b"0\r\n\r\n")
        rig.await_truth(lambda: answered(worker, "5xx") == 1, "it is counted")
        assert (answered(worker, "2xx"), worker.figure("mlops_worker_run_failures_total")) == (0, 1)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_an_answer_that_cannot_be_written_is_a_500_in_the_log(tmp_path: Path, streamed: bool) -> None:  # noqa: FBT001
    orders: list[dict[str, object]] = [{"status": status} for status in (-1, 0, 99, 100, 101, 103, 199, 200.5, 1000)]
    orders += [{"headers": {name: "v"}} for name in ("\u65e5", "a b", "", "a:b", "a\r\nb", "\xe9")]
    orders += [{"headers": {"a": value}} for value in ("b\x01c", "b\x7f", "b\0c")]
    with direct(tmp_path, RAW) as worker:
        with rig.connect(worker.socket) as client:
            for order in orders:
                body = json.dumps({**order, "stream": streamed}).encode()
                client.sendall(head(body) + body)
                received = rig.receive(client, lambda received: received.endswith(b"}"))
                assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n"), (order, received)
        assert (answered(worker, "5xx"), answered(worker, "2xx")) == (len(orders), 0)
        said = [str(record["message"]) for record in worker.records()]
        assert sum("the script's answer cannot be written: " in line for line in said) == len(orders)
        assert worker.ask(json.dumps({"status": 999, "headers": {"a-b": "c\td"}})).status == 999
        worker.end()


def test_a_stop_while_a_large_answer_is_read_late_ends_in_order(tmp_path: Path) -> None:
    for _ in range(3):
        with direct(tmp_path, LARGE) as worker, rig.connect(worker.socket) as client:
            client.sendall(head(b"{}") + b"{}")
            received = client.recv(1000)
            worker.process.send_signal(signal.SIGTERM)
            while piece := client.recv(65536):
                received += piece
            assert len(received) > 8 * MIB
            assert worker.process.wait(rig.PATIENCE) == 0
            assert "Traceback" not in worker.log()


def test_threads_work_in_order_and_let_go_of_what_is_withdrawn() -> None:
    async def main() -> None:
        threads, gate, ran = RunThreads(1), threading.Event(), list[int]()
        loop = asyncio.get_running_loop()

        class Task:
            """Waits, or says its number; `unwanted` is set before it is withdrawn."""

            def __init__(self, number: int) -> None:
                self.number, self.unwanted = number, False

            def __call__(self) -> None:
                if not self.number:
                    gate.wait()
                elif not self.unwanted:
                    ran.append(self.number)
                loop.call_soon_threadsafe(threads.passed if self.unwanted else threads.done)

        tasks = [Task(number) for number in range(1001)]
        for task in tasks:
            threads.submit(task)
        left = weakref.WeakSet(tasks[1::2])
        for task in tasks[1::2]:
            task.unwanted = True
            threads.withdraw(task)
        assert threads.pending == 501
        del tasks[1::2], task
        assert len(left) < 100, "what waits beyond a few is gone at once"
        gate.set()
        await threads.drain()
        assert ran == list(range(2, 1001, 2))
        assert (threads.pending, len(left)) == (0, 0)

    asyncio.run(main())
