"""The supervisor: workers that die, supervisors that die, starts that fail, orderly ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.scoring.load import Target, background
from tests.scoring.processes import is_running, kill
from tests.scoring.rig import (
    Supervised,
    ask,
    await_truth,
    connect,
    make_code,
    make_deployment,
)
from tests.scoring.wired import until

from mlops_scoring.supervisor.directory import start_ticks
from mlops_scoring.supervisor.process import Launch, WorkerProcess


def start_two_workers(supervised: Supervised, code: Path) -> None:
    deployment = make_deployment(code, instance_count=2)
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")


def test_a_killed_worker_is_replaced_and_only_its_own_request_fails(supervised: Supervised, code: Path) -> None:
    """Under load, two workers: one gets a request that kills it."""
    start_two_workers(supervised, code)
    before = supervised.worker_pids()
    with background(Target(supervised.port), connections=8) as load:
        load.wait_for_more(200)
        killer = supervised.score({"die": int(signal.SIGKILL)})
        load.wait_for_more(200)
        replaced = {"state": "Healthy", "ready": 2, "restarts": 1}
        await_truth(lambda: supervised.report("blue-1").items() >= replaced.items(), "both workers are ready again")
        load.wait_for_more(200)
    assert killer.status == 502
    assert killer.json["message"].startswith("The worker of blue-1 that had the request died.")
    # Requests that the same worker was answering at that moment share its fate, eight at most; and while its
    # connections end one by one, so may some that come in place of those.
    assert set(load.reasons) <= {"502"}
    assert load.reasons["502"] <= 16
    assert len(supervised.worker_pids() & before) == 1


def test_a_worker_killed_while_idle_costs_no_request(supervised: Supervised, code: Path) -> None:
    start_two_workers(supervised, code)
    for _ in range(4):
        assert supervised.score().status == 200
    for killed, pid in enumerate(supervised.worker_pids(), 1):
        kill(pid)
        assert [supervised.score().status for _ in range(20)] == [200] * 20
        replaced = {"ready": 2, "restarts": killed, "errors": 0}
        await_truth(lambda: supervised.report("blue-1").items() >= replaced.items(), "it is replaced")  # noqa: B023 - asked at once


def test_a_restart_does_not_disturb_the_weights(supervised: Supervised, code: Path) -> None:
    deployments = {name: make_deployment(code) for name in ("blue-1", "green-1")}
    supervised.start(supervised.document(deployments, {"blue-1": 50, "green-1": 50}))
    supervised.await_settled()
    first = supervised.score().headers["azureml-model-deployment"]
    for pid in supervised.worker_pids():
        os.kill(pid, signal.SIGKILL)
    restarted = {"state": "Healthy", "restarts": 1}
    for name in deployments:
        await_truth(lambda: supervised.report(name).items() >= restarted.items(), "it is back")  # noqa: B023 - asked at once
    assert {first, supervised.score().headers["azureml-model-deployment"]} == set(deployments)


def test_a_read_is_tried_again_on_another_worker(supervised: Supervised, tmp_path: Path) -> None:
    """GET is safe to repeat, also when the worker died with it; the first worker that gets it dies."""
    source = f"""
import os
def init(): pass
def run(data):
    try:
        os.mkdir({str(tmp_path / "mark")!r})
    except FileExistsError:
        return "second"
    os.kill(os.getpid(), 9)
"""
    start_two_workers(supervised, make_code(tmp_path / "once", source))
    answer = ask(supervised.port, "GET", "/score?a=1")
    assert (answer.status, answer.json) == (200, "second")


def test_while_no_worker_is_ready_the_state_is_unhealthy_and_clients_are_told_to_retry(
    supervised: Supervised, tmp_path: Path
) -> None:
    source = (
        "import os, time\ndef init():\n    while not os.path.exists('go'): time.sleep(0.01)\ndef run(data): return 1\n"
    )
    code = make_code(tmp_path / "waiting", source)
    (code / "go").touch()
    supervised.start(supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    (code / "go").unlink()
    (pid,) = supervised.worker_pids()
    os.kill(pid, signal.SIGKILL)
    report = supervised.await_state("blue-1", "Unhealthy")
    assert "was killed by SIGKILL" in report["reason"]
    answer = supervised.score()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert ask(supervised.port, "GET", "/healthz/ready").status == 503
    (code / "go").touch()
    supervised.await_state("blue-1", "Healthy")
    assert supervised.score().status == 200


def test_workers_end_with_a_supervisor_that_is_killed_and_it_serves_again_when_started(serving: Supervised) -> None:
    pids = serving.worker_pids()
    slow = connect(serving.port)
    slow.sendall(b'POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: 13\r\n\r\n{"sleep": 30}')
    await_truth(lambda: serving.score().status == 200, "others are served")
    assert serving.process is not None
    serving.process.kill()
    serving.process.wait()
    await_truth(lambda: not any(is_running(pid) for pid in pids), "the workers have ended")
    slow.close()
    serving.start()
    serving.await_state("blue-1", "Healthy")
    assert serving.score().status == 200


@pytest.mark.parametrize("how", ["signal", "admin"])
def test_an_orderly_end_finishes_what_is_under_way(serving: Supervised, tmp_path: Path, how: str) -> None:
    answers, begun = [], tmp_path / "begun"
    asking = threading.Thread(target=lambda: answers.append(serving.score({"begun": str(begun), "sleep": 1})))
    asking.start()
    with connect(serving.port) as idle:
        idle.sendall(b"GET /healthz/ready HTTP/1.1\r\nHost: t\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")
        await_truth(begun.exists, "the request is under way")
        pids = serving.worker_pids()
        assert serving.process is not None
        if how == "admin":
            assert ask(serving.admin, "POST", "/shutdown").json == {"stopped": True}
        else:
            serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(60) == 0
        assert idle.recv(1000) == b""
    asking.join()
    assert [answer.status for answer in answers] == [200]
    assert not any(is_running(pid) for pid in pids)
    assert not serving.admin.exists()
    assert not (serving.directory / "supervisor.json").exists()


def test_a_start_that_fails_three_times_is_failed_with_one_line_of_reason(
    supervised: Supervised, tmp_path: Path
) -> None:
    source = "def init():\n    raise FileNotFoundError(2, 'No such file', 'weights.bin')\ndef run(data): pass\n"
    deployments = {"blue-1": make_deployment(make_code(tmp_path / "failing", source))}
    supervised.start(supervised.document(deployments, {"blue-1": 100}))
    assert supervised.report("blue-1")["state"] in {"Transitioning", "Failed"}
    reason = "FileNotFoundError: [Errno 2] No such file: 'weights.bin'"
    report = supervised.await_state("blue-1", "Failed")
    assert report["reason"] == reason
    assert report["restarts"] >= 3
    await_truth(lambda: supervised.report("blue-1")["log_tail"][-1] == reason, "its last line is here")
    log = supervised.directory / "logs" / "blue-1-0.log"
    await_truth(lambda: log.read_text(encoding="utf-8").count("Traceback (most recent") >= 3, "all are written")
    assert supervised.score().status == 503


def test_an_interpreter_that_is_not_there_is_unschedulable(supervised: Supervised, code: Path) -> None:
    deployments = {"blue-1": make_deployment(code, python="/nowhere/bin/python")}
    supervised.start(supervised.document(deployments, {"blue-1": 100}))
    report = supervised.await_state("blue-1", "Unschedulable")
    assert report["reason"] == "/nowhere/bin/python cannot be started: No such file or directory"


def test_a_task_that_ends_while_it_puts_away_a_dead_worker_leaves_nothing_open() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def main() -> None:
        before = descriptors()
        process = await WorkerProcess.spawn(Launch(sys.executable, (), os.environ), lambda _: None)
        assert await process.exited == 2  # it has no arguments
        stopping = asyncio.create_task(process.stop(None))
        await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait([stopping])
        await until(lambda: descriptors() <= before, "all are closed")

    asyncio.run(main())


def test_a_worker_that_dies_before_it_is_ready_says_how(supervised: Supervised, tmp_path: Path) -> None:
    source = "import os\ndef init(): os._exit(9)\ndef run(data): pass\n"
    supervised.start(
        supervised.document({"blue-1": make_deployment(make_code(tmp_path / "f", source))}, {"blue-1": 100})
    )
    assert supervised.await_state("blue-1", "Failed")["reason"] == "the worker exited with code 9 before it was ready"


PROBE = {"initial_delay": 0, "period": 0.1, "timeout": 1, "success_threshold": 1, "failure_threshold": 3}


PATIENT_PROBE = {**PROBE, "initial_delay": 8, "period": 0.4, "failure_threshold": 5}
"""For liveness: a start on a busy machine takes seconds, and must not count as death."""


def start_probed(supervised: Supervised, code: Path, **changes: object) -> int:
    """One worker under a liveness probe; its process id."""
    deployment = make_deployment(code, liveness_probe=PATIENT_PROBE, **changes)
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    assert supervised.await_state("blue-1", "Healthy")["restarts"] == 0
    (pid,) = supervised.worker_pids()
    return pid


def assert_replaced(supervised: Supervised, pid: int, reason: str) -> None:
    """Wait for another worker, and look for the reason in the log."""
    await_truth(lambda: not is_running(pid), "the worker was ended")
    await_truth(lambda: supervised.report("blue-1")["restarts"] >= 1, "its end was noticed")
    supervised.await_state("blue-1", "Healthy")
    log = supervised.directory / "logs" / "supervisor.log"
    await_truth(lambda: reason in log.read_text(encoding="utf-8"), reason)


def test_a_worker_that_no_longer_answers_its_probe_is_replaced(supervised: Supervised, code: Path) -> None:
    pid = start_probed(supervised, code)
    os.kill(pid, signal.SIGSTOP)
    assert_replaced(supervised, pid, "the liveness probe failed 5 times")


def test_a_worker_whose_run_never_returns_is_replaced(supervised: Supervised, code: Path) -> None:
    """Its health route answers still, but its only place is taken for ever."""
    limits = {"request_timeout_ms": 1000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 100}
    pid = start_probed(supervised, code, request_settings=limits)
    assert supervised.score({"sleep": 600}).status == 504
    assert_replaced(supervised, pid, "the liveness probe failed 5 times: run() does not return")
    await_truth(lambda: supervised.score().status == 200, "it serves")


def test_a_worker_whose_run_never_returns_is_replaced_when_its_client_has_left_before(
    supervised: Supervised, tmp_path: Path
) -> None:
    source = "import time\ndef init(): pass\ndef run(data):\n    if data == 'hang':\n"
    source += "        print('begun')\n        time.sleep(600)\n"
    limits = {"request_timeout_ms": 2000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 100}
    pid = start_probed(supervised, make_code(tmp_path / "hanging", source), request_settings=limits)
    with connect(supervised.port) as client:
        client.sendall(b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nhang")
        await_truth(lambda: "begun" in supervised.report("blue-1")["log_tail"], "it runs")
    await_truth(lambda: supervised.report("blue-1")["requests"] == 1, "the client's going was noticed")
    assert_replaced(supervised, pid, "the liveness probe failed 5 times: run() does not return")
    await_truth(lambda: supervised.score().status == 200, "it serves")


def test_a_worker_that_is_not_ready_gets_no_requests_until_it_is_again(supervised: Supervised, code: Path) -> None:
    deployment = make_deployment(code, instance_count=2, readiness_probe=PROBE)
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    pid = min(supervised.worker_pids())
    os.kill(pid, signal.SIGSTOP)
    await_truth(lambda: supervised.report("blue-1")["ready"] == 1, "the stopped worker is out")
    assert pid not in {supervised.score().json["pid"] for _ in range(20)}
    os.kill(pid, signal.SIGCONT)
    await_truth(lambda: supervised.report("blue-1")["ready"] == 2, "it is back")
    assert pid in {supervised.score().json["pid"] for _ in range(20)}


def test_a_taken_port_is_exit_code_4_and_a_reason(supervised: Supervised, code: Path) -> None:
    with socket.create_server(("127.0.0.1", supervised.port)):
        process = supervised.launch(supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100}))
        assert process.wait(60) == 4
    failure = json.loads((supervised.directory / "failure.json").read_bytes())
    assert failure["reason"] == f"port {supervised.port} on 127.0.0.1 is taken by another program"
    assert failure["code"] == 4
    supervised.start()
    assert not (supervised.directory / "failure.json").exists()


def test_a_second_supervisor_does_not_start(serving: Supervised) -> None:
    second = Supervised(serving.directory, serving.port)
    assert second.launch().wait(60) == 5
    assert serving.score().status == 200


@pytest.mark.parametrize("content", [None, "", "{", '{"format": 2}'])
def test_without_a_usable_configuration_it_exits_with_2(supervised: Supervised, content: str | None) -> None:
    supervised.directory.mkdir()
    if content is not None:
        (supervised.directory / "configuration.json").write_text(content, encoding="utf-8")
    assert supervised.launch().wait(60) == 2
    assert json.loads((supervised.directory / "failure.json").read_bytes())["reason"]


def test_an_admin_socket_with_too_long_a_path_is_refused(supervised: Supervised, code: Path) -> None:
    supervised.directory.mkdir()
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
    (supervised.directory / "configuration.json").write_text(json.dumps(document), encoding="utf-8")
    command = [supervised.python, "-m", "mlops_scoring.supervisor", "--directory", str(supervised.directory)]
    admin = supervised.directory / ("a" * 100)
    done = subprocess.run([*command, "--admin", str(admin)], check=False, capture_output=True, text=True)
    assert done.returncode == 6
    assert "has more than 107 bytes" in done.stderr


def test_what_lies_in_the_folder_is_the_owners_only(serving: Supervised) -> None:
    for path in ("", "a.sock", "supervisor.json", "run"):
        mode = stat.S_IMODE((serving.directory / path).stat().st_mode)
        assert mode & 0o077 == 0, (path, oct(mode))


def test_the_supervisor_says_who_it_is(serving: Supervised) -> None:
    assert serving.process is not None
    about = json.loads((serving.directory / "supervisor.json").read_bytes())
    assert about["pid"] == serving.process.pid == serving.status()["pid"]
    assert about["start_ticks"] == start_ticks(serving.process.pid)
    assert about["admin"] == str(serving.admin)


def test_a_worker_has_no_more_of_the_environment_than_is_declared(
    supervised: Supervised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "not for models")
    source = "import os\ndef init(): pass\ndef run(data): return dict(os.environ)\n"
    deployment = make_deployment(make_code(tmp_path / "env", source), environment_variables={"MINE": "yes"})
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    environment = supervised.score().json
    assert environment["MINE"] == "yes"
    assert "AZURE_CLIENT_SECRET" not in environment


def test_a_deep_folder_is_no_problem(short_path: Path, code: Path) -> None:
    """Worker sockets have relative paths, so the 107 bytes of a UNIX path are not exceeded; admin's path is given."""
    deep = Supervised(short_path / ("d" * 60) / ("e" * 60))
    deep.directory.mkdir(parents=True)
    document = deep.document({"blue-1": make_deployment(code)}, {"blue-1": 100})
    (deep.directory / "configuration.json").write_text(json.dumps(document), encoding="utf-8")
    admin = short_path / "a.sock"
    command = [deep.python, "-m", "mlops_scoring.supervisor", "--directory", str(deep.directory)]
    process = subprocess.Popen([*command, "--admin", str(admin)])
    try:
        await_truth(admin.exists, "the admin socket is there")
        await_truth(lambda: deep.score().status == 200, "it serves")
    finally:
        process.terminate()
        assert process.wait(60) == 0
