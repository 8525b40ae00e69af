"""Traces as a collector receives them, from real gateways and workers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.certificates import make_pair
from tests.scoring.conftest import StartWorker
from tests.scoring.rig import Supervised, ask, await_truth, free_port, make_code, make_deployment
from tests.scoring.telemetry.admin import start_with_admin
from tests.scoring.telemetry.collector import Collector, listen

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"
PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "100000"}
"""Nothing is sent twice because a busy machine was slow to take it."""
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100", **PATIENT}
NEVER = "3600000"
"""Milliseconds that no test waits."""

SCRIPT = """
import mlops_scoring.current
from mlops_scoring.telemetry.trace_context import TRACE

def init():
    pass

def run(data):
    if data == "boom":
        raise ValueError("no")
    asked = mlops_scoring.current.current_request()
    return {
        "request_id": asked.request_id,
        "agent": asked.header(b"x-agent"),
        "traceparent": asked.header(b"traceparent"),
        "span": None if TRACE.get() is None else f"{TRACE.get().span_id:016x}",
    }
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with listen(Collector()) as receiving:
        yield receiving


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that starts later sends metrics only when it is told, and everything once."""
    for name, value in {**PATIENT, "OTEL_METRIC_EXPORT_INTERVAL": NEVER}.items():
        monkeypatch.setenv(name, value)


def traced(collector_url: str, **variables: str) -> dict[str, object]:
    return {"telemetry": {"otlp_endpoint": collector_url}, "environment_variables": {**QUICK, **variables}}


def test_a_trace_goes_from_the_caller_through_the_gateway_to_run(
    supervised: Supervised, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=scoring")
    deployment = make_deployment(make_code(tmp_path / "code", SCRIPT), **traced(collector.url))
    document = supervised.document({"blue-1": deployment}, {"blue-1": 100}, {"blue": "blue-1"})
    supervised.start({**document, "telemetry": {"otlp_endpoint": collector.url}})
    supervised.await_state("blue-1", "Healthy")
    headers = {"traceparent": PARENT, "tracestate": "vendor=1", "x-request-id": "asked-1", "x-agent": "a"}
    answer = ask(supervised.port, body="{}", headers=headers)
    collector.wait(lambda: collector.named("gateway") and collector.named("worker"), "both spans")
    gateway, worker = collector.named("gateway")[0], collector.named("worker")[0]
    assert {gateway.trace_id, worker.trace_id} == {TRACE}
    assert gateway.parent_id == "b7ad6b7169203331"
    assert worker.parent_id == gateway.span_id
    assert gateway.state == worker.state == "vendor=1"
    assert answer.json["span"] == worker.span_id
    assert answer.json["traceparent"] == f"00-{TRACE}-{gateway.span_id}-01"
    assert answer.json["request_id"] == "asked-1"
    assert answer.json["agent"] == "a"
    assert (
        gateway.start <= worker.start <= worker.end <= gateway.end + 60_000_000_000
    )  # it is told of its end later than the gateway
    assert worker.attributes["http.route"] == "/score"
    assert worker.attributes["http.response.status_code"] == 200
    assert worker.attributes["mlops.request_id"] == gateway.attributes["mlops.request_id"] == "asked-1"
    assert gateway.attributes["mlops.deployment"] == "blue-1"
    assert gateway.resource["service.name"] == "test"
    assert worker.resource["mlops.deployment"] == "blue-1"
    assert gateway.resource["team"] == worker.resource["team"] == "scoring"
    assert (gateway.kind, worker.kind) == (2, 2)


def test_variables_of_the_supervisor_reach_all_and_make_no_two_processes_one(
    supervised: Supervised, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is declared: OpenTelemetry's variables of who started it are enough, for gateway and workers alike."""
    shared = "service.instance.id=pod-7,service.namespace=shop,process.pid=1,mlops.component=mine,mlops.team=a"
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "prices",
        "OTEL_RESOURCE_ATTRIBUTES": shared,
    }
    for name, value in {**QUICK, **variables}.items():
        monkeypatch.setenv(name, value)
    code = make_code(tmp_path / "code", SCRIPT)
    own = {"OTEL_SERVICE_NAME": "green", "OTEL_RESOURCE_ATTRIBUTES": "mlops.team=b"}
    deployments = {
        "blue-1": make_deployment(code, instance_count=2),
        "green-1": make_deployment(code, environment_variables=own),
    }
    supervised.start(supervised.document(deployments, {"blue-1": 50, "green-1": 50}))
    supervised.await_settled()
    collector.wait(lambda: len(senders(collector)) == 4, "metrics of all four processes")
    assert [supervised.score().status for _ in range(4)] == [200] * 4
    collector.wait(lambda: len(collector.named("worker")) == len(collector.named("gateway")) == 4, "all spans")
    resources = [*senders(collector).values(), *(span.resource for span in collector.spans)]
    assert {resource["service.instance.id"] for resource in resources} == set(senders(collector))
    assert supervised.process is not None
    pids = {supervised.process.pid, *supervised.worker_pids()}
    assert {resource["process.pid"] for resource in resources} == pids
    found = {(r["mlops.component"], r.get("mlops.deployment"), r["service.name"]) for r in resources}
    assert found == {("gateway", None, "prices"), ("worker", "blue-1", "prices"), ("worker", "green-1", "green")}
    for resource in resources:
        theirs = resource["service.name"] == "green"
        assert resource["service.instance.id"].startswith("pod-7:") != theirs
        assert (resource["service.namespace"], resource["mlops.team"]) == (("mlops", "b") if theirs else ("shop", "a"))


def senders(collector: Collector) -> dict[str, dict[str, Any]]:
    resources = [found["resource"] for found in collector.metrics]
    return {resource["service.instance.id"]: resource for resource in resources}


@pytest.mark.usefixtures("patient")
def test_telemetry_of_the_gateway_changes_without_a_restart(serving: Supervised, collector: Collector) -> None:
    """A second collector gets what comes after the change, and what waited for the first one is still sent there."""
    document = serving.status()["configuration"]
    assert serving.put({**document, "telemetry": {"otlp_endpoint": collector.url}}).status == 200
    assert serving.score().status == 200
    with listen(Collector()) as second:
        assert serving.put({**document, "telemetry": {"otlp_endpoint": second.url}}).status == 200
        assert serving.score().status == 200
        collector.wait(lambda: len(collector.named("gateway")) == 1, "the first span")
        assert serving.put(document).status == 200
        second.wait(lambda: len(second.named("gateway")) == 1, "the second span")
        assert serving.score().status == 200


@pytest.mark.usefixtures("patient")
def test_totals_are_since_one_moment_whatever_of_telemetry_changes(serving: Supervised, collector: Collector) -> None:
    """A new start would mean that they began anew, and all that was counted before would be counted again."""
    document = serving.status()["configuration"]
    assert serving.put({**document, "telemetry": {"otlp_endpoint": collector.url}}).status == 200
    assert serving.score().status == 200
    changed = {"otlp_endpoint": collector.url, "access_log": 0.5}
    assert serving.put({**document, "telemetry": changed}).status == 200
    collector.wait(lambda: len(sent_by_gateway(collector)) == 1, "the first sink's last values")
    assert serving.score().status == 200
    assert serving.put(document).status == 200
    collector.wait(lambda: len(sent_by_gateway(collector)) == 2, "the second sink's last values")
    first, second = sent_by_gateway(collector)
    totals = {name for name, found in second.items() if name != "resource" and found[0] != "gauge"}
    assert totals >= {"mlops_gateway_requests", "mlops_gateway_request_duration_seconds"}
    starts = {point.start_time_unix_nano for sent in (first, second) for name in totals for point in sent[name][1]}
    assert len(starts) == 1
    assert starts.pop() <= min(point.time_unix_nano for point in first["mlops_gateway_requests"][1])


def sent_by_gateway(collector: Collector) -> list[dict[str, Any]]:
    """Metrics in the order they came."""
    return [sent for sent in collector.metrics if sent["resource"]["mlops.component"] == "gateway"]


def test_a_failed_run_is_an_error_and_a_bad_request_is_none(start_worker: StartWorker, collector: Collector) -> None:
    worker = start_worker(SCRIPT, **traced(collector.url))
    assert worker.ask("boom", headers={"x-request-id": "a"}).status == 500
    assert worker.ask(b"\xff", headers={"x-request-id": "b"}).status == 400
    collector.wait(lambda: len(collector.spans) == 2, "two spans")
    spans = {span.attributes["mlops.request_id"]: span for span in collector.spans}
    assert (spans["a"].status, spans["a"].attributes["error.type"]) == (2, "500")
    assert (spans["b"].status, spans["b"].attributes["http.response.status_code"]) == (0, 400)


@pytest.mark.parametrize(
    "header",
    [
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331-01-more",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        "00",
        "x" * 5000,
    ],
)
def test_a_trace_context_that_is_none_begins_a_new_trace(
    start_worker: StartWorker, collector: Collector, header: str
) -> None:
    worker = start_worker(SCRIPT, **traced(collector.url))
    assert worker.ask("{}", headers={"traceparent": header, "tracestate": "a=1"}).status == 200
    collector.wait(lambda: collector.spans, "a span")
    assert collector.spans[0].trace_id != TRACE
    assert not collector.spans[0].parent_id
    assert not collector.spans[0].state


def test_callers_decide_what_is_recorded_and_a_ratio_where_they_do_not(
    start_worker: StartWorker, collector: Collector
) -> None:
    deployment = traced(collector.url)
    deployment["telemetry"] = {"otlp_endpoint": collector.url, "sampling_ratio": 0}
    worker = start_worker(SCRIPT, **deployment)
    for headers in ({"traceparent": UNSAMPLED}, {}, {"traceparent": PARENT}):
        assert worker.ask("{}", headers=headers).status == 200
    collector.wait(lambda: collector.spans, "the span that the caller wants")
    worker.process.terminate()
    assert worker.process.wait(60) == 0
    assert [span.parent_id for span in collector.spans] == ["b7ad6b7169203331"]


def test_what_waits_is_sent_when_the_worker_is_told_to_end(start_worker: StartWorker, collector: Collector) -> None:
    worker = start_worker(SCRIPT, **traced(collector.url, OTEL_BSP_SCHEDULE_DELAY=NEVER))
    assert worker.ask("{}").status == 200
    assert not collector.spans
    worker.end()
    assert len(collector.spans) == 1
    assert collector.metrics


@pytest.mark.parametrize("mood", ["down", "hanging", "refusing", "rejecting"])
def test_a_collector_in_any_mood_costs_no_request_and_few_words(start_worker: StartWorker, mood: str) -> None:
    """Down: no port; hanging: it never answers; refusing: 503; rejecting: 400."""
    sick = Collector(status={"refusing": 503, "rejecting": 400}.get(mood, 200))
    with listen(sick):
        if mood == "hanging":
            sick.hold.clear()
        url = f"http://127.0.0.1:{free_port()}" if mood == "down" else sick.url
        small = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
        worker = start_worker(SCRIPT, **traced(url, **small))
        assert [worker.ask("{}").status for _ in range(60)] == [200] * 60
        if mood != "down":
            sick.wait(lambda: sick.posts, "a message")
        if mood in {"down", "rejecting"}:
            await_truth(lambda: "cannot be sent" in worker.log(), "it is told")
        assert worker.log().count("spans cannot be sent") <= 1
        worker.process.terminate()
        assert worker.process.wait(60) == 0


def test_spans_arrive_once_a_collector_is_back(start_worker: StartWorker) -> None:
    port = free_port()
    worker = start_worker(SCRIPT, **traced(f"http://127.0.0.1:{port}"))
    assert worker.ask("{}", headers={"x-request-id": "early"}).status == 200
    await_truth(lambda: "spans cannot be sent" in worker.log(), "it was tried")
    with listen(Collector(), port) as collector:
        collector.wait(lambda: collector.spans, "the span that waited")
        assert collector.spans[0].attributes["mlops.request_id"] == "early"
        await_truth(lambda: "spans are sent again" in worker.log(), "it is told")


def test_variables_win_over_the_declaration_and_credentials_stay_unseen(
    start_worker: StartWorker, collector: Collector
) -> None:
    worker = start_worker(
        SCRIPT,
        telemetry={"otlp_endpoint": "http://127.0.0.1:9"},
        environment_variables={
            **QUICK,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/base/",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hush-hush-hush,x-tenant=7",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "mine",
            "OTEL_RESOURCE_ATTRIBUTES": "team=scoring,service.name=not%20this",
            "OTEL_METRICS_EXPORTER": "none",
        },
    )
    assert worker.ask("{}").status == 200
    collector.wait(lambda: collector.spans, "a span")
    assert set(collector.posts) == {"/base/v1/traces"}
    assert collector.headers[0]["authorization"] == "Bearer hush-hush-hush"
    assert collector.headers[0]["x-tenant"] == "7"
    assert collector.headers[0]["content-encoding"] == "gzip"
    assert collector.spans[0].resource["service.name"] == "mine"
    assert collector.spans[0].resource["team"] == "scoring"
    assert "hush" not in worker.log()


def test_metrics_are_sent_as_totals(start_worker: StartWorker, collector: Collector) -> None:
    worker = start_worker(SCRIPT, **traced(collector.url))
    assert [worker.ask("{}").status for _ in range(3)] == [200] * 3

    def requests() -> float:
        for message in reversed(collector.metrics):
            kind, points, _ = message["mlops_worker_requests"]
            assert kind == "sum"
            if points:
                assert {pair.key: pair.value.string_value for pair in points[0].attributes} == {
                    "dialect": "azureml",
                    "status": "2xx",
                }
                return float(points[0].as_double)
        return 0.0

    collector.wait(lambda: requests() == 3, "three requests")
    kind, points, metric = collector.metrics[-1]["mlops_worker_run_duration_seconds"]
    assert (kind, metric.unit) == ("histogram", "s")
    assert points[0].count == sum(points[0].bucket_counts) == 3
    assert len(points[0].bucket_counts) == len(points[0].explicit_bounds) + 1
    assert points[0].start_time_unix_nano < points[0].time_unix_nano
    assert collector.metrics[-1]["process_resident_memory_bytes"][1][0].as_double > 1e6


def test_nothing_is_sent_where_telemetry_is_turned_off(start_worker: StartWorker, collector: Collector) -> None:
    worker = start_worker(SCRIPT, **traced(collector.url, OTEL_SDK_DISABLED="true"))
    assert worker.ask("{}", headers={"traceparent": PARENT}).status == 200
    worker.process.terminate()
    assert worker.process.wait(60) == 0
    assert collector.posts == []


def test_a_request_that_never_ran_has_a_span_too(short_path: Path, collector: Collector) -> None:
    """Without a gateway, the worker itself refuses what waits too long."""
    gate = short_path / "gate"
    source = "import os, time\ndef init(): pass\ndef run(data):\n    print('began')\n"
    source += f"    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    limits = {"request_timeout_ms": 60000, "max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 50}
    with start_with_admin(
        short_path, source, ("--direct",), request_settings=limits, **traced(collector.url)
    ) as worker:
        first = threading.Thread(target=worker.score, args=("{}",))
        first.start()
        await_truth(lambda: "began" in worker.log(), "run() began")
        assert worker.score("{}", x_request_id="late", traceparent=PARENT).status == 429
        gate.touch()
        first.join()
        collector.wait(lambda: len(collector.spans) == 2, "both spans")
    spans = {span.attributes["http.response.status_code"]: span for span in collector.spans}
    assert spans[429].attributes["mlops.request_id"] == "late"
    assert spans[429].trace_id == TRACE
    assert spans[429].end - spans[429].start >= 40_000_000


def test_a_collector_is_reached_by_tls_with_a_certificate_of_the_clients(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    server, client, stranger = (make_pair(tmp_path, name) for name in ("server", "client", "stranger"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(client.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    variables = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(server.certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(client.certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(client.key),
    }
    with listen(Collector(), tls=context) as collector:
        url = f"https://127.0.0.1:{collector.port}"
        doubting = start_worker(
            SCRIPT, **traced(url, **{**variables, "OTEL_EXPORTER_OTLP_CERTIFICATE": str(stranger.certificate)})
        )
        assert doubting.ask("{}").status == 200
        await_truth(lambda: "SSLCertVerificationError" in doubting.log(), "it is told")
        missing = start_worker(SCRIPT, **traced(url, OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "none")))
        assert missing.ask("{}").status == 200
        await_truth(lambda: "FileNotFoundError" in missing.log(), "it is told")
        assert not collector.spans
        worker = start_worker(SCRIPT, **traced(url, **variables))
        assert worker.ask("{}", headers={"x-request-id": "secure"}).status == 200
        collector.wait(lambda: collector.spans, "a span")
        assert collector.spans[0].attributes["mlops.request_id"] == "secure"
