"""A client that asks alone is read and answered by the thread of `run()`; nobody can tell, whatever the client does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.scoring import rig
from tests.scoring.lent import Client, lent, loans, post, worker_of
from tests.scoring.telemetry.admin import AdministeredWorker

from mlops_scoring.wire.lending import LentTransport


def test_every_request_is_answered_counted_and_run_in_the_thread_of_init(tmp_path: Path) -> None:
    with worker_of(tmp_path) as worker, lent(worker) as client:
        before = worker.figure('mlops_worker_requests_total{.*status="2xx"}')
        for number in range(300):
            status, body = client.ask({"number": number})
            assert (status, json.loads(body)) == (200, {"order": {"number": number}, "home": True})
            if number % 50 == 0:
                assert worker.figure('mlops_worker_requests_total{.*status="2xx"}') == before + number + 1
        assert client.ask({"fail": 1})[0] == 500
        assert worker.figure("mlops_worker_run_failures_total") == 1
        assert worker.figure("mlops_worker_in_flight") == 0
        worker.end()


def test_whatever_the_client_sends_is_answered_as_ever(tmp_path: Path) -> None:
    with worker_of(tmp_path) as worker:
        with lent(worker) as client:
            client.send(b"GET /swagger.json HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer()[0] == 200
            client.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer()[0] == 404
        with lent(worker) as client:
            client.send(b"".join(post({"n": n}) for n in range(5)))
            assert [json.loads(client.answer()[2])["order"]["n"] for _ in range(5)] == [0, 1, 2, 3, 4]
        with lent(worker) as client:
            client.send(post({"n": 1}, "Expect: 100-continue").partition(b"{")[0])
            assert client.answer()[0] == 100
            client.send(b'{"n": 1}')
            assert client.answer()[0] == 200
        with lent(worker) as client:
            client.send(b"nonsense\r\n\r\n")
            assert client.answer()[0] == 400
            assert client.ends()
        with lent(worker) as client:
            client.send(post({"n": 1}, "Connection: close"))
            status, headers, _ = client.answer()
            assert (status, headers[b"connection"]) == (200, b"close")
            assert client.ends()
        with lent(worker) as client:
            client.send(post({"n": 1}, "x-ms-request-id: " + "a" * 200))
            assert client.answer()[0] == 431
            assert client.ask({"n": 2})[0] == 200
        worker.end()


@pytest.mark.parametrize("size", [1, 7, 50])
def test_a_request_that_comes_in_pieces_is_one(tmp_path: Path, size: int) -> None:
    with worker_of(tmp_path) as worker, lent(worker) as client:
        whole = post({"text": "y" * 40})
        for begin in range(0, len(whole), size):
            client.send(whole[begin : begin + size])
        assert client.answer()[0] == 200
        assert client.ask({"n": 1})[0] == 200


def test_large_bodies_go_both_ways_also_to_a_client_that_reads_late(tmp_path: Path) -> None:
    size = 8 * 1024 * 1024
    with worker_of(tmp_path) as worker:
        with lent(worker) as client:
            client.send(post({"size": size}))
            with rig.connect(worker.socket) as other:
                second = Client(other)
                assert second.ask({"n": 2})[0] == 200  # the thread does not wait until the first has read
            assert len(client.answer()[2]) == size
            assert client.ask({"n": 1})[0] == 200
        with lent(worker) as client:
            status, body = client.ask({"text": "z" * size})
            assert (status, len(json.loads(body)["order"]["text"])) == (200, size)
        worker.end()


def test_another_client_is_answered_at_once_and_both_go_on(tmp_path: Path) -> None:
    with worker_of(tmp_path, max_queue_wait_ms=0) as worker, lent(worker) as client:
        with rig.connect(worker.socket) as connection:
            other = Client(connection)
            for number in range(50):
                assert other.ask({"number": number})[0] == 200, number
                assert client.ask({"number": number})[0] == 200, number
        worker.end()


def test_while_a_lent_request_runs_others_wait_or_are_refused_and_health_is_answered(tmp_path: Path) -> None:
    with worker_of(tmp_path, max_queue_wait_ms=0) as worker, lent(worker) as client:
        gate = tmp_path / "gate"
        client.send(post({"hold": str(gate)}))
        rig.await_truth((tmp_path / "gate.begun").exists, "run() has begun")
        assert worker.ask(json.dumps({"n": 1})).status == 429
        assert worker.ask(method="GET", path="/").status == 200
        assert worker.admin_status("/healthz/live") == 200
        assert worker.figure("mlops_worker_in_flight") == 1
        gate.touch()
        assert client.answer()[0] == 200
        assert worker.ask(json.dumps({"n": 1})).status == 200
        worker.end()


def test_the_time_limit_of_a_lent_request_holds_and_the_thread_stays_taken(tmp_path: Path) -> None:
    with worker_of(tmp_path, request_timeout_ms=1000) as worker, lent(worker) as client:
        gate, failed = tmp_path / "gate", 'mlops_worker_requests_total{.*status="5xx"}'
        before = worker.figure(failed)
        client.send(post({"hold": str(gate)}))
        status, _, body = client.answer()
        assert (status, b"Scoring timeout after 1000 ms" in body) == (504, True)
        assert worker.figure(failed) == before + 1
        assert worker.admin_status("/healthz/live") == 503
        gate.touch()
        rig.await_truth(lambda: worker.admin_status("/healthz/live") == 200, "run() has returned")
        rig.await_truth(lambda: client.ask({"n": 1})[0] == 200, "it answers")
        worker.end()


def test_limits_that_are_too_short_for_it_let_nothing_be_lent(tmp_path: Path) -> None:
    with worker_of(tmp_path, request_timeout_ms=150) as worker, rig.connect(worker.socket) as connection:
        client = Client(connection)
        assert {client.ask({"n": n})[0] for n in range(100)} <= {200, 504}
        assert loans(worker) == 0


@pytest.mark.parametrize("limit", [1000, 60000])
def test_a_lent_client_that_goes_while_run_works_is_told_of(tmp_path: Path, limit: int) -> None:
    with worker_of(tmp_path, request_timeout_ms=limit) as worker:
        gate = tmp_path / "gate"
        with lent(worker) as client:
            client.send(post({"hold": str(gate)}))
            rig.await_truth((tmp_path / "gate.begun").exists, "run() has begun")
        if limit == 1000:
            rig.await_truth(lambda: worker.admin_status("/healthz/live") == 503, "run() takes too long")
        else:
            gone = 'mlops_worker_requests_total{.*status="4xx"}'
            rig.await_truth(lambda: worker.figure(gone) == 1, "nobody waits for the answer")
        gate.touch()
        rig.await_truth(lambda: worker.admin_status("/healthz/live") == 200, "run() has returned")
        worker.end()


def test_a_streamed_answer_comes_piece_by_piece(tmp_path: Path) -> None:
    with worker_of(tmp_path) as worker, lent(worker) as client:
        gate = tmp_path / "gate"
        client.send(post({"stream": str(gate)}))
        rig.await_truth((tmp_path / "gate.begun").exists, "the first piece is made")
        while b"first " not in client.rest:
            client.read()
        gate.touch()
        assert client.answer()[2] == b"first last"
        assert client.ask({"n": 1})[0] == 200
        worker.end()


def test_a_lent_client_that_is_told_of_the_end_hears_it_while_run_still_works(tmp_path: Path) -> None:
    with worker_of(tmp_path, request_timeout_ms=1000) as worker, lent(worker) as client:
        gate = tmp_path / "gate"
        client.send(post({"hold": str(gate)}, "Connection: close"))
        assert client.answer()[0] == 504
        assert client.ends()
        gate.touch()
        worker.end()


@pytest.mark.parametrize("fork", ["return", "raise"])
def test_a_process_that_a_script_forks_answers_nobody(tmp_path: Path, fork: str) -> None:
    with worker_of(tmp_path) as worker, lent(worker) as client:
        for number in range(40):
            status, body = client.ask({"number": number, **({"fork": fork} if number == 1 else {})})
            assert (status, json.loads(body)["order"]["number"]) == (200, number)
        worker.end()


def test_what_a_lent_client_has_sent_before_the_stop_is_answered(tmp_path: Path) -> None:
    for number in range(5):
        with worker_of(tmp_path / str(number)) as worker, lent(worker) as client:
            worker.process.send_signal(signal.SIGSTOP)
            client.send(post({"n": number}))
            worker.process.send_signal(signal.SIGTERM)
            worker.process.send_signal(signal.SIGCONT)
            assert client.answer()[0] == 200
            assert client.ends()
            assert worker.process.wait(rig.PATIENCE) == 0


@contextlib.asynccontextmanager
async def transport() -> AsyncIterator[tuple[LentTransport, socket.socket]]:
    """A connection on loan, and its client."""
    with contextlib.ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        owner, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
        stack.callback(owner.abort)
        owner.pause_reading()
        lent = LentTransport(owner)
        stack.callback(lent.forget)
        yield lent, theirs


def test_a_default_timeout_of_a_script_makes_no_write_wait() -> None:
    async def fill() -> int:
        async with transport() as (lent, theirs):
            while not lent.unsent:
                lent.write(b"x" * 1000)
            return len(lent.unsent) + theirs.recv_into(bytearray(1000))

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(1e6)
    try:
        assert asyncio.run(fill()) >= 1000
    finally:
        socket.setdefaulttimeout(before)


def ask_promptly(lent: LentTransport, client: socket.socket) -> None:
    """So often at once that the client is waited for awake."""
    for _ in range(100):
        client.send(b"x")
        assert lent.wait(rig.PATIENCE)
        assert lent.receive() == b"x"


def test_a_client_that_was_prompt_and_falls_silent_costs_no_processor() -> None:
    async def worked() -> float:
        async with transport() as (lent, theirs):
            ask_promptly(lent, theirs)
            before = time.thread_time()
            assert not lent.wait(1)
            return time.thread_time() - before

    assert asyncio.run(worked()) < 0.1


def test_a_prompt_client_is_given_back_as_soon_as_any() -> None:
    async def recalled() -> bool:
        async with transport() as (lent, theirs):
            ask_promptly(lent, theirs)
            lent.recall()
            theirs.send(b"x")
            return not lent.wait(rig.PATIENCE) and lent.receive() == b"x"

    assert asyncio.run(recalled())


@pytest.mark.parametrize("busy", [False, True])
def test_a_stop_answers_what_runs_and_ends_the_client(tmp_path: Path, busy: bool) -> None:  # noqa: FBT001
    with worker_of(tmp_path) as worker, lent(worker) as client:
        gate = tmp_path / "gate"
        if busy:
            client.send(post({"hold": str(gate)}))
            rig.await_truth((tmp_path / "gate.begun").exists, "run() has begun")
        worker.process.send_signal(signal.SIGTERM)
        if busy:
            rig.await_truth(lambda: not listens(worker), "nobody is accepted any more")
            gate.touch()
            status, headers, _ = client.answer()
            assert (status, headers[b"connection"]) == (200, b"close")
        assert client.ends()
        assert worker.process.wait(rig.PATIENCE) == 0, worker.log()
        assert "Traceback" not in worker.log()


def listens(worker: AdministeredWorker) -> bool:
    try:
        rig.connect(worker.socket).close()
    except OSError:
        return False
    return True


def test_clients_that_come_go_and_ask_at_random_hear_their_own_answers(tmp_path: Path) -> None:
    """One at a time mostly, so that loans begin and end all the time."""
    seed = random.randrange(2**32)
    with worker_of(tmp_path) as worker:
        before = worker.figure('mlops_worker_requests_total{.*status="2xx"}')
        turn = threading.Lock()

        def visit(name: int) -> int:
            chance = random.Random(f"{seed} {name}")
            done = 0
            for _ in range(12):
                with rig.connect(worker.socket) as connection:
                    client = Client(connection)
                    for _ in range(chance.choice([1, 5, 40])):
                        alone = chance.random() < 0.9
                        if alone:
                            turn.acquire()
                        try:
                            order = {"name": name, "number": done, "pad": "p" * chance.choice([0, 10, 70_000])}
                            status, body = client.ask(order)
                        finally:
                            if alone:
                                turn.release()
                        assert (status, json.loads(body)["order"]) == (200, order), f"seed {seed}"
                        done += 1
            return done

        with ThreadPoolExecutor(3) as pool:
            total = sum(pool.map(visit, range(3)))
        assert worker.figure('mlops_worker_requests_total{.*status="2xx"}') == before + total
        assert worker.figure("mlops_worker_in_flight") == worker.figure("mlops_worker_queue_length") == 0
        worker.end()
