"""Azure ML's contract for entry scripts, as azureml-inference-server-http 1.5.1 keeps it."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
from tests.scoring.conftest import StartWorker
from tests.scoring.rig import Worker, await_truth, held, launch_worker, make_code, make_deployment

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

SCRIPT = """
import json

def init():
    print("init was called")

def run(data):
    match data:
        case "boom":
            raise ValueError("secret of the script")
        case "exit":
            raise SystemExit(4)
        case "set":
            return {1, 2}
        case "none":
            return None
        case "nan":
            return float("nan")
    return {"got": data, "type": type(data).__name__}
"""

SCRIPT_FAILED = b'{"message": "An unexpected error occurred in scoring script. Check the logs for more info."}'
INTERNAL = b'{"message": "An unexpected internal error occurred. Check the logs for more info."}'
LONG = "a" * 101
LIMIT = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"


@pytest.fixture
def worker(start_worker: StartWorker) -> Worker:
    return start_worker(SCRIPT)


def test_status_bodies_and_failure_mark_follow_the_contract(worker: Worker) -> None:
    """One table of requests: method, path, body, then status, body and x-ms-run-function-failed of the answer."""
    got = '{"got": %s, "type": "str"}'
    table = [
        ("GET", "/", None, 200, b"Healthy", None),
        ("HEAD", "/", None, 200, b"", None),
        ("POST", "/score", "hello", 200, (got % '"hello"').encode(), "False"),
        ("POST", "/score", "", 200, (got % '""').encode(), "False"),
        ("POST", "/score", '{"a": "é"}'.encode(), 200, (got % json.dumps('{"a": "é"}')).encode(), "False"),
        ("GET", "/score?a=1&b=x&b=2&c=", None, 200, None, "False"),
        ("OPTIONS", "/score", None, 200, b"", "False"),
        ("POST", "/score", "boom", 500, SCRIPT_FAILED, "True"),
        ("POST", "/score", "exit", 500, SCRIPT_FAILED, "True"),
        ("POST", "/score", "set", 500, INTERNAL, "False"),
        ("POST", "/score", "none", 200, b"{}", "False"),
        ("POST", "/score", "nan", 200, b"NaN", "False"),
        ("POST", "/score", b"\xff\xfe", 400, None, "False"),
        ("PUT", "/score", "a", 405, b'{"message": "The method is not allowed for the requested URL."}', "False"),
        ("DELETE", "/", None, 405, b'{"message": "The method is not allowed for the requested URL."}', "False"),
        ("POST", "/swagger.json", "a", 405, None, "False"),
        ("GET", "/nothing", None, 404, None, "False"),
    ]
    for method, path, body, status, expected, failed in table:
        answer = worker.ask(body, method, path)
        assert (method, path, body, answer.status) == (method, path, body, status)
        assert expected is None or answer.body == expected
        assert answer.headers.get("x-ms-run-function-failed") == failed


def test_a_query_becomes_the_json_text_of_its_values(worker: Worker) -> None:
    answer = worker.ask(None, "GET", "/score?a=1&b=x&b=2")
    assert json.loads(answer.json["got"]) == {"a": 1, "b": ["x", 2]}


def test_undecodable_input_says_so(worker: Worker) -> None:
    assert worker.ask(b"\xff").json["message"].startswith("Input cannot be decoded as UTF-8: ")


def test_what_a_script_raises_is_in_the_log_and_not_in_the_answer(worker: Worker) -> None:
    assert b"secret" not in worker.ask("boom").body
    assert "secret of the script" in worker.log()


@pytest.mark.parametrize(
    ("sent", "status", "expected"),
    [
        ({}, 200, {"x-request-id": UUID, "x-ms-request-id": UUID, "x-ms-client-request-id": None}),
        ({"x-request-id": "r"}, 200, {"x-request-id": "r", "x-ms-request-id": "r", "x-ms-client-request-id": None}),
        ({"x-ms-request-id": "m"}, 200, {"x-request-id": UUID, "x-ms-request-id": "m", "x-ms-client-request-id": "m"}),
        ({"x-ms-client-request-id": "c"}, 200, {"x-ms-request-id": "c", "x-ms-client-request-id": "c"}),
        (
            {"x-ms-request-id": "m", "x-ms-client-request-id": "c", "TraceId": "t"},
            200,
            {"x-ms-request-id": "m", "x-ms-client-request-id": "c", "traceid": "t"},
        ),
        ({"x-request-id": LONG}, 431, {"x-request-id": None}),
        ({"x-ms-request-id": LONG}, 431, {"x-request-id": UUID, "x-ms-request-id": None}),
        ({"x-ms-client-request-id": LONG}, 431, {"x-ms-client-request-id": None}),
        ({"x-ms-request-id": "a" * 100}, 200, {"x-ms-request-id": "a" * 100}),
    ],
)
def test_request_ids(
    start_worker: StartWorker, sent: dict[str, str], status: int, expected: dict[str, str | re.Pattern[str] | None]
) -> None:
    answer = start_worker(SCRIPT).ask("a", headers=sent)
    assert answer.status == status
    for name, value in expected.items():
        found = answer.headers.get(name)
        assert value.fullmatch(found or "") if isinstance(value, re.Pattern) else found == value, name
    if status == 431:
        limit = "x-request-id must not exceed 100 characters" if "x-request-id" in sent else LIMIT
        assert answer.json == {"message": limit}


def test_the_time_of_run_is_told(worker: Worker) -> None:
    assert float(worker.ask("a").headers["x-ms-run-fn-exec-ms"]) >= 0
    assert worker.ask("a").headers["x-ms-server-version"].startswith("mlops-scoring/")


def test_a_script_finds_its_model_its_code_and_its_variables(start_worker: StartWorker, tmp_path: Path) -> None:
    source = """
import os, sys
import sibling

def init():
    global found
    found = {
        "model": os.environ["AZUREML_MODEL_DIR"],
        "also": os.environ["azureml_model_dir"],
        "variable": os.environ["GREETING"],
        "directory": os.getcwd(),
        "first": sys.path[0],
        "sibling": sibling.NAME,
    }

def run(data):
    return found
"""
    model = tmp_path / "model"
    model.mkdir()
    code = make_code(tmp_path / "code", source)
    (code / "sibling.py").write_text("NAME = 'beside'\n", encoding="utf-8")
    variables = {"GREETING": "hello"}
    worker = start_worker(source, code_directory=str(code), model_directory=str(model), environment_variables=variables)
    assert worker.ask("").json == {
        "model": str(model),
        "also": str(model),
        "variable": "hello",
        "directory": str(code),
        "first": str(code),
        "sibling": "beside",
    }


def test_no_full_collection_of_garbage_looks_through_what_init_made(start_worker: StartWorker) -> None:
    source = """
import gc

def init():
    global made
    made = [[] for _ in range(100_000)]

def run(data):
    return {"frozen": gc.get_freeze_count(), "made": len(made), "looked_at": len(gc.get_objects())}
"""
    found = start_worker(source).ask(b"{}").json
    assert found["frozen"] > found["made"] > found["looked_at"]


def test_run_may_take_the_request_headers(start_worker: StartWorker) -> None:
    worker = start_worker("def init(): pass\n\ndef run(data, request_headers): return request_headers\n")
    headers = worker.ask("a", headers={"x-ms-request-id": "m", "Content-Type": "text/plain"}).json
    assert headers["X-Ms-Request-Id"] == "m"
    assert headers["Content-Type"] == "text/plain"


def test_init_and_run_share_a_thread_and_an_event_loop(start_worker: StartWorker) -> None:
    """What libraries keep per thread in init() is there in run(), as it is with Azure ML's server."""
    source = """
import asyncio, threading
place = threading.local()

def init():
    place.value = 7

async def work():
    return place.value

def run(data):
    return asyncio.get_event_loop().run_until_complete(work())
"""
    one = {"max_concurrent_requests_per_instance": 1}
    assert start_worker(source, request_settings=one).ask("").json == 7


RAW = """
import json
from {module} import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    assert isinstance(request, AMLRequest)
    match request.args.get("do"):
        case "describe":
            return {{
                "method": request.method, "path": request.path, "full": request.full_path,
                "data": request.get_data(as_text=True), "type": request.content_type,
                "args": request.args.to_dict(), "list": request.args.getlist("x"),
                "header": request.headers["x-thing"], "json": request.get_json(silent=True),
            }}
        case "image":
            return AMLResponse(b"\\x89PNG", 201, {{"Content-Type": "image/png", "X-Many": "a, b"}})
        case "teapot":
            return AMLResponse({{"short": True}}, 418, json_str=True)
        case "fail":
            return AMLResponse("broken", 503)
        case "split":
            return AMLResponse("x", 200, {{"X-Evil": "a\\r\\nSet-Cookie: b=c"}})
        case "upload":
            sent = request.files["file"]
            return {{"name": sent.filename, "size": len(sent.read()), "note": request.form["note"]}}
"""


@pytest.fixture(params=["azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request"])
def raw(request: pytest.FixtureRequest, start_worker: StartWorker) -> Worker:
    return start_worker(RAW.format(module=request.param))


def test_raw_http_requests_have_what_scripts_read(raw: Worker) -> None:
    headers = {"X-Thing": "yes", "Content-Type": "application/json"}
    assert raw.ask('{"k": 1}', path="/score?do=describe&x=1&x=2", headers=headers).json == {
        "method": "POST",
        "path": "/score",
        "full": "/score?do=describe&x=1&x=2",
        "data": '{"k": 1}',
        "type": "application/json",
        "args": {"do": "describe", "x": "1"},
        "list": ["1", "2"],
        "header": "yes",
        "json": {"k": 1},
    }


def test_raw_http_responses_are_the_scripts_own(raw: Worker) -> None:
    image = raw.ask("", path="/score?do=image")
    assert (image.status, image.body, image.headers["content-type"]) == (201, b"\x89PNG", "image/png")
    assert image.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" in image.headers
    teapot = raw.ask("", path="/score?do=teapot")
    assert (teapot.status, teapot.json) == (418, {"short": True})
    failed = raw.ask("", path="/score?do=fail")
    assert (failed.status, failed.body) == (503, b"broken")
    assert failed.headers["x-ms-run-function-failed"] == "True"


def test_a_script_cannot_end_the_headers(raw: Worker) -> None:
    """A value with line breaks, which may come from a client, becomes an error and no header of its own."""
    answer = raw.ask("", path="/score?do=split")
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


def test_raw_http_reads_uploaded_files(raw: Worker) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        b"\x00\r\n\x01\r\n--B--\r\n"
    )
    answer = raw.ask(body, path="/score?do=upload", headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert answer.json == {"name": "a.png", "size": 4, "note": "hi"}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def init(): raise RuntimeError('no\\nmodel')\ndef run(data): pass", "RuntimeError: no model"),
        ("import nothing_like_this\n", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("def init(): pass", "score.py has no function run()"),
        ("def run(data): pass", "score.py has no function init()"),
        ("def init(): pass\ndef run(): pass", "run() of score.py needs to accept an argument for input data"),
        ("def init(): pass\ndef run(request_headers): pass", "needs to accept an argument for input data"),
        ("def init(): pass\ndef run(*data): pass", "cannot accept positional-only arguments, *args, or **kwargs"),
        ("def init(): pass\ndef run(data, /): pass", "cannot accept positional-only arguments"),
        ("def init(): raise SystemExit('stop')\ndef run(data): pass", "SystemExit: stop"),
        ("def init(:\n", "SyntaxError"),
    ],
)
def test_a_script_that_cannot_start_ends_the_worker_with_3_and_one_line_of_reason(
    short_path: Path, source: str, reason: str
) -> None:
    worker, announced = launch_worker(short_path, make_deployment(make_code(short_path / "code", source)))
    assert worker.process.wait(60) == 3
    assert announced["event"] == "failed"
    assert reason in announced["reason"]
    assert "\n" not in announced["reason"]
    assert reason.partition(":")[0] in worker.log()


def test_a_thread_left_behind_by_init_does_not_keep_a_failed_worker(short_path: Path) -> None:
    source = (
        "import threading, time\ndef init():\n    threading.Thread(target=time.sleep, args=(600,)).start()\n    1/0\n"
    )
    worker, _ = launch_worker(
        short_path, make_deployment(make_code(short_path / "code", source + "def run(d): pass\n"))
    )
    assert worker.process.wait(60) == 3


def test_a_model_file_with_another_content_is_not_served(short_path: Path) -> None:
    model = short_path / "model"
    model.mkdir()
    (model / "weights.json").write_text("{}", encoding="utf-8")
    deployment = make_deployment(
        make_code(short_path / "code"), model_directory=str(model), model_files={"weights.json": "0" * 64}
    )
    worker, announced = launch_worker(short_path, deployment)
    assert worker.process.wait(60) == 3
    assert "the model file weights.json is not the declared one" in announced["reason"]


def test_health_stays_live_while_run_works(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker()
    with held(worker.socket, tmp_path / "gate") as answers:
        assert worker.ask(None, "GET", "/").body == b"Healthy"
    assert answers[0].status == 200


def test_sigterm_lets_a_request_finish_and_exits_with_0(start_worker: StartWorker) -> None:
    worker = start_worker(
        "import time\ndef init(): pass\n"
        "def run(data):\n    print('began', flush=True)\n    time.sleep(1)\n    return 'done'\n"
    )
    answers = []
    asking = threading.Thread(target=lambda: answers.append(worker.ask("x")))
    asking.start()
    await_truth(lambda: "began" in worker.log(), "run() began")
    worker.end()
    asking.join()
    assert [(answer.status, answer.json) for answer in answers] == [(200, "done")]


def test_swagger_of_an_undecorated_script(worker: Worker) -> None:
    two = worker.ask(None, "GET", "/swagger.json").json
    assert two == worker.ask(None, "GET", "/swagger.json?version=2").json
    assert (two["swagger"], set(two["paths"])) == ("2.0", {"/", "/score", "/swagger.json"})
    assert two["definitions"]["ServiceInput"] == {"type": "object", "example": {}}
    three = worker.ask(None, "GET", "/swagger.json?version=3").json
    assert three["openapi"] == "3.0.3"
    assert three["components"]["schemas"]["ServiceOutput"] == {"type": "object", "example": {}}
    assert worker.ask(None, "GET", "/swagger.json?version=3.1").json["openapi"] == "3.1.0"
    unknown = worker.ask(None, "GET", "/swagger.json?version=9")
    assert unknown.status == 404
    assert unknown.json == {"message": "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."}


def test_a_users_own_swagger_wins(start_worker: StartWorker, tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", SCRIPT)
    (code / "swagger.json").write_text('{"mine": 2}', encoding="utf-8")
    worker = start_worker(SCRIPT, code_directory=str(code))
    assert worker.ask(None, "GET", "/swagger.json").json == {"mine": 2}
