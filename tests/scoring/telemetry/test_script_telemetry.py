"""What a script measures itself, by OpenTelemetry's API and prometheus_client, where its environment has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.scoring.conftest import StartWorker
from tests.scoring.environments import make_environment
from tests.scoring.rig import await_truth
from tests.scoring.telemetry.admin import start_with_admin
from tests.scoring.telemetry.collector import Collector, listen

TELEMETRY = ("opentelemetry-sdk==1.45.2", "prometheus-client==0.26.0")
QUICK = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_METRIC_EXPORT_INTERVAL": "100",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "100000",  # nothing is sent twice because a busy machine was slow to take it
}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

SCRIPT = """
from opentelemetry import metrics, trace
import prometheus_client

tracer = trace.get_tracer("my.library")
meter = metrics.get_meter("my.library")
rows = meter.create_counter("rows.scored", unit="{row}", description="Rows")
latency = meter.create_histogram("model.latency", unit="ms")
oddities = prometheus_client.Counter("oddities", "Odd values", ["kind"])
taken = prometheus_client.Gauge("mlops_worker_threads", "Ours is another")

def init():
    pass

def run(data):
    rows.add(3, {"model.name": "m\\n\\"1\\""})
    latency.record(12.5)
    oddities.labels('a"b\\n{}').inc()
    with tracer.start_as_current_span("predict") as span:
        span.set_attribute("rows", 3)
        span.set_attribute("features", ["a", None])
        span.add_event("half")
        with tracer.start_as_current_span("inner", kind=trace.SpanKind.CLIENT) as inner:
            inner.set_status(trace.StatusCode.ERROR, "sad")
    return f"{trace.get_current_span().get_span_context().span_id:016x}"
"""


@pytest.fixture(scope="session")
def telemetry_python(test_cache: Path) -> Path:
    return make_environment(test_cache, TELEMETRY)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with listen(Collector()) as receiving:
        yield receiving


def test_a_scripts_spans_are_children_of_the_workers(
    start_worker: StartWorker, telemetry_python: Path, collector: Collector
) -> None:
    worker = start_worker(
        SCRIPT,
        python=str(telemetry_python),
        telemetry={"otlp_endpoint": collector.url},
        environment_variables=QUICK,
    )
    current = worker.ask("{}", headers={"traceparent": PARENT}).json
    collector.wait(lambda: len(collector.spans) == 3, "three spans")
    spans = {span.name: span for span in collector.spans}
    served, outer, inner = spans["POST /score"], spans["predict"], spans["inner"]
    assert current == served.span_id
    assert served.parent_id == "b7ad6b7169203331"
    assert outer.parent_id == served.span_id
    assert inner.parent_id == outer.span_id
    assert {span.trace_id for span in collector.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    attributes = {"rows": 3, "features": ["a", None]}
    assert (outer.scope, outer.attributes, outer.events) == ("my.library", attributes, ["half"])
    assert (inner.kind, inner.status) == (3, 2)
    assert worker.ask("{}", headers={"traceparent": PARENT.replace("-01", "-00")}).status == 200
    collector.wait(lambda: len(collector.metrics) > 2, "time in which spans would have come")
    assert len(collector.spans) == 3


def test_a_scripts_metrics_are_shown_and_sent(short_path: Path, telemetry_python: Path, collector: Collector) -> None:
    with start_with_admin(
        short_path,
        SCRIPT,
        python=str(telemetry_python),
        telemetry={"otlp_endpoint": collector.url},
        environment_variables=QUICK,
    ) as worker:
        assert [worker.score("{}").status for _ in range(2)] == [200, 200]
        families = {family.name: family for family in text_string_to_metric_families(worker.metrics())}
        assert families["rows_scored"].samples[0].value == 6
        assert families["rows_scored"].samples[0].labels == {"model_name": 'm\n"1"'}
        assert {s.name: s.value for s in families["model_latency_milliseconds"].samples if not s.labels} == {
            "model_latency_milliseconds_sum": 25,
            "model_latency_milliseconds_count": 2,
        }
        assert families["oddities"].samples[0].labels == {"kind": 'a"b\n{}'}
        assert [sample.value for sample in families["mlops_worker_threads"].samples] == [8]
        names = [line.split()[2] for line in worker.metrics().splitlines() if line.startswith("# TYPE")]
        assert len(names) == len(set(names))

        def sent() -> float:
            found = collector.metrics[-1].get("rows.scored") if collector.metrics else None
            return float(found[1][0].as_double) if found else 0

        collector.wait(lambda: sent() == 6, "the counter")


def test_a_providers_of_its_own_stay_the_scripts(start_worker: StartWorker, telemetry_python: Path) -> None:
    source = """
from opentelemetry import trace, metrics
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.metrics import MeterProvider
mine, meters = TracerProvider(), MeterProvider()
trace.set_tracer_provider(mine)
metrics.set_meter_provider(meters)
def init(): pass
def run(data): return [trace.get_tracer_provider() is mine, metrics.get_meter_provider() is meters]
"""
    worker = start_worker(source, python=str(telemetry_python), telemetry={"otlp_endpoint": "http://127.0.0.1:9"})
    assert worker.ask("{}").json == [True, True]


HANGING = """
import threading
import prometheus_client

class Slow:
    def collect(self):
        print("collecting")
        threading.Event().wait()
        return []
    def describe(self):
        return []

prometheus_client.REGISTRY.register(Slow())
def init(): pass
def run(data): return 1
"""


def test_a_collector_that_hangs_or_fails_costs_no_request_and_no_other_metric(
    short_path: Path, telemetry_python: Path
) -> None:
    failing = HANGING.replace("threading.Event().wait()", "raise ValueError('no')")
    with start_with_admin(short_path / "failing", failing, python=str(telemetry_python)) as worker:
        assert "mlops_worker_threads 8" in worker.metrics()
        assert "the script's metrics cannot be read" in worker.log()
    hanging = start_with_admin(short_path / "hanging", HANGING, python=str(telemetry_python))
    with hanging as worker, worker.begin_scrape():
        await_truth(lambda: "collecting" in worker.log(), "the collector hangs")
        assert worker.score("{}").status == 200
        assert worker.admin_status("/healthz/live") == 200
        assert worker.admin_status("/metrics") == 503
        worker.end()
