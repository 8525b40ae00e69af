"""Scripts with Azure ML's own collector, unchanged: the package sends, the worker keeps."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.collection.stores import collector, data_by_request, event_files, events, score
from tests.scoring.conftest import StartWorker
from tests.scoring.rig import (
    Answer,
    Supervised,
    Worker,
    ask,
    await_truth,
    exchange,
    launch_worker,
    make_code,
    make_deployment,
)

SCRIPT = """
import json, os
import pandas as pd
from azureml.ai.monitoring import Collector
from azureml.ai.monitoring.context import BasicCorrelationContext

def init():
    global inputs, outputs, refused
    inputs, outputs = Collector(name="model_inputs"), Collector(name="model_outputs")
    refused = []
    Collector(name="absent", on_error=refused.append)

def run(data):
    order = json.loads(data)
    if "port" in order:
        return [int(os.environ["AZUREML_MDC_PORT"]), str(refused[0])]
    frame = pd.DataFrame(order["rows"])
    context = BasicCorrelationContext(id=order["id"], headers={"Tenant": "t", "source": "x"}) if "id" in order else None
    context = inputs.collect(frame, context)
    outputs.collect(pd.DataFrame({"score": frame["a"] * 2}), context)
    return (frame["a"] * 2).tolist()
"""
"""Collects as Azure ML's documentation shows it."""


@pytest.fixture
def collecting(collecting_python: Path, start_worker: StartWorker, store: Path) -> StartWorker:
    """Starts a worker whose script has the real package; its collections are given."""

    def start(collections: Mapping[str, object]) -> Worker:
        wanted = collector(store, rolling_rate="Day", collections=collections)
        model = {"name": "m", "version": "3"}
        return start_worker(SCRIPT, python=str(collecting_python), data_collector=wanted, model=model)

    return start


BOTH: dict[str, Any] = {"model_inputs": {}, "model_outputs": {}}
KINDS = ("inputs", "outputs", "request", "response")
JSON = {"content-type": "application/json"}


def test_rows_are_kept_under_one_correlation_id(collecting: StartWorker, store: Path) -> None:
    worker = collecting({**BOTH, "request": {}})
    assert score(worker, {"rows": [{"a": 1, "b": "ü"}, {"a": 2, "b": None}]}, "r-1") == [2, 4]
    score(worker, {"rows": [{"a": 3}], "id": "chosen"}, "r-2")
    worker.end()
    inputs, outputs = data_by_request(store, "inputs"), data_by_request(store, "outputs")
    assert inputs == {"r-1": [{"a": 1, "b": "ü"}, {"a": 2, "b": None}], "chosen": [{"a": 3}]}
    assert outputs == {"r-1": [{"score": 2}, {"score": 4}], "chosen": [{"score": 6}]}
    assert set(data_by_request(store, "request")) == {"r-1", "r-2"}
    first, second = events(store, "inputs")
    expected = {
        "type": "azureml.inference.model_inputs",
        "agent": "azureml-ai-monitoring/1.0.0",
        "collectdatatype": "pandas.DataFrame",
        "modelname": "m",
        "modelversion": "3",
    }
    assert expected.items() <= first.items()
    assert (second["tenant"], second["source"]) == ("t", "/test-1/test-1")


def test_what_is_sent_just_before_the_end_is_kept(collecting: StartWorker, store: Path) -> None:
    worker = collecting(BOTH)
    for number in range(20):  # as many as the package sends in the seconds that an end has, whatever else runs
        score(worker, {"rows": [{"a": number}]}, f"r{number}")
    worker.end()
    expected = {f"r{number}": [{"a": number}] for number in range(20)}
    assert data_by_request(store, "inputs") == expected
    assert set(data_by_request(store, "outputs")) == set(expected)


def test_sampling_keeps_inputs_and_outputs_and_the_request_together(collecting: StartWorker, store: Path) -> None:
    half = {"sampling_rate": 0.5}
    worker = collecting({"model_inputs": half, "model_outputs": half, "request": half})
    for number in range(100):
        score(worker, {"rows": [{"a": number}]}, f"r{number}")

    def written(designation: str) -> int:
        return sum(path.read_bytes().count(b"\n") for path in event_files(store, designation))

    await_truth(lambda: written("inputs") == written("outputs") == written("request"), "the package has sent all")
    worker.end()
    kept = set(data_by_request(store, "inputs"))
    assert kept == set(data_by_request(store, "outputs")) == set(data_by_request(store, "request"))
    assert 25 < len(kept) < 75


def test_fields_of_frames_are_left_out_and_hashed(collecting: StartWorker, store: Path) -> None:
    worker = collecting({"model_inputs": {"deny": ["ssn"], "hash": ["name"]}, "model_outputs": {}})
    score(worker, {"rows": [{"a": 1, "ssn": "123-45", "name": "ann"}, {"a": 2, "ssn": "1", "name": "ann"}]}, "r-1")
    worker.end()
    one, two = data_by_request(store, "inputs")["r-1"]
    assert set(one) == set(two) == {"a", "name"}
    assert one["name"] == two["name"]
    assert re.fullmatch("[0-9a-f]{32}", one["name"])
    assert b"123-45" not in b"".join(path.read_bytes() for path in event_files(store))


def test_a_collection_that_is_not_declared_fails_as_on_azure(collecting: StartWorker) -> None:
    worker = collecting(BOTH)
    _, refused = score(worker, {"port": True}, "r-1")
    assert refused == "collection absent is not enabled, drop the data"


def test_a_collector_without_a_declaration_fails_as_on_azure(collecting_python: Path, short_path: Path) -> None:
    deployment = make_deployment(make_code(short_path / "code", SCRIPT), python=str(collecting_python))
    worker, announced = launch_worker(short_path, deployment)
    worker.process.wait(60)
    assert announced["reason"] == "Exception: custom logging is not enabled, drop the data"


def test_nothing_is_kept_of_a_trial_and_clients_cannot_make_one(
    supervised: Supervised, collecting_python: Path, short_path: Path, store: Path
) -> None:
    """The toolkit's sample request is no data of production, whatever context the script collects it under."""
    wanted = collector(store, rolling_rate="Day", collections={**BOTH, "request": {}, "response": {}})
    code = make_code(short_path / "code", SCRIPT)
    deployment = make_deployment(code, python=str(collecting_python), data_collector=wanted)
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_settled()
    for order in ({"rows": [{"a": 1}]}, {"rows": [{"a": 2}], "id": "chosen"}):
        assert ask(supervised.admin, "POST", "/score/blue-1", json.dumps(order), JSON).status == 200
    client = {**JSON, "x-mlops-trial": "true", "x-request-id": "client"}
    assert ask(supervised.port, body=json.dumps({"rows": [{"a": 3}]}), headers=client).status == 200
    supervised.stop()
    kept = {designation: set(data_by_request(store, designation)) for designation in KINDS}
    assert kept == {designation: {"client"} for designation in KINDS}


def test_a_worker_without_a_gateway_believes_no_mark_of_a_trial(
    collecting_python: Path, short_path: Path, store: Path
) -> None:
    wanted = collector(store, rolling_rate="Day", collections={**BOTH, "request": {}, "response": {}})
    code = make_code(short_path / "code", SCRIPT)
    deployment = make_deployment(code, python=str(collecting_python), data_collector=wanted)
    worker, announced = launch_worker(short_path / "w", deployment, "--direct")
    try:
        assert announced == {"event": "ready"}, worker.log()
        score(worker, {"rows": [{"a": 3}]}, "client", x_mlops_trial="true")
        worker.end()
    finally:
        worker.kill()
    kept = {designation: set(data_by_request(store, designation)) for designation in KINDS}
    assert kept == {designation: {"client"} for designation in KINDS}


# The sink, as anything else on this machine may reach it


GOOD = {"content-type": "application/json", "ce-type": "azureml.inference.model_inputs", "ce-x-request-id": "p"}


@pytest.fixture
def sink(collecting: StartWorker) -> tuple[Worker, int]:
    worker = collecting({**BOTH, "request": {"enabled": False}})
    port, _ = score(worker, {"port": True}, "port")
    return worker, port


def post(port: int, body: Any = b'[{"a": 1}]', path: Any = "/modeldata/log", **changes: str) -> Answer:  # noqa: ANN401
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return ask(port, "POST", path, body, {name: value for name, value in headers.items() if value})


def test_the_sink_takes_what_fits_and_says_what_does_not(sink: tuple[Worker, int], store: Path) -> None:
    worker, port = sink
    assert post(port).status == 200
    assert ask(port, "GET", "/modeldata/log").status == 405
    assert post(port, path="/other").status == 404
    assert post(port, ce_type="azureml.inference.absent").status == 404
    assert post(port, ce_type="").status == 404
    assert post(port, ce_type="azureml.inference.request").status == 404
    assert post(port, content_type="text/plain").status == 415
    assert post(port, content_type="").status == 415
    assert post(port, host=f"evil.example:{port}").status == 403
    head = f"POST /modeldata/log HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: {9 << 20}\r\n\r\n"
    assert exchange(port, head.encode()).startswith(b"HTTP/1.1 413 ")
    for body in (b"{", b"[1]", b'{"a": 1}', b"null", b"", b"[" * 100_000, b"\xff"):
        assert post(port, body).status == 200  # it is read later, in the writer's thread
    odd = {"ce_time": "1e999", "ce_data": "evil", "ce_id": "evil", "ce_authorization": "s3cr3t"}
    assert post(port, ce_x_request_id="q", **odd).status == 200
    worker.end()
    assert data_by_request(store, "inputs") == {"p": [{"a": 1}], "q": [{"a": 1}]}
    assert b"s3cr3t" not in b"".join(path.read_bytes() for path in event_files(store))
    assert "evil" not in json.dumps(events(store, "inputs"))


def test_the_sink_listens_on_loopback_only(sink: tuple[Worker, int]) -> None:
    worker, port = sink
    rows = Path(f"/proc/{worker.process.pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    addresses = {row.split()[1] for row in rows if row.split()[3] == "0A" and row.split()[1].endswith(f":{port:04X}")}
    assert addresses == {f"0100007F:{port:04X}"}


def test_a_client_of_the_sink_that_says_nothing_holds_nobody_up(sink: tuple[Worker, int], store: Path) -> None:
    worker, port = sink
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"POST /modeldata/log HTTP/1.1\r\n")
        assert post(port).status == 200
        score(worker, {"rows": [{"a": 1}]}, "r-1")
        worker.end()
    assert set(data_by_request(store, "inputs")) == {"p", "r-1"}
