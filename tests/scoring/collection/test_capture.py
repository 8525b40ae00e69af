"""What workers capture without code, and that collecting never costs a request."""

from __future__ import annotations

import json
import re
import resource
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.collection.stores import collector, data_by_request, event_files, events, roll, score
from tests.scoring.conftest import StartWorker
from tests.scoring.load import Target, run
from tests.scoring.rig import Supervised, Worker, await_truth, launch_worker, make_code, make_deployment
from tests.scoring.serving_models import ModelWorkers
from tests.scoring.telemetry.admin import start_with_admin

from mlops_scoring.collection.privacy import digest

PARROT = """
import json

def init():
    pass

def run(data):
    rows = json.loads(data)["data"]
    return [sum(row) for row in rows]
"""


@pytest.fixture
def collecting(start_worker: StartWorker, store: Path) -> StartWorker:
    """Starts a worker whose script knows nothing of the collector, which may be changed."""

    def start(**changes: object) -> Worker:
        return start_worker(PARROT, data_collector=collector(store, **changes), model={"name": "m", "version": "3"})

    return start


def test_inputs_and_outputs_of_a_model_are_kept_in_every_dialect(served: ModelWorkers, store: Path) -> None:
    worker = served.serve("sklearn", "named", data_collector=collector(store))
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    named = [{"a": row[0], "b": row[1], "c": row[2]} for row in rows]
    values = score(worker, {"data": rows}, "rows")
    score(worker, {"input_data": {"columns": ["c", "a", "b"], "data": [[3, 1, 2], [6, 4, 5]]}}, "columns")
    score(worker, {"dataframe_records": named}, "mlflow", "/invocations")
    tensor = {"name": "input", "shape": [2, 3], "datatype": "FP64", "data": rows}
    metadata = worker.ask(method="GET", path="/v2/models/named").json
    tensors = [
        {**tensor, "name": spec["name"], "shape": [2, 1], "data": [row[place] for row in rows]}
        for place, spec in enumerate(metadata["inputs"])
    ]
    sent = tensors if len(tensors) == 3 else [{**tensor, "name": metadata["inputs"][0]["name"]}]
    score(worker, {"inputs": sent}, "tensors", "/v2/models/named/infer")
    assert worker.ask("{", headers={"x-request-id": "bad"}).status == 400
    assert worker.ask('{"data": [[1.0]]}', headers={"x-request-id": "narrow"}).status == 400
    worker.end()
    inputs, outputs = data_by_request(store, "inputs"), data_by_request(store, "outputs")
    assert inputs == dict.fromkeys(("rows", "columns", "mlflow", "tensors"), named)
    predictions = [{"prediction": value} for value in values]
    assert [outputs[name] for name in ("rows", "columns", "mlflow")] == [predictions] * 3
    assert [list(record.values()) for record in outputs["tensors"]] == [[value] for value in values]
    assert set(data_by_request(store, "request")) == {*inputs, "bad", "narrow"}
    (event, *_) = events(store, "inputs")
    assert {"modelname": "named", "modelversion": "7", "collectdatatype": "records"}.items() <= event.items()
    assert {path.parts[-8:-4] for path in event_files(store)} >= {("test-1", "named", "7", "inputs")}


def test_whole_requests_and_answers_of_a_script_are_kept_failed_ones_too(collecting: StartWorker, store: Path) -> None:
    worker = collecting(capture_headers=["X-User", "Authorization", "Cookie"])
    headers = {"X_User": "ann", "Authorization": "Bearer s3cr3t", "Cookie": "k=s3cr3t", "X_Other": "o"}
    score(worker, {"data": [[1, 2]]}, "good", **headers)
    assert worker.ask(b"\xff\0{", headers={"x-request-id": "bytes"}).status == 400
    assert worker.ask("no json", headers={"x-request-id": "text"}).status == 500
    worker.end()
    good, binary, text = events(store, "request")
    assert [event["correlationid"] for event in (good, binary, text)] == ["good", "bytes", "text"]
    assert (good["data"], text["data"]) == ({"data": [[1, 2]]}, "no json")
    assert json.loads(good["requestheaders"]) == {"x-user": "ann"}
    assert (binary["data_base64"], "data" in binary) == ("/wB7", False)
    assert text["datacontenttype"] == "text/plain"
    responses = {event["correlationid"]: (event["httpstatus"], event["data"]) for event in events(store, "response")}
    assert responses["good"] == (200, [3])
    assert {name: status for name, (status, _) in responses.items()} == {"good": 200, "bytes": 400, "text": 500}
    assert event_files(store, "inputs") == []  # a script's rows are its own to collect
    assert b"s3cr3t" not in b"".join(path.read_bytes() for path in event_files(store))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in store.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_denied_and_hashed_fields_are_in_no_collection(served: ModelWorkers, store: Path) -> None:
    policy = {"deny": ["b"], "hash": ["c", "x-user"]}
    names = ("model_inputs", "request")
    wanted = collector(store, collections=dict.fromkeys(names, policy), capture_headers=["x-user"])
    worker = served.serve("sklearn", "named", data_collector=wanted)
    score(worker, {"data": [[1.0, 77777.5, 2.0]]}, "rows", x_user="ann")
    score(worker, {"input_data": {"columns": ["b", "a", "c"], "data": [[77777.5, 1.0, 2.0]]}}, "columns")
    worker.ask("77777.5 not json", headers={"x-request-id": "unreadable"})
    worker.ask('{"data": [1.0, 77777.5, 2.0]}', headers={"x-request-id": "flat"})
    worker.ask('{"data": [1.0, 77777.5]}', headers={"x-request-id": "flat and short"})
    worker.end()
    key = (store / ".key").read_bytes()
    hashed = digest(2.0, key)
    kept = [{"a": 1.0, "c": hashed}]
    assert data_by_request(store, "inputs") == {"rows": kept, "columns": kept}
    assert data_by_request(store, "request") == {
        "rows": {"data": [[1.0, hashed]]},
        "columns": {"input_data": {"columns": ["a", "c"], "data": [[1.0, hashed]]}},
        "flat": {"data": [1.0, hashed]},
    }
    assert json.loads(events(store, "inputs")[0]["requestheaders"]) == {"x-user": digest("ann", key)}
    assert b"77777" not in b"".join(path.read_bytes() for path in event_files(store))
    assert "77777" not in worker.log()


def test_a_request_is_kept_or_left_out_as_a_whole(collecting: StartWorker, store: Path) -> None:
    rates = {"request": {"sampling_rate": 0.5}, "response": {"sampling_rate": 0.5}}
    worker = collecting(collections=rates)
    for number in range(200):
        score(worker, {"data": [[number]]}, f"r{number}")
    worker.end()
    kept = set(data_by_request(store, "request"))
    assert kept == set(data_by_request(store, "response"))
    assert 60 < len(kept) < 140


def test_rates_of_nothing_and_everything_are_exact_and_disabled_ones_are_off(
    collecting: StartWorker, store: Path
) -> None:
    worker = collecting(collections={"request": {"sampling_rate": 0}, "response": {"sampling_rate": 1}})
    for number in range(50):
        score(worker, {"data": [[number]]}, f"r{number}")
    worker.end()
    assert event_files(store, "request") == []
    assert len(data_by_request(store, "response")) == 50
    other = collecting(collections={"request": {"enabled": False}, "response": {"enabled": False}})
    score(other, {"data": [[1]]}, "other")
    other.end()
    assert len(data_by_request(store, "response")) == 50


def test_a_streamed_answer_is_counted_and_not_kept(short_path: Path, store: Path) -> None:
    source = """
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    return AMLResponse((b"part" for _ in range(3)), 200)
"""
    with start_with_admin(short_path, source, data_collector=collector(store)) as worker:
        answer = worker.score("{}", x_request_id="s")
        if answer.body != b"partpartpart":
            pytest.fail(f"streams are another's: {answer}")
        await_truth(lambda: metric(worker.metrics(), 'dropped_total{reason="streamed"}') == 1, "it is counted")
        await_truth(lambda: event_files(store, "request"), "the request is kept")
        assert event_files(store, "response") == []


def metric(text: str, name: str) -> float:
    """One value of `/metrics`."""
    found = re.search(rf"^mlops_worker_collected_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else -1


def test_a_worker_shows_what_it_kept(short_path: Path, store: Path) -> None:
    with start_with_admin(short_path, PARROT, data_collector=collector(store)) as worker:
        worker.score('{"data": [[1]]}')
        text = ""

        def written() -> bool:
            nonlocal text
            text = worker.metrics()
            return metric(text, 'events_total{designation="response"}') == 1 and metric(text, "queue_length") == 0

        await_truth(written, "it is counted, and nothing waits")
        assert metric(text, "bytes_total") == sum(path.stat().st_size for path in event_files(store))
        assert metric(text, 'dropped_total{reason="disk"}') == 0


# What goes wrong


def test_a_killed_worker_loses_only_what_was_not_flushed_and_the_next_one_mends(
    collecting: StartWorker, store: Path
) -> None:
    worker = collecting()
    for number in range(20):
        score(worker, {"data": [[number]]}, f"r{number}")
    await_truth(lambda: len(_lines(store)) == 40, "all are flushed, though the worker goes on")
    worker.kill()
    (torn, *_) = event_files(store, "request")
    with torn.open("ab") as stream:
        stream.write(b'{"specversion":"1.0","id":"half')
    before = {event["correlationid"] for path in event_files(store, "request") for event in _whole(path)}
    other = collecting()
    await_truth(lambda: torn.read_bytes().endswith(b"\n"), "the torn line is cut off")
    score(other, {"data": [[1]]}, "after")
    other.end()
    assert set(data_by_request(store, "request")) == {*before, "after"}
    assert len(before) == 20


def _lines(store: Path) -> list[bytes]:
    files = event_files(store)
    return [line for path in files for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _whole(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def test_no_request_fails_or_is_lost_while_the_store_cannot_be_written(short_path: Path, store: Path) -> None:
    store.parent.mkdir(exist_ok=True)
    store.write_text("no folder", encoding="ascii")
    with start_with_admin(short_path, PARROT, data_collector=collector(store)) as worker:
        for number in range(30):
            assert worker.score('{"data": [[1]]}', x_request_id=f"lost{number}").status == 200
        await_truth(lambda: metric(worker.metrics(), 'dropped_total{reason="disk"}') == 60, "they are counted")
        store.unlink()
        assert worker.score('{"data": [[2]]}', x_request_id="kept").status == 200
        await_truth(lambda: event_files(store, "response"), "it goes on by itself")
        assert set(data_by_request(store, "request")) == {"kept"}
        assert worker.log().count("Collected data is lost") == 1


LIMITED = """import resource, signal, sys, os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_requests_are_answered_while_the_disk_is_full_and_kept_when_it_is_not(short_path: Path, store: Path) -> None:
    """The limit on the size of files is a disk with no room; it is lifted while the worker runs."""
    wrapper = short_path / "python"
    command = f"exec {sys.executable} -c '{LIMITED}' 20000 {sys.executable} \"$@\""
    wrapper.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    wrapper.chmod(0o755)
    wanted = collector(store, rolling_rate="Year")
    with start_with_admin(short_path, PARROT, data_collector=wanted, python=str(wrapper)) as worker:
        target = Target(unix=str(short_path / "w.sock"), body=b'{"data": [[1, 2, 3]]}')
        report = run(target, connections=4, requests=400)
        assert (report.total, report.failures) == (400, 0)
        await_truth(lambda: metric(worker.metrics(), "queue_length") == 0, "all are written or dropped")
        assert metric(worker.metrics(), 'dropped_total{reason="disk"}') > 0
        assert "Collected data is lost; cannot be written: File too large" in worker.log()
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert worker.score('{"data": [[9]]}', x_request_id="after").status == 200
        await_truth(lambda: any("after" in line.decode() for line in _lines(store)), "it goes on by itself")

        def lost() -> float:
            return metric(worker.metrics(), 'dropped_total{reason="disk"}')

        def kept() -> int:
            return sum(len(_whole(path)) for path in event_files(store))

        await_truth(lambda: kept() + lost() == 802, "everything is kept or said to be lost")
        dropped = lost()
        worker.end()
        assert len(events(store, "request")) + len(events(store, "response")) + dropped == 802


def test_names_of_a_model_cannot_lead_out_of_the_store(short_path: Path, store: Path) -> None:
    deployment: dict[str, Any] = {"data_collector": collector(store), "model": {"name": "../../x", "version": "/etc"}}
    with start_with_admin(short_path, PARROT, **deployment) as worker:
        assert worker.score('{"data": [[1]]}').status == 200
        await_truth(lambda: event_files(store, "response"), "it is kept")
    assert {path.parent.name for path in store.glob("*/*/*")} == {"%2E.%2F..%2Fx"}


def test_one_designation_for_two_collections_is_refused(short_path: Path, store: Path) -> None:
    wanted = collector(store, collections={"model_inputs": {}, "inputs": {}})
    deployment = make_deployment(make_code(short_path / "code"), data_collector=wanted)
    worker, announced = launch_worker(short_path, deployment)
    worker.process.wait(60)
    assert "'inputs'" in announced["reason"], announced


def test_a_worker_without_a_collector_opens_no_port(start_worker: StartWorker) -> None:
    worker = start_worker()
    assert _listening(worker.process.pid) == []


def _listening(pid: int) -> list[int]:
    """Ports on which a process listens."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
            inodes |= {found.group(1)} if found else set()
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return [int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes]


def test_an_endpoint_s_data_is_under_its_name_and_can_be_rolled_up_while_it_is_served(
    supervised: Supervised, code: Path, store: Path, rolling_python: Path
) -> None:
    wanted = collector(store, rolling_rate="Year")
    deployment = make_deployment(code, instance_count=2, data_collector=wanted, model={"name": "m", "version": "3"})
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_settled()
    for number in range(40):
        assert supervised.score({"n": number}, x_request_id=f"r{number}").status == 200
    await_truth(lambda: len(_lines(store)) == 80, "all are flushed")
    report, tables = roll(rolling_python, store)
    assert tables == []
    assert report["open"] == len(event_files(store)) >= 2
    assert supervised.score({"n": 40}, x_request_id="r40").status == 200
    supervised.stop()
    assert set(data_by_request(store, "request")) == {f"r{number}" for number in range(41)}
    assert {path.parts[-8:-4] for path in event_files(store, "request")} == {("test", "m", "3", "request")}
    assert {event["source"] for event in events(store, "request")} == {"/test/blue-1"}
    report, _ = roll(rolling_python, store)
    assert (report["rows"], report["torn"], report["open"]) == (82, 0, 0)
