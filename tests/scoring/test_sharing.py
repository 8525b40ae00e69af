"""Several workers on one address without a gateway: a client comes to one that has nothing to do, if there is one."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.scoring import rig
from tests.scoring.environments import make_environment
from tests.scoring.lent import Client
from tests.scoring.test_server import Server, configure, serving

from mlops_scoring.worker.loads import Loads, make_loads

GATED = """
import json, os, pathlib, threading

def init():
    if os.path.exists(os.environ["BROKEN"]):
        raise ValueError("not any more")

def run(data):
    gate = json.loads(data or "{}").get("gate")
    if gate:
        pathlib.Path(gate + ".begun").write_text(str(os.getpid()))
        while not os.path.exists(gate):
            threading.Event().wait(0.01)
    return os.getpid()
"""

PATIENT = {"request_timeout_ms": 60_000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 30_000}


@contextmanager
def sharing(folder: Path, python: str | None = None, workers: int = 2, **limits: int) -> Iterator[Server]:
    """A server all of whose workers are ready."""
    changes = {"environment_variables": {"BROKEN": str(folder / "broken")}}
    path = configure(folder, GATED, request_settings={**PATIENT, **limits}, **changes)
    with serving(path, "--workers", str(workers), python=python) as server:
        rig.await_truth(lambda: server.output.read_text().count("is ready (pid") == workers, "all are ready")
        yield server


class Visit:
    """A request that is inside `run()` until there is its gate.

    Attributes:
        refused: Whether it came to a busy worker, as a few may where the machine lets an idle one wait for a second.
    """

    def __init__(self, server: Server, gate: Path, stack: ExitStack) -> None:
        self.refused = False
        self._server = server
        self._gate = gate
        self._begun = gate.with_name(f"{gate.name}.begun")
        self._stack = stack
        self._come()

    def _come(self) -> None:
        self._client = self._stack.enter_context(rig.connect(self._server.port))
        self._client.sendall(post({"gate": str(self._gate)}))

    def enter(self) -> int:
        """Wait until it is inside, and come again where it is refused; the pid of the worker."""
        rig.await_truth(self._is_inside, "it is inside run()")
        return int(self._begun.read_text())

    def _is_inside(self) -> bool:
        if select.select([self._client], [], [], 0)[0]:
            assert self._client.recv(65536).startswith(b"HTTP/1.1 429 ")
            self.refused = True
            self._come()
        return self._begun.exists() and bool(self._begun.read_text())

    def leave(self) -> None:
        """Let it be answered."""
        self._gate.touch()
        assert self._client.recv(65536).startswith(b"HTTP/1.1 200 ")


@contextmanager
def held(server: Server, gate: Path) -> Iterator[int]:
    """A request that is inside `run()`; the pid of its worker."""
    with ExitStack() as stack:
        visit = Visit(server, gate, stack)
        yield visit.enter()
        visit.leave()


def post(order: object) -> bytes:
    body = json.dumps(order).encode()
    return b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def pids(server: Server) -> list[int]:
    """The workers, by their numbers; of one that was replaced, the last."""
    found = re.findall(r"worker (\d+) is ready \(pid (\d+)\)", server.output.read_text())
    return [pid for _, pid in sorted({int(number): int(pid) for number, pid in found}.items())]


@pytest.fixture(params=["asyncio", "uvloop"])
def python(request: pytest.FixtureRequest, test_cache: Path) -> str | None:
    """The interpreter of a server, on each of the two event loops."""
    return str(make_environment(test_cache, ())) if request.param == "uvloop" else None


def test_no_client_waits_at_a_busy_worker_while_another_is_idle(tmp_path: Path, python: str | None) -> None:
    with sharing(tmp_path, python, max_queue_wait_ms=0) as server:
        good = 0
        for turn in range(4):
            with held(server, tmp_path / f"gate-{turn}") as busy:
                answers = [server.score() for _ in range(8)]
            assert {answer.json for answer in answers if answer.status == 200} <= set(pids(server)) - {busy}
            good += {answer.status for answer in answers} == {200}
        assert good >= 2, "by chance one turn of 256 would be"


def test_clients_that_come_at_once_come_to_different_workers(tmp_path: Path, python: str | None) -> None:
    with sharing(tmp_path, python, workers=3, max_queue_wait_ms=0) as server:
        good = 0
        for turn in range(8):
            with ExitStack() as stack:
                visits = [Visit(server, tmp_path / f"{turn}-{number}", stack) for number in range(3)]
                assert {visit.enter() for visit in visits} == set(pids(server))
                for visit in visits:
                    visit.leave()
            good += not any(visit.refused for visit in visits)
        assert good >= 6, "by chance two turns of nine would be"


def test_health_is_live_and_refusals_come_while_all_workers_are_busy(tmp_path: Path, python: str | None) -> None:
    with (
        sharing(tmp_path, python, max_queue_wait_ms=20) as server,
        held(server, tmp_path / "one"),
        held(server, tmp_path / "other"),
    ):
        for _ in range(10):
            assert rig.ask(server.port, "GET", "/").body == b"Healthy"
            assert server.score().status == 429


def test_an_open_connection_stays_with_its_worker_and_is_answered(tmp_path: Path, python: str | None) -> None:
    with sharing(tmp_path, python) as server, rig.connect(server.port) as kept:
        kept.sendall(post({}))
        pid = int(kept.recv(65536).rpartition(b"\r\n\r\n")[2])
        with ExitStack() as stack:
            busy = stack.enter_context(held(server, tmp_path / "one"))
            if busy != pid:
                busy = stack.enter_context(held(server, tmp_path / "other"))
            assert busy == pid
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(65536).endswith(b"Healthy")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        state = Path(f"/proc/{pid}/stat")
        rig.await_truth(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_worker_that_hangs_keeps_no_client_from_the_others(tmp_path: Path, python: str | None) -> None:
    with sharing(tmp_path, python) as server, held(server, tmp_path / "gate") as busy:
        (idle,) = set(pids(server)) - {busy}
        with stopped(idle):
            for _ in range(5):
                assert rig.ask(server.port, "GET", "/").body == b"Healthy"
        rig.await_truth(lambda: taken_by(server, idle), "it takes its part again")


def taken_by(server: Server, pid: int) -> bool:
    """Whether a further client came to a worker."""
    with rig.connect(server.port) as client:
        client.sendall(post({}))
        client.settimeout(0.2)
        try:
            return int(client.recv(65536).rpartition(b"\r\n\r\n")[2]) == pid
        except TimeoutError:
            return False


@contextmanager
def asking(client: Client) -> Iterator[None]:
    """A client that asks all the time."""
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            assert client.ask({})[0] == 200

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_a_worker_with_only_a_loan_takes_who_is_left_to_one_that_hangs(tmp_path: Path, python: str | None) -> None:
    """As that one counts as taking others, it is not known to hang, however long it leaves this client."""
    with sharing(tmp_path, python) as server, rig.connect(server.port) as kept:
        client = Client(kept)
        lending = int(client.ask({})[1])
        (other,) = set(pids(server)) - {lending}
        with asking(client), stopped(other):
            hanging = Loads(loads_of(other), pids(server).index(other))
            hanging.leave()
            rig.await_truth(lambda: hanging.least == 1, "all that the other one has is the loan")
            hanging.tell(0)
            with rig.connect(server.port) as connection:
                connection.sendall(post({}))

                def answered() -> bool:
                    hanging.take()
                    return bool(select.select([connection], [], [], 0)[0])

                rig.await_truth(answered, "the thread with the loan is had")
                assert Client(connection).answer()[::2] == (200, b"%d" % lending)


def loads_of(worker: int) -> Path:
    """Where a worker says what it has to do."""
    arguments = Path(f"/proc/{worker}/cmdline").read_text(encoding="utf-8").split("\0")
    return Path(arguments[arguments.index("--loads") + 1])


def test_a_worker_that_has_ended_counts_no_more(tmp_path: Path) -> None:
    with sharing(tmp_path) as server, held(server, tmp_path / "gate") as busy:
        number = pids(server).index(busy)
        loads = Loads(loads_of(busy), number)
        assert loads.least == 0
        (tmp_path / "broken").touch()
        os.kill(pids(server)[1 - number], signal.SIGKILL)
        rig.await_truth(lambda: loads.least == 2, "what it said is forgotten")
        assert rig.ask(server.port, "GET", "/").body == b"Healthy"


def test_loads_are_compared_and_left(tmp_path: Path) -> None:
    make_loads(tmp_path / "loads", 3)
    first, second, third = (Loads(tmp_path / "loads", number) for number in range(3))
    first.tell(2)
    assert first.least == 2, "the others are not there yet"
    second.tell(1)
    third.tell(5)
    assert {loads.least for loads in (first, second, third)} == {1}
    before = first.taken_by_others
    first.take()
    assert first.taken_by_others == before
    third.take()
    assert first.taken_by_others != before
    second.leave()
    assert first.least == 2
