"""Copies of requests: exact in number, marked, and without any way to reach a client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scoring.load import Target, background, run
from tests.scoring.rig import Supervised, ask, await_truth, make_code, make_deployment
from tests.scoring.wired import OK, RawWorker, read_head, until, wired

from mlops_scoring.configuration import RequestSettings, parse_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.gateway.authentication import KeyGuard
from mlops_scoring.gateway.mirroring import MAX_MIRRORS, Mirror
from mlops_scoring.gateway.observing import Exchanged

WRITING = """
import json, os
log = open(os.environ["LOG"], "a", buffering=1)
def init(): pass
def run(data, request_headers):
    log.write(json.dumps([data, request_headers.get("X-Mlops-Mirrored"), request_headers.get("Authorization")]) + "\\n")
    return "mirror"
"""
A_PLACE_FOR_EACH = {
    "request_timeout_ms": 60000,
    "max_concurrent_requests_per_instance": MAX_MIRRORS // 2,
    "max_queue_wait_ms": 60000,
}
"""Of two instances: no copy of two hundred requests is dropped, however late they come to run."""

MISBEHAVING = """
import os, time
def init(): pass
def run(data):
    how = os.environ["HOW"]
    if how == "fails": raise ValueError
    if how == "dies": os.kill(os.getpid(), 9)
    if how == "hangs": time.sleep(3)
    if how == "is slow": time.sleep(0.2)
    return "y" * 5_000_000 if how == "answers much" else 1
"""


def mirrored(supervised: Supervised, main: Path, copy: Path, percent: int, **changes: object) -> dict[str, object]:
    deployments = {"blue-1": make_deployment(main), "dark-1": make_deployment(copy, **changes)}
    document = supervised.document(deployments, {"blue-1": 100}, {"blue": "blue-1", "dark": "dark-1"})
    return {**document, "mirror_traffic": {"dark-1": percent}}


def in_flight(supervised: Supervised, name: str) -> int:
    """Requests and copies that a deployment's workers have."""
    metrics = ask(supervised.admin, "GET", "/metrics").body.decode()
    return int(metrics.partition(f'mlops_gateway_in_flight{{deployment="{name}"}} ')[2].split()[0])


def test_the_share_is_exact_over_a_thousand_and_copies_count_apart(
    supervised: Supervised, code: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    changes = {"environment_variables": {"LOG": str(log)}, "instance_count": 2, "request_settings": A_PLACE_FOR_EACH}
    document = mirrored(supervised, code, make_code(tmp_path / "copy", WRITING), 30, **changes)
    supervised.start({**document, "auth": {"mode": "none"}})
    supervised.await_settled()
    for _ in range(5):
        report = run(Target(supervised.port, body=b'{"a": 1}'), connections=2, requests=200)
        assert (report.failures, report.deployments) == (0, {"blue-1": 200})
        await_truth(lambda: in_flight(supervised, "dark-1") == 0, "its copies were answered")
    dark = supervised.report("dark-1")
    assert dark["mirrored"] == 300
    assert (dark["requests"], dark["errors"], dark["mirror_errors"], dark["mirror_dropped"]) == (0, 0, 0, 0)
    assert log.read_text(encoding="utf-8").splitlines() == [json.dumps(['{"a": 1}', "true", None])] * 300
    assert supervised.score(azureml_model_deployment="dark").json == "mirror"
    assert supervised.report("dark-1")["requests"] == 1
    blue = supervised.report("blue-1")
    assert (blue["requests"], blue["mirrored"]) == (1000, 0)


@pytest.mark.parametrize("how", ["fails", "dies", "hangs", "is slow", "answers much", "is gone"])
def test_whatever_a_mirror_does_answers_are_as_without_it(
    supervised: Supervised, code: Path, tmp_path: Path, how: str
) -> None:
    copy = make_code(tmp_path / "copy", MISBEHAVING)
    limits = {"request_timeout_ms": 300, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 1000}
    variables = {"HOW": how}
    supervised.start(mirrored(supervised, code, copy, 50, environment_variables=variables, request_settings=limits))
    supervised.await_settled()
    if how == "is gone":
        (worker,) = supervised.worker_pids() - {supervised.score({}, azureml_model_deployment="blue").json["pid"]}
        os.kill(worker, signal.SIGSTOP)  # it takes connections still, and does nothing with them
    with background(Target(supervised.port), connections=4) as load:
        load.wait_for_more(600)
    report = load.report()
    assert (report.failures, set(report.deployments)) == (0, {"blue-1"})
    dark = supervised.report("dark-1")
    assert dark["mirrored"] > 0
    assert (dark["requests"], dark["errors"]) == (0, 0)
    if how in {"fails", "dies", "hangs", "is gone"}:
        await_truth(lambda: supervised.report("dark-1")["mirror_errors"] > 0, "its failures are counted")
    if how in {"hangs", "is slow", "is gone"}:
        assert dark["mirror_dropped"] > 0
    if how == "is gone":
        os.kill(worker, signal.SIGCONT)


def test_a_mirror_that_is_not_there_drops_every_copy(supervised: Supervised, code: Path, tmp_path: Path) -> None:
    failing = make_code(tmp_path / "copy", "def init(): 1/0\ndef run(data): pass\n")
    supervised.start(mirrored(supervised, code, failing, 50))
    supervised.await_state("blue-1", "Healthy")
    assert run(Target(supervised.port), connections=2, requests=100).failures == 0
    await_truth(lambda: supervised.report("dark-1")["mirror_dropped"] == 50, "the copies are counted")


def test_the_mirror_moves_with_the_configuration(supervised: Supervised, code: Path, tmp_path: Path) -> None:
    copy = make_code(tmp_path / "copy", "def init(): pass\ndef run(data): return 1\n")
    document = mirrored(supervised, code, copy, 50)
    supervised.start({**document, "mirror_traffic": {}})
    supervised.await_settled()
    assert supervised.status()["mirror_traffic_in_force"] == {}
    assert supervised.put(document).status == 200
    supervised.await_settled()
    assert supervised.status()["mirror_traffic_in_force"] == {"dark-1": 50}
    for _ in range(10):
        assert supervised.score().status == 200
    await_truth(lambda: supervised.report("dark-1")["mirrored"] == 5, "half of them were copied")
    assert supervised.put({**document, "mirror_traffic": {"dark-1": 0}}).status == 200
    supervised.await_settled()
    for _ in range(10):
        assert supervised.score().status == 200
    assert supervised.report("dark-1")["mirrored"] == 5


def test_requests_that_name_a_deployment_are_not_copied(supervised: Supervised, code: Path, tmp_path: Path) -> None:
    copy = make_code(tmp_path / "copy", "def init(): pass\ndef run(data): return 1\n")
    supervised.start(mirrored(supervised, code, copy, 50))
    supervised.await_settled()
    for _ in range(4):
        assert supervised.score(azureml_model_deployment="blue").status == 200
    assert [supervised.score().status, supervised.score().status] == [200, 200]
    await_truth(lambda: supervised.report("dark-1")["mirrored"] == 1, "one of the two others was copied")


def test_a_copy_goes_out_after_the_answer_and_never_waits_for_a_place(short_path: Path) -> None:
    """One place at the mirror, taken by a request of its own: the copy is dropped, and the request is not delayed."""
    heard: list[Exchanged] = []

    class Ear:
        def exchanged(self, exchanged: Exchanged) -> None:
            heard.append(exchanged)

        def close(self) -> None:
            """Nothing is kept."""

    request = b"POST /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 2\r\n"
    request += b"Authorization: Bearer right\r\nX-Mlops-Mirrored: maybe\r\n\r\n{}"

    async def main() -> None:
        async with wired(short_path) as side:
            side.gateway.guard = KeyGuard(["right"])
            side.gateway.observers.append(Ear())
            mirror = side.gateway.add("dark-1", RequestSettings(20000, 1, 20000))
            upstream = mirror.open("dark-1", str(side.worker.path))
            side.gateway.switch({"blue-1": 100}, {}, {"dark-1": 50})
            for _ in range(2):
                assert (await side.converse(request)).startswith(b"HTTP/1.1 200 ")
            await until(lambda: len(heard) == 3)
            copies = [exchanged for exchanged in heard if exchanged.mirrored]
            assert [(copy.deployment, copy.status, copy.received, copy.sent) for copy in copies] == [
                ("dark-1", 200, 2, 2)
            ]
            assert heard[-1].deployment in {"blue-1", "dark-1"}
            assert side.worker.received.count(b"x-mlops-mirrored: true\r\n") == 1
            assert b"maybe" not in side.worker.received
            assert b"right" not in side.worker.received
            upstream.in_flight = 1  # as if it were busy
            for _ in range(2):
                assert (await side.converse(request)).startswith(b"HTTP/1.1 200 ")
            await until(lambda: mirror.tally.mirror_dropped == 1)
            assert mirror.figures().waiting == 0
            upstream.in_flight = 0
            upstream.close()

    asyncio.run(main())


def test_a_request_that_names_the_mirror_waits_for_the_copy_that_runs_and_for_no_further_one(short_path: Path) -> None:
    go = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: RawWorker) -> None:
        while head := await read_head(reader, worker):
            if b"x-mlops-mirrored" in head:
                await go.wait()
            writer.write(OK)

    request = b"GET /score HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"

    async def main() -> None:
        async with wired(short_path, serve) as side:
            mirror = side.gateway.add("dark-1", RequestSettings(20000, 1, 20000))
            upstream = mirror.open("dark-1", str(side.worker.path))
            side.gateway.switch({"blue-1": 100}, {}, {"dark-1": 50})
            for _ in range(2):
                assert (await side.converse(request + b"\r\n")).endswith(b"ok")
            await until(lambda: upstream.in_flight == 1, "a copy runs")
            named = asyncio.create_task(side.converse(request + b"azureml-model-deployment: dark-1\r\n\r\n"))
            await until(lambda: mirror.figures().waiting == 1)
            for _ in range(4):
                assert (await side.converse(request + b"\r\n")).endswith(b"ok")
            await until(lambda: mirror.tally.mirror_dropped == 2)
            assert mirror.figures().waiting == 1
            go.set()
            assert (await named).endswith(b"ok")
            assert (mirror.tally.mirrored, mirror.tally.requests) == (1, 1)
            upstream.close()

    asyncio.run(main())


@given(st.integers(1, 50))
def test_the_share_is_exact_over_any_hundred(percent: int) -> None:
    mirror = Mirror("dark", percent)
    assert [sum(mirror.next() for _ in range(100)) for _ in range(3)] == [percent] * 3


@pytest.mark.parametrize(
    ("mirror", "problem"),
    [
        ({"dark-1": 51}, "mirror_traffic.dark-1: must be from 0 to 50; it is 51"),
        ({"blue-1": 10}, "mirror_traffic.blue-1: has traffic of its own; a mirror has none"),
        ({"grey-1": 10}, "mirror_traffic.grey-1: is not the live name of a deployment"),
        ({"dark-1": 10, "dark-2": 10}, "mirror_traffic: names at most one deployment"),
        ({"dark-1": "10"}, "mirror_traffic.dark-1: must be a whole number"),
    ],
)
def test_mirrors_that_azure_ml_would_refuse_are_refused(
    supervised: Supervised, mirror: dict[str, object], problem: str
) -> None:
    deployments = {name: make_deployment(Path("/c")) for name in ("blue-1", "dark-1", "dark-2")}
    document = {**supervised.document(deployments, {"blue-1": 100}), "mirror_traffic": mirror}
    with pytest.raises(InvalidDocument) as refused:
        parse_configuration(json.dumps(document))
    assert refused.value.problems == (problem,)
