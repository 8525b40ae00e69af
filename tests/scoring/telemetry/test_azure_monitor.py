"""Azure Monitor by Microsoft's own exporter, against a stand-in for its ingestion endpoint."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.conftest import StartWorker
from tests.scoring.environments import make_environment
from tests.scoring.rig import await_truth, free_port

AZURE = ("azure-monitor-opentelemetry-exporter==1.0.0b58", "opentelemetry-sdk==1.45.2")
KEY = "11111111-2222-3333-4444-555555555555"
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "200"}
SCRIPT = "def init(): pass\ndef run(data):\n    if data == 'boom':\n        raise ValueError\n    return 1\n"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Ingestion:
    """What Azure Monitor was sent."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Items of one kind: RequestData, MetricData."""
        return [item for item in self.items if item["data"]["baseType"] == kind]

    @property
    def connection_string(self) -> str:
        """Leads to it."""
        return f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:{self.port}/"


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    received = Ingestion()

    class Track(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            text = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            items = json.loads(text)
            received.paths.append(self.path)
            received.items += items
            answer = {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}
            self.send_response(200)
            data = json.dumps(answer).encode()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Track)
    server.daemon_threads = True
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def azure_python(test_cache: Path) -> Path:
    return make_environment(test_cache, AZURE)


def test_requests_and_metrics_reach_azure_monitor(
    start_worker: StartWorker, azure_python: Path, ingestion: Ingestion
) -> None:
    worker = start_worker(
        SCRIPT,
        python=str(azure_python),
        telemetry={"azure_monitor": True},
        environment_variables={**QUICK, "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string},
    )
    assert worker.ask("{}", headers={"x-request-id": "fine", "traceparent": PARENT}).status == 200
    assert worker.ask("boom", headers={"x-request-id": "failed"}).status == 500
    await_truth(lambda: len(ingestion.of_type("RequestData")) == 2, "both requests")
    items = {
        item["data"]["baseData"]["properties"]["mlops.request_id"]: item for item in ingestion.of_type("RequestData")
    }
    fine, failed = items["fine"], items["failed"]
    assert fine["data"]["baseData"]["name"] == "POST /score"
    assert (fine["data"]["baseData"]["success"], failed["data"]["baseData"]["success"]) == (True, False)
    assert (fine["data"]["baseData"]["responseCode"], failed["data"]["baseData"]["responseCode"]) == ("200", "500")
    assert fine["iKey"] == KEY
    assert fine["tags"]["ai.operation.id"] == "0af7651916cd43dd8448eb211c80319c"
    assert fine["tags"]["ai.operation.parentId"] == "b7ad6b7169203331"

    def counted() -> float:
        metrics = [item["data"]["baseData"]["metrics"][0] for item in ingestion.of_type("MetricData")]
        return sum(float(metric["value"]) for metric in metrics if metric["name"] == "mlops_worker_requests")

    await_truth(lambda: counted() == 2, "what was added, once")
    seen = len(ingestion.of_type("MetricData"))
    await_truth(lambda: len(ingestion.of_type("MetricData")) > seen + 20, "further metrics")
    assert counted() == 2
    assert {path.split("?")[0] for path in ingestion.paths} == {"/v2.1/track"}
    assert KEY not in worker.log()


def test_an_ingestion_that_is_down_costs_no_request_and_shows_no_key(
    start_worker: StartWorker, azure_python: Path, tmp_path: Path
) -> None:
    worker = start_worker(
        SCRIPT,
        python=str(azure_python),
        telemetry={"azure_monitor": True},
        environment_variables={
            **QUICK,
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "APPLICATIONINSIGHTS_CONNECTION_STRING": (
                f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:{free_port()}/"
            ),
        },
    )
    assert [worker.ask("{}").status for _ in range(30)] == [200] * 30
    await_truth(lambda: "cannot be sent" in worker.log(), "it is told")
    worker.process.terminate()
    assert worker.process.wait(60) == 0
    assert KEY not in worker.log()
    assert list(tmp_path.rglob("*AzureMonitor*")) == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "needs APPLICATIONINSIGHTS_CONNECTION_STRING or AML_APP_INSIGHTS_KEY"),
        ({"AML_APP_INSIGHTS_KEY": KEY}, "Add azure-monitor-opentelemetry-exporter"),
    ],
)
def test_what_is_missing_is_told_and_the_model_serves(
    start_worker: StartWorker, variables: dict[str, str], told: str
) -> None:
    worker = start_worker(SCRIPT, telemetry={"azure_monitor": True}, environment_variables=variables)
    assert worker.ask("{}").status == 200
    assert told in worker.log()
    assert KEY not in worker.log()


def test_a_connection_string_that_is_none_is_told_without_it(start_worker: StartWorker, azure_python: Path) -> None:
    worker = start_worker(
        SCRIPT,
        python=str(azure_python),
        telemetry={"azure_monitor": True},
        environment_variables={"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=hush;IngestionEndpoint=x"},
    )
    assert worker.ask("{}").status == 200
    assert "its connection string is none" in worker.log()
    assert "hush" not in worker.log()
