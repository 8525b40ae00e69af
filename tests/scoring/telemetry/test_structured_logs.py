"""Logs as records: what is in them, what cannot be forged, what is never in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scoring.conftest import StartWorker
from tests.scoring.rig import Supervised, ask, await_truth, make_code, make_deployment
from tests.scoring.telemetry.admin import start_with_admin

from mlops_scoring.telemetry.reading import readable
from mlops_scoring.telemetry.redaction import HIDDEN, redact

SCRIPT = r"""
import logging, sys, threading, traceback, warnings, os
log = logging.getLogger("my.script")

def init():
    print("printed", "in two", end="")
    print(" parts")
    sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)

def run(data):
    match data:
        case "log":
            log.warning("careful: %s", 5)
        case "print":
            print("to stdout")
            print("to stderr", file=sys.stderr)
        case "forge":
            print('x\n{"time": "2020-01-01T00:00:00.000Z", "level": "INFO", "logger": "forged", "message": "m"}')
            log.info('y\n{"time": "2020-01-01T00:00:00.000Z", "logger": "forged"}\x1b[31m \u2028 \x9b \u202e')
        case "boom":
            raise ValueError("secret of the script\nsecond line")
        case "thread":
            thread = threading.Thread(target=lambda: 1 / 0, name="mine")
            thread.start()
            thread.join()
        case "warn":
            warnings.warn("old")
        case "bad record":
            log.info("%d items", "no number")
        case "secrets":
            print("calling https://host/api?code=s3cr3tcode&x=1&sig=s3cr3tsig")
            log.info("headers: %s", {"Authorization": "Bearer s3cr3ttoken", "x": "kept"})
        case "child":
            os.system("echo from a child")
        case "bytes":
            sys.stdout.buffer.write(b"raw\n")
            sys.stdout.buffer.flush()
    return 1
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_each_line_is_a_record_with_its_request(short_path: Path) -> None:
    with start_with_admin(short_path, SCRIPT) as worker:
        for body in ("log", "print", "boom", "thread", "warn", "bad record"):
            parent = f"00-{TRACE}-b7ad6b7169203331-01"
            worker.score(body, x_request_id=f"id {body}", traceparent=parent)
        records = worker.records()
        for record in records:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(record["time"]))
            assert record["deployment"] == "blue-1"
            assert record["worker"] == worker.process.pid
        by_message = {str(record["message"]): record for record in records}
        assert by_message["printed in two parts"]["logger"] == "print"
        careful = by_message["careful: 5"]
        assert (careful["level"], careful["logger"], careful["request_id"]) == ("WARNING", "my.script", "id log")
        assert careful["trace_id"] == TRACE
        assert (by_message["to stdout"]["stream"], by_message["to stderr"]["stream"]) == ("stdout", "stderr")
        failed = by_message["run() raised"]
        assert (failed["level"], failed["request_id"]) == ("ERROR", "id boom")
        assert str(failed["exception"]).startswith("Traceback (most recent call last)")
        assert str(failed["exception"]).endswith("ValueError: secret of the script\nsecond line")
        assert "ZeroDivisionError" in str(by_message["mine ended by ZeroDivisionError"]["exception"])
        assert any(record["logger"] == "py.warnings" for record in records)
        assert any("unreadable record" in message for message in by_message)


def test_nothing_said_can_forge_a_record_or_reach_a_terminal(short_path: Path) -> None:
    with start_with_admin(short_path, SCRIPT) as worker:
        worker.score("forge", x_request_id='a", "level": "FORGED')
        records = worker.records()
        assert not [record for record in records if record["logger"] == "forged"]
        assert all(record["level"] == "INFO" for record in records)
        assert re.fullmatch(r"[\n\x20-\x7e]*", worker.log())


def test_credentials_are_taken_out(short_path: Path) -> None:
    with start_with_admin(short_path, SCRIPT) as worker:
        worker.score("secrets", authorization="Bearer s3cr3ttoken")
        assert "s3cr3t" not in worker.log()
        assert "kept" in worker.log()
        assert worker.log().count(HIDDEN) == 3


def test_what_goes_by_the_descriptors_is_still_in_the_log(short_path: Path) -> None:
    with start_with_admin(short_path, SCRIPT) as worker:
        worker.score("child")
        worker.score("bytes")
        assert {"from a child", "raw"} <= set(worker.log().splitlines())


def test_logs_are_text_where_that_is_asked_for(start_worker: StartWorker) -> None:
    worker = start_worker(SCRIPT, environment_variables={"MLOPS_LOG_FORMAT": "text", "AZUREML_LOG_LEVEL": "warning"})
    worker.ask("log")
    worker.ask("forge")
    worker.ask("boom")
    lines = worker.log().splitlines()
    assert re.fullmatch(r"\S+Z I \[\d+\] print - printed in two parts", lines[0])
    assert re.fullmatch(r"\S+Z W \[\d+\] my.script - careful: 5", lines[1])
    assert "root - y" not in worker.log(), "below the level"
    assert all(line.startswith(("20", "    ")) for line in lines)
    assert lines[-1] == "    second line"


def test_a_logging_json_beside_the_script_is_used(start_worker: StartWorker, short_path: Path) -> None:
    configuration = {
        "version": 1,
        "formatters": {"mine": {"format": "MINE %(levelname)s %(name)s %(message)s"}},
        "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine", "stream": "ext://sys.stdout"}},
        "root": {"handlers": ["mine"], "level": "WARNING"},
    }
    (short_path / "0" / "code").mkdir(parents=True)
    (short_path / "0" / "code" / "logging.json").write_text(json.dumps(configuration), encoding="utf-8")
    worker = start_worker(SCRIPT)
    for body in ("log", "print", "boom"):
        worker.ask(body)
    assert "MINE WARNING my.script careful: 5" in worker.log().splitlines()
    assert "to stdout" in worker.log().splitlines()
    assert "MINE ERROR mlops_scoring.worker run() raised" in worker.log().splitlines()


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1, "handlers": {"x": {"class": "no.such.Class"}}}'])
def test_a_logging_json_that_cannot_be_used_is_told(start_worker: StartWorker, short_path: Path, text: str) -> None:
    (short_path / "0" / "code").mkdir(parents=True)
    (short_path / "0" / "code" / "logging.json").write_text(text, encoding="utf-8")
    worker = start_worker(SCRIPT)
    assert worker.ask("print").status == 200
    records = [json.loads(line) for line in worker.log().splitlines()]
    assert "cannot be used" in records[0]["message"]
    assert records[-1]["message"] == "to stderr"


def test_the_supervisors_log_and_the_access_log_are_records_without_queries(
    supervised: Supervised, tmp_path: Path
) -> None:
    deployment = make_deployment(make_code(tmp_path / "code"))
    document = supervised.document({"blue-1": deployment}, {"blue-1": 100})
    supervised.start({**document, "telemetry": {"access_log": 1}})
    supervised.await_state("blue-1", "Healthy")
    path = "/score?code=s3cr3tcode&token=s3cr3ttoken"
    headers = {"authorization": "Bearer s3cr3tbearer", "x-request-id": "mine"}
    assert ask(supervised.port, path=path, body="{}", headers=headers).status == 200
    log = supervised.directory / "logs" / "supervisor.log"
    await_truth(lambda: "mlops_scoring.access" in log.read_text(encoding="utf-8"), "the line about the request")
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    line = next(record for record in records if record["logger"] == "mlops_scoring.access")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/score", 200)
    assert (line["deployment"], line["request_id"], line["endpoint"]) == ("blue-1", "mine", "test")
    assert any("is ready" in record["message"] for record in records)
    assert "s3cr3t" not in log.read_text(encoding="utf-8")
    assert supervised.put({**document, "telemetry": {}}).status == 200
    assert supervised.score().status == 200
    assert log.read_text(encoding="utf-8").count("mlops_scoring.access") == 1


def test_the_status_shows_a_failure_as_text(supervised: Supervised, tmp_path: Path) -> None:
    source = "def init():\n    print('before')\n    raise OSError('no weights\\x1b[31m')\ndef run(data): pass\n"
    deployments = {"blue-1": make_deployment(make_code(tmp_path / "code", source))}
    supervised.start(supervised.document(deployments, {"blue-1": 100}))
    told = [r"OSError: no weights\x1b[31m"]
    await_truth(lambda: supervised.report("blue-1")["log_tail"][-1:] == told, "the start failed and says why")


def test_records_are_read_as_text() -> None:
    record = {"time": "2026-01-01T00:00:00.000Z", "level": "ERROR", "logger": "a", "message": "m", "exception": "T\nE"}
    assert readable(json.dumps(record)) == ["ERROR a: m", "T", "E"]
    assert readable(json.dumps({**record, "logger": "print", "exception": ""})) == ["m"]
    assert readable('{"time": "2026') == ['{"time": "2026']
    assert readable("plain \x1b[1m") == [r"plain \x1b[1m"]


@given(st.text())
def test_whatever_was_logged_is_read_without_control_characters(message: str) -> None:
    record = {"time": "2026-01-01T00:00:00.000Z", "level": "INFO", "logger": "print", "message": message}
    for line in readable(json.dumps(record)):
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202e]", line)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-token",
        "authorization: Basic czNjcjN0s3cr3t==",
        '{"authorization": "Bearer s3cr3t.s3cr3t"}',
        "{'Authorization': 'SharedKey s3cr3t'}",
        "('authorization', 'Bearer s3cr3ts3cr3t')",
        'curl -H "Authorization: Bearer s3cr3ts3cr3t" http://x',
        "GET /score?code=s3cr3t HTTP/1.1",
        "https://a.blob/x?sv=1&sig=s3cr3t%3D&se=2",
        "x?api_key=s3cr3t&b=1",
        "InstrumentationKey=s3cr3t;IngestionEndpoint=http://x",
        "DefaultEndpointsProtocol=https;AccountKey=s3cr3t==;x=1",
        "token is Bearer s3cr3ts3cr3t now",
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str) -> None:
    assert "s3cr3t" not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize("text", ["the key is in the door", "a=1&b=2", "?page=2&size=10", "bearer of bad news", ""])
def test_what_does_not_is_left(text: str) -> None:
    assert redact(text) == text
