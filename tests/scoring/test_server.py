"""The server without a gateway, as an image runs it: real processes, asked over TCP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.scoring import rig
from tests.scoring.processes import is_running

from mlops_scoring.supervisor.restarting import Restarts

REFUSING = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 50}


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    admin: int
    output: Path

    def probe(self, name: str) -> int:
        """Status of one of the three probes."""
        return rig.ask(self.admin, "GET", f"/healthz/{name}").status

    def score(self, **order: object) -> rig.Answer:
        """Ask the model."""
        return rig.ask(self.port, body=json.dumps(order))

    def in_background(self, **order: object) -> tuple[threading.Thread, list[rig.Answer]]:
        """Ask in a thread; the answer will be in the list."""
        answers: list[rig.Answer] = []
        thread = threading.Thread(target=lambda: answers.append(self.score(**order)))
        thread.start()
        return thread, answers


def configure(folder: Path, source: str = rig.ECHO, **changes: object) -> Path:
    """A worker's configuration."""
    deployment = rig.make_deployment(rig.make_code(folder / "code", source), **changes)
    path = folder / "worker.json"
    path.write_text(json.dumps({"format": 1, "endpoint": "e", "live_name": "blue", "deployment": deployment}))
    return path


def command(configuration: Path | None, port: int, admin: int, *options: str, python: str | None = None) -> list[str]:
    """How a server is started; without a file, by variables."""
    start = ["env", "MLOPS_ALLOW_ROOT=1", python or sys.executable, "-P", "-W", "error", "-m", "mlops_scoring.server"]
    start += [] if configuration is None else ["--configuration", str(configuration)]
    return [*start, "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}", *options]


@contextmanager
def serving(
    configuration: Path | None, *options: str, folder: Path | None = None, python: str | None = None
) -> Iterator[Server]:
    """A server that is ready; what it prints is kept beside its configuration, or in a folder."""
    port, admin = rig.free_port(), rig.free_port()
    output = (configuration or folder or Path()).with_suffix(".out")
    line = command(configuration, port, admin, *options, python=python)
    with output.open("wb") as stream:
        process = subprocess.Popen(line, stdout=stream, stderr=stream)
    server = Server(process, port, admin, output)

    def ready() -> bool:
        assert process.poll() is None, output.read_text()
        try:
            return server.probe("ready") == 200
        except OSError:
            return False

    try:
        rig.await_truth(ready, "the server is ready")
        yield server
    finally:
        process.kill()
        process.wait()


def fails(configuration: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of a server that cannot run."""
    line = command(configuration, rig.free_port(), rig.free_port(), *options)
    done = subprocess.run(line, capture_output=True, text=True, timeout=rig.PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def test_as_many_processes_as_asked_for_answer_on_one_port(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "2") as server:
        seen: set[int] = set()

        def both() -> bool:
            seen.add(server.score().json["pid"])
            return len(seen) == 2

        rig.await_truth(both, "both workers answered")


def test_health_is_live_while_the_model_works(tmp_path: Path) -> None:
    with serving(configure(tmp_path, request_settings=REFUSING), "--workers", "1") as server:
        with rig.held(server.port, tmp_path / "gate") as answers:
            assert server.score().status == 429
            assert rig.ask(server.port, "GET", "/").body == b"Healthy"
            assert [server.probe(name) for name in ("live", "startup", "ready")] == [200, 200, 200]
        assert answers[0].status == 200


def test_who_waits_too_long_gets_429_with_retry_after(tmp_path: Path) -> None:
    with serving(configure(tmp_path, request_settings=REFUSING), "--workers", "1") as server:
        with rig.held(server.port, tmp_path / "gate") as answers:
            refused = server.score()
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert answers[0].status == 200
        assert server.score().status == 200


def test_a_request_that_takes_too_long_gets_504(tmp_path: Path) -> None:
    limits = {**REFUSING, "request_timeout_ms": 1000, "max_queue_wait_ms": 60000}
    gate = tmp_path / "gate"
    with serving(configure(tmp_path, request_settings=limits), "--workers", "1") as server:
        late = server.score(gate=str(gate))
        assert (late.status, late.json) == (504, {"message": "Scoring timeout after 1000 ms"})
        asking, answers = server.in_background()
        rig.await_truth(lambda: waiting(server) == 1, "the next one waits until run() has returned")
        gate.touch()
        asking.join()
        assert [answer.status for answer in answers] == [200]


def waiting(server: Server) -> float:
    """Requests that wait for a thread of the only worker."""
    text = rig.ask(server.admin, "GET", "/metrics").body.decode()
    return sum(float(value) for value in re.findall(r"^mlops_worker_queue_length\{.*\} (\S+)$", text, re.MULTILINE))


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "1") as server:
        pid = server.score().json["pid"]
        os.kill(pid, signal.SIGKILL)
        rig.await_truth(lambda: not is_running(pid), "it is gone")

        rig.await_truth(lambda: another_answers(server, pid), "another one answers")
        assert "was killed by SIGKILL" in server.output.read_text()


def another_answers(server: Server, pid: int) -> bool:
    """Whether a worker other than this one has answered."""
    try:
        return bool(server.score().json.get("pid", pid) != pid)
    except (OSError, ValueError):
        return False


PROBE = {"initial_delay": 0, "period": 0.1, "timeout": 1, "success_threshold": 1, "failure_threshold": 5}


def replaced(server: Server, pid: int) -> None:
    """Wait until a worker was ended and another one answers."""
    rig.await_truth(lambda: not is_running(pid), "the worker was ended")
    rig.await_truth(lambda: another_answers(server, pid), "another one answers")
    rig.await_truth(lambda: server.probe("ready") == 200, "there is another one")
    assert "the liveness probe failed" in server.output.read_text()


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    with serving(configure(tmp_path, liveness_probe=PROBE), "--workers", "1") as server:
        pid = server.score().json["pid"]
        os.kill(pid, signal.SIGSTOP)
        replaced(server, pid)


def test_a_worker_whose_run_never_returns_is_replaced(tmp_path: Path) -> None:
    limits = {**REFUSING, "request_timeout_ms": 1000}
    configuration = configure(tmp_path, liveness_probe=PROBE, request_settings=limits)
    with serving(configuration, "--workers", "1") as server:
        pid = server.score().json["pid"]
        assert server.score(sleep=600).status == 504
        replaced(server, pid)


def test_a_worker_that_hangs_is_not_ready(tmp_path: Path) -> None:
    with serving(configure(tmp_path, readiness_probe=PROBE), "--workers", "1") as server:
        pid = server.score().json["pid"]
        os.kill(pid, signal.SIGSTOP)
        rig.await_truth(lambda: server.probe("ready") == 503, "it is not ready")
        os.kill(pid, signal.SIGCONT)
        rig.await_truth(lambda: server.probe("ready") == 200, "it is ready again")


def test_a_server_that_is_told_to_stop_while_it_starts_stops(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    source = f"import pathlib, time\ndef init():\n    pathlib.Path({str(begun)!r}).touch(); time.sleep(600)\n"
    path = configure(tmp_path, source + "def run(data): pass\n")
    with subprocess.Popen(command(path, rig.free_port(), rig.free_port(), "--workers", "1")) as process:
        rig.await_truth(begun.exists, "init() has begun")
        process.terminate()
        assert process.wait(rig.PATIENCE) == 0


def test_restarts_wait_twice_as_long_each_time_and_never_longer_than_ten_seconds() -> None:
    restarts = Restarts()
    assert [restarts.delay(0, 1) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert {restarts.delay(0, 1) for _ in range(2000)} == {10.0}
    assert restarts.delay(0, 31) == 0.1, "after half a minute of health"
    assert restarts.delay(3, 1) == 10.0, "after three starts that failed"


def test_at_the_end_what_is_under_way_is_answered(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "2", "--drain-delay", "0.5") as server:
        with rig.held(server.port, tmp_path / "gate") as answers:
            server.process.send_signal(signal.SIGTERM)
            rig.await_truth(lambda: server.probe("ready") == 503, "it is not ready")
        assert answers[0].status == 200
        assert server.process.wait(rig.PATIENCE) == 0


def test_at_the_end_readiness_goes_first(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "2", "--drain-delay", "600") as server:
        server.process.send_signal(signal.SIGTERM)
        rig.await_truth(lambda: server.probe("ready") == 503, "it is not ready")
        rig.await_truth(lambda: rig.ask(server.port, "GET", "/v2/health/ready").status == 503, "nor in that dialect")
        assert server.score().status == 200, "whoever has not heard of it yet is answered"


def test_before_the_end_clients_are_asked_to_leave_and_lose_nothing(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "1", "--drain-delay", "600") as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=rig.PATIENCE)

        def asked_to_leave() -> bool:
            client.request("POST", "/score", "{}")
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200
            return answer.getheader("connection") == "close"

        with contextlib.closing(client):
            assert not any(asked_to_leave() for _ in range(40))
            server.process.send_signal(signal.SIGTERM)
            rig.await_truth(asked_to_leave, "the worker knows that it is about to end")
            assert asked_to_leave(), "on a new connection"


def test_a_model_that_cannot_start_ends_the_server_with_the_reason(tmp_path: Path) -> None:
    source = "def init(): raise ValueError('no weights\\nhere')\ndef run(data): pass\n"
    code, output = fails(configure(tmp_path, source), "--workers", "1")
    assert code == 3
    assert "Traceback" in output
    assert output.splitlines()[-1] == "ValueError: no weights here"


def test_a_configuration_that_cannot_be_used_is_exit_code_2(tmp_path: Path) -> None:
    path = configure(tmp_path)
    path.write_text("{}")
    code, output = fails(path)
    assert (code, "format: is missing" in output) == (2, True)


def test_a_taken_address_is_exit_code_4(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "1") as server:
        code, output = fails(tmp_path / "worker.json", "--listen", f"127.0.0.1:{server.port}")
    assert (code, "Address already in use" in output) == (4, True)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_cpu_limit_is_the_containers(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    from mlops_scoring.cpu_limit import cpu_limit  # noqa: PLC0415 - of one test

    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_limit(tmp_path) == (expected or len(os.sched_getaffinity(0)))


def test_metrics_of_all_workers_are_joined(tmp_path: Path) -> None:
    with serving(configure(tmp_path), "--workers", "2") as server:
        for _ in range(10):
            assert server.score().status == 200

        text = ""

        def all_up() -> bool:
            nonlocal text
            text = rig.ask(server.admin, "GET", "/metrics").body.decode()
            return all(f'mlops_worker_up{{deployment="blue",worker="{number}"}} 1\n' in text for number in (0, 1))

        rig.await_truth(all_up, "both workers are up")
        counted = [line for line in text.splitlines() if line.startswith("mlops_worker_requests_total{")]
        assert sum(float(line.rpartition(" ")[2]) for line in counted) == 10
        assert rig.ask(server.port, "GET", "/metrics").status == 404, "clients do not see them"


def test_variables_of_azure_ml_say_what_is_served_where_no_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import os\ndef init(): pass\ndef run(data): return os.environ['AZUREML_MODEL_DIR']\n"
    folder = rig.make_code(tmp_path / "app" / "inner", source)
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path / "app"))
    monkeypatch.setenv("AZUREML_ENTRY_SCRIPT", "inner/score.py")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    monkeypatch.setenv("WORKER_COUNT", "1")
    with serving(None, folder=tmp_path / "server") as server:
        assert server.score().json == str(folder)
