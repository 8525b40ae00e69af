"""The gateway: weights, the deployment header, limits, and both directions of HTTP/1.1."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.scoring.load import Target, run
from tests.scoring.rig import Supervised, ask, await_truth, connect, exchange, held, make_code, make_deployment

END = b"Host: t\r\nConnection: close\r\n\r\n"


@pytest.fixture
def pair(supervised: Supervised, code: Path) -> Supervised:
    """Two healthy deployments, 90 and 10, and a third without traffic."""
    deployments = {
        f"{name}-1a": make_deployment(code, environment_variables={"NAME": name}) for name in ("blue", "green", "red")
    }
    aliases = {"blue": "blue-1a", "green": "green-1a", "red": "red-1a"}
    supervised.start(supervised.document(deployments, {"blue-1a": 90, "green-1a": 10}, aliases))
    supervised.await_settled()
    return supervised


def test_weights_are_exact_over_a_hundred_and_over_a_thousand(pair: Supervised) -> None:
    names = [pair.score().headers["azureml-model-deployment"] for _ in range(100)]
    assert Counter(names) == {"blue-1a": 90, "green-1a": 10}
    report = run(Target(pair.port), connections=8, requests=1000)
    assert (report.failures, report.deployments) == (0, {"blue-1a": 900, "green-1a": 100})
    assert {name: pair.report(name)["requests"] for name in ("blue-1a", "green-1a", "red-1a")} == {
        "blue-1a": 990,
        "green-1a": 110,
        "red-1a": 0,
    }


def test_the_header_reaches_a_deployment_whatever_its_weight(pair: Supervised) -> None:
    for name, reached in [("red", "red-1a"), ("red-1a", "red-1a"), ("green", "green-1a")]:
        answer = pair.score(azureml_model_deployment=name)
        assert (answer.json["name"], answer.headers["azureml-model-deployment"]) == (reached.split("-")[0], reached)
    missing = pair.score(azureml_model_deployment="grey")
    assert (missing.status, missing.json) == (404, {"message": "This endpoint has no deployment 'grey'."})
    assert missing.headers["x-ms-request-id"]


def test_admin_scores_one_deployment_and_counts_nothing(pair: Supervised) -> None:
    answer = ask(pair.admin, path="/score/red-1a", body='{"a": 1}')
    assert (answer.status, answer.json["name"], answer.json["order"]) == (200, "red", {"a": 1})
    assert ask(pair.admin, path="/score/grey-1a", body="{}").status == 404
    assert pair.report("red-1a")["requests"] == 0


def test_everything_but_health_goes_to_a_worker(pair: Supervised) -> None:
    assert ask(pair.port, "GET", "/").body == b"Healthy"
    assert ask(pair.port, "GET", "/healthz/live").status == 200
    assert ask(pair.port, "GET", "/healthz/ready").status == 200
    swagger = ask(pair.port, "GET", "/swagger.json?version=3")
    assert swagger.json["openapi"] == "3.0.3"
    assert "azureml-model-deployment" in swagger.headers
    assert ask(pair.port, "GET", "/nothing").status == 404
    assert ask(pair.port, "HEAD", "/swagger.json").status == 200
    assert ask(pair.port, "HEAD", "/swagger.json").status == 200


def test_errors_of_a_deployment_are_counted(supervised: Supervised, tmp_path: Path) -> None:
    source = "def init(): pass\ndef run(data):\n    if data == 'bad': raise ValueError\n    return data\n"
    deployments = {"blue-1": make_deployment(make_code(tmp_path / "bad", source))}
    supervised.start(supervised.document(deployments, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    statuses = [ask(supervised.port, body=body).status for body in ("good", "bad", "good")]
    assert statuses == [200, 500, 200]
    report = supervised.report("blue-1")
    assert (report["requests"], report["errors"]) == (3, 1)


def test_without_traffic_there_is_503_and_the_endpoint_is_not_ready(supervised: Supervised, code: Path) -> None:
    supervised.start(supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 0}, {"blue": "blue-1"}))
    supervised.await_state("blue-1", "Healthy")
    answer = supervised.score()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert ask(supervised.port, "GET", "/healthz/ready").status == 503
    assert ask(supervised.port, "GET", "/healthz/live").status == 200
    assert supervised.score(azureml_model_deployment="blue").status == 200


def test_answers_for_which_there_was_no_deployment_are_counted_and_logged(supervised: Supervised, code: Path) -> None:
    document = supervised.document({"blue-1": make_deployment(code)}, {"blue-1": 0})
    supervised.start({**document, "telemetry": {"access_log": 1}})
    supervised.await_state("blue-1", "Healthy")
    identity = {"x-request-id": "mine"}
    assert ask(supervised.port, body=b"{}", headers=identity).status == 503
    assert ask(supervised.port, body=b"{}", headers={"azureml-model-deployment": "green"}).status == 404
    assert ask(supervised.admin, "POST", "/score/green", b"{}").status == 404
    metrics = ask(supervised.admin, "GET", "/metrics").body.decode()
    refused = [line for line in metrics.splitlines() if line.startswith("mlops_gateway_refused_total{")]
    assert refused == [f'mlops_gateway_refused_total{{status="{status}"}} 1' for status in (404, 503)]
    log = supervised.directory / "logs" / "supervisor.log"
    await_truth(lambda: log.read_text(encoding="utf-8").count("mlops_scoring.access") >= 3, "all are written")
    written = log.read_text(encoding="utf-8").splitlines(keepends=True)
    records = [json.loads(line) for line in written if line.endswith("\n")]
    lines = [record for record in records if record["logger"] == "mlops_scoring.access"]
    assert [(line["status"], line["deployment"]) for line in lines[:2]] == [(503, None), (404, None)]
    assert [line["reason"] for line in lines[:2]] == [
        "No deployment of this endpoint has traffic. Try again later.",
        "This endpoint has no such deployment.",
    ]
    assert (lines[0]["request_id"], lines[0]["received"]) == ("mine", 2)


def test_another_deployment_with_traffic_answers_for_one_without_workers(
    supervised: Supervised, code: Path, tmp_path: Path
) -> None:
    failing = make_code(tmp_path / "failing", "def init(): 1/0\ndef run(data): pass\n")
    deployments = {"blue-1a": make_deployment(code), "blue-2b": make_deployment(failing)}
    supervised.start(supervised.document(deployments, {"blue-1a": 50, "blue-2b": 50}, {"blue": "blue-2b"}))
    supervised.await_state("blue-1a", "Healthy")
    assert {supervised.score().headers["azureml-model-deployment"] for _ in range(10)} == {"blue-1a"}
    assert supervised.score(azureml_model_deployment="blue").status == 200
    exact = supervised.score(azureml_model_deployment="blue-2b")
    assert (exact.status, exact.headers["retry-after"]) == (503, "1")


def settings(timeout: int = 60000, concurrency: int = 1, wait: int = 60000) -> dict[str, int]:
    return {
        "request_timeout_ms": timeout,
        "max_concurrent_requests_per_instance": concurrency,
        "max_queue_wait_ms": wait,
    }


def start_limited(supervised: Supervised, code: Path, limits: dict[str, int], count: int = 1) -> None:
    deployment = make_deployment(code, request_settings=limits, instance_count=count)
    document = supervised.document({"blue-1": deployment}, {"blue-1": 100})
    supervised.start({**document, "limits": {"slowest_rate": 0}})  # clients may pause
    supervised.await_state("blue-1", "Healthy")


def test_a_request_that_finds_no_free_worker_in_time_gets_429(
    supervised: Supervised, code: Path, tmp_path: Path
) -> None:
    start_limited(supervised, code, settings(wait=200))
    with held(supervised.port, tmp_path / "gate") as answers:
        for refused in (supervised.score(), supervised.score()):
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert answers[0].status == 200
    report = supervised.report("blue-1")
    assert (report["requests"], report["errors"]) == (3, 0)


def waiting(supervised: Supervised) -> int:
    """Requests that wait for a worker."""
    metrics = ask(supervised.admin, "GET", "/metrics").body.decode()
    return int(metrics.partition('mlops_gateway_waiting{deployment="blue-1"} ')[2].split()[0])


def test_requests_wait_for_their_turn_and_workers_share_them(
    supervised: Supervised, code: Path, tmp_path: Path
) -> None:
    start_limited(supervised, code, settings(), count=2)
    with ThreadPoolExecutor(4) as threads:
        with held(supervised.port, tmp_path / "one") as one, held(supervised.port, tmp_path / "other") as other:
            later = [threads.submit(supervised.score) for _ in range(4)]
            await_truth(lambda: waiting(supervised) == 4, "the others wait")
            assert not any(answer.done() for answer in later)
        workers = {one[0].json["pid"], other[0].json["pid"]}
        assert workers == supervised.worker_pids()
        assert [answer.result().status for answer in later] == [200] * 4


def test_a_request_that_takes_too_long_gets_504_and_its_worker_is_busy_until_run_returns(
    supervised: Supervised, code: Path, tmp_path: Path
) -> None:
    start_limited(supervised, code, settings(timeout=1500, wait=100))
    late = supervised.score({"gate": str(tmp_path / "gate")})
    assert (late.status, late.json) == (504, {"message": "Scoring timeout after 1500 ms"})
    assert supervised.score().status == 429
    assert supervised.report("blue-1")["errors"] == 1
    (tmp_path / "gate").touch()
    await_truth(lambda: supervised.score().status == 200, "the worker is free again")


def test_a_client_that_leaves_the_queue_costs_no_run(supervised: Supervised, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    source = "import os, time\ncalls = []\ndef init(): pass\ndef run(data):\n    calls.append(data)\n    print(data)\n"
    source += f"    while data == 'slow' and not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return calls\n"
    start_limited(supervised, make_code(tmp_path / "counting", source), settings())
    slow = threading.Thread(target=ask, args=(supervised.port, "POST", "/score", "slow"))
    slow.start()
    await_truth(lambda: "slow" in supervised.report("blue-1")["log_tail"], "the slow request runs")
    with connect(supervised.port) as leaving:
        leaving.sendall(b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\ngone")
        await_truth(lambda: waiting(supervised) == 1, "it waits")
    await_truth(lambda: waiting(supervised) == 0, "its going was heard of")
    gate.touch()
    slow.join()
    assert ask(supervised.port, body="last").json == ["slow", "last"]


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"POST /score HTTP/1.1\r\n" + END[:-2] + b'Content-Length: 8\r\n\r\n{"a": 1}', {"a": 1}),
        (
            b"POST /score HTTP/1.1\r\n" + END[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
            b'3;ext=1\r\n{"a\r\n5\r\n": 1}\r\n0\r\nTrailer: ignored\r\n\r\n',
            {"a": 1},
        ),
        (b'POST /score HTTP/1.0\r\nContent-Length: 8\r\n\r\n{"a": 1}', {"a": 1}),
        (b"POST http://t/score HTTP/1.1\r\n" + END[:-2] + b'Content-Length: 8\r\n\r\n{"a": 1}', {"a": 1}),
        (b"POST /score HTTP/1.1\r\n" + END, {}),
    ],
)
def test_ways_to_send_a_body(serving: Supervised, request_bytes: bytes, expected: object) -> None:
    """Length, chunks with extension and trailer, HTTP/1.0, absolute form, nothing; whole and byte by byte."""
    for pieces in ([request_bytes], [bytes([byte]) for byte in request_bytes]):
        head, _, body = exchange(serving.port, *pieces).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close" in head
        assert json.loads(body)["order"] == expected


def test_http_1_0_may_keep_its_connection(serving: Supervised) -> None:
    once = b"POST /score HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"
    received = exchange(serving.port, once, once, b"GET / HTTP/1.0\r\n\r\n")
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert received.count(b"connection: keep-alive\r\n") == 2


def test_pipelined_requests_are_answered_in_order(serving: Supervised) -> None:
    orders = [{"n": 0, "sleep": 0.2}, {"n": 1}, {"n": 2, "sleep": 0.1}, {"n": 3}]
    sent = b""
    for order in orders:
        body = json.dumps(order).encode()
        sent += b"POST /score HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    received = exchange(serving.port, sent + b"GET / HTTP/1.1\r\n" + END)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 5
    places = [received.index(b'"n": %d' % number) for number in range(4)]
    assert places == sorted(places)
    assert received.endswith(b"Healthy")


def test_an_offer_of_another_protocol_is_ignored(serving: Supervised) -> None:
    """Java's client offers HTTP/2 with its first request of each connection."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    post = b"POST /score HTTP/1.1\r\nHost: t\r\n" + offer + b'Content-Length: 8\r\n\r\n{"a": 1}'
    received = exchange(
        serving.port, post + b"GET /swagger.json HTTP/1.1\r\nHost: t\r\n" + offer + b"\r\n", b"GET / HTTP/1.1\r\n" + END
    )
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert b'"order": {"a": 1}' in received


def test_a_client_is_told_to_continue_before_it_sends_the_body(serving: Supervised) -> None:
    with connect(serving.port) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(serving: Supervised) -> None:
    with connect(serving.port) as connection:
        length = b"Content-Length: %d\r\n" % (10**12)
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n" + length + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_that_grows_too_large_is_refused(serving: Supervised) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with connect(serving.port) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(80):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        with_answer = b""
        with contextlib.suppress(ConnectionResetError):
            with_answer = connection.recv(1000)
    assert with_answer.startswith(b"HTTP/1.1 413 ") or not with_answer
    assert serving.score().status == 200


def test_large_bodies_pass_both_ways(supervised: Supervised, tmp_path: Path) -> None:
    source = "def init(): pass\ndef run(data): return data * 4\n"
    start_limited(supervised, make_code(tmp_path / "large", source), settings())
    body = "x" * 5_000_000
    assert ask(supervised.port, body=body).json == body * 4


def test_a_large_answer_waits_for_its_client_outside_the_gateways_memory(
    supervised: Supervised, tmp_path: Path
) -> None:
    source = "def init(): pass\ndef run(data): return 'y' * 100_000_000\n"
    start_limited(supervised, make_code(tmp_path / "large", source), settings())
    assert supervised.process is not None
    before = resident(supervised.process.pid)
    with connect(supervised.port) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\n" + END)
        size = len(connection.recv(1))
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert ask(supervised.port, "GET", "/").status == 200
            assert resident(supervised.process.pid) - before < 20_000_000
        while chunk := connection.recv(1 << 20):
            size += len(chunk)
    assert size > 100_000_000
    assert supervised.score().status == 200


def resident(pid: int) -> int:
    """Memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


def test_hop_by_hop_headers_stay_on_their_hop(supervised: Supervised, tmp_path: Path) -> None:
    source = "def init(): pass\ndef run(data, request_headers): return request_headers\n"
    start_limited(supervised, make_code(tmp_path / "headers", source), settings())
    answer = ask(
        supervised.port,
        body="{}",
        headers={"TE": "trailers", "Proxy-Authorization": "x", "Keep-Alive": "a", "X-Mine": "kept", "Connection": "TE"},
    )
    assert answer.json["X-Mine"] == "kept"
    assert not {"Te", "Proxy-Authorization", "Keep-Alive", "Connection"} & set(answer.json)
