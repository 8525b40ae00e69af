"""MLflow's dialect, compared with MLflow's own server on one table of requests, and asked by MLflow's client."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.conftest import StartWorker
from tests.scoring.environments import run_in
from tests.scoring.rig import Answer, Supervised, ask, await_truth, free_port
from tests.scoring.serving_models import ModelWorkers

ORACLE = """
import sys, threading
import uvicorn
from mlflow.pyfunc import load_model, scoring_server

threads = []
for path, port in zip(sys.argv[1::2], sys.argv[2::2]):
    server = uvicorn.Server(uvicorn.Config(scoring_server.init(load_model(path)), port=int(port), log_level="error"))
    threads.append(threading.Thread(target=server.run))
    threads[-1].start()
for thread in threads:  # executors end with the main thread
    thread.join()
"""
"""MLflow's scoring servers, one for each model, in one process."""

CLIENT = """
import json, sys
import numpy, pandas
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

client = ScoringServerClient("127.0.0.1", int(sys.argv[1]))
client.wait_server_ready(timeout=30)
rows = json.loads(sys.argv[2])
told = {
    "version": client.get_version(),
    "frame": client.invoke(pandas.DataFrame(rows, columns=["a", "b", "c"])).get_predictions()[0].tolist(),
}
if "arrays" in sys.argv:
    told["array"] = client.invoke(numpy.array(rows)).get_predictions()[0].tolist()
    told["list"] = client.invoke(rows).get_predictions()[0].tolist()
try:
    client.invoke(pandas.DataFrame(rows, columns=["a", "b", "x"]))
except Exception as error:
    told["error"] = str(error)
print(json.dumps(told))
"""

JSON = "application/json"
CSV = "text/csv"
COLUMNS = ["count", "size", "there", "text"]
ROWS = [[1, 0.5, True, "a"], [-2, 1.5, False, "b"]]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
TENSOR = [[1, 2], [3, 4]]

MIXED_TABLE: list[tuple[str | None, object]] = [
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": ROWS}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "index": [3, 4], "data": ROWS}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": ROWS}, "params": {"factor": 2}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": ROWS}, "params": {"factor": "x"}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": ROWS}, "params": {"other": 2}}),
    ("application/json; charset=utf-8", {"dataframe_records": RECORDS}),
    ("application/json; charset=latin-1", {"dataframe_records": RECORDS}),
    ("application/json; version=2", {"dataframe_records": RECORDS}),
    (JSON, {"dataframe_records": RECORDS[:1]}),
    (JSON, {"dataframe_records": [{"count": 1}]}),
    (JSON, {"dataframe_records": {"count": 1}}),
    (JSON, {"instances": RECORDS}),
    (JSON, {"inputs": {name: [row[place] for row in ROWS] for place, name in enumerate(COLUMNS)}}),
    (JSON, {"inputs": {"count": [1]}}),
    (JSON, {"inputs": RECORDS}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": [["x", 1, True, "a"]]}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": [[1, 1, True, "unknown"]]}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS, "data": [[1, None, True, "a"]]}}),
    (JSON, {"dataframe_split": {"columns": COLUMNS[:2], "data": [[1, 2]]}}),
    (JSON, {"dataframe_split": [1]}),
    (JSON, {"inputs": [1], "instances": [1]}),
    (JSON, {"data": [[1]]}),
    (JSON, {}),
    (JSON, []),
    (JSON, "text"),
    (JSON, b"{"),
    (JSON, b"\xff"),
    (CSV, "count,size,there,text\n1,0.5,True,a\n-2,1.5,False,b\n"),
    (CSV, "count,size\n1,0.5\n"),
    (CSV, b"\xff"),
    (CSV, ""),
    ("text/plain", "x"),
    ("application/vnd.apache.parquet", "no parquet"),
]
"""For the model with columns of several types: content types and bodies."""

TENSOR_TABLE: list[tuple[str | None, object]] = [
    (JSON, {"inputs": TENSOR}),
    (JSON, {"instances": TENSOR}),
    (JSON, {"inputs": TENSOR[0]}),
    (JSON, {"inputs": [[1, 2, 3]]}),
    (JSON, {"inputs": [["x", 1]]}),
    (JSON, {"dataframe_split": {"columns": ["a"], "data": [[1]]}}),
]
"""For the model with a tensor."""

ABC = ["a", "b", "c"]
NUMBERS = [[5.1, 3.5, 1.4], [6.2, 2.9, 4.3]]

PLAIN_TABLE: list[tuple[str | None, object]] = [
    (JSON, {"dataframe_split": {"columns": ABC, "data": NUMBERS}}),
    (JSON, {"dataframe_split": {"columns": ABC[::-1], "data": [row[::-1] for row in NUMBERS]}}),
    (JSON, {"dataframe_records": [dict(zip(ABC, row, strict=True)) for row in NUMBERS]}),
    (JSON, {"instances": [dict(zip(ABC, row, strict=True)) for row in NUMBERS]}),
    (JSON, {"inputs": {name: [row[place] for row in NUMBERS] for place, name in enumerate(ABC)}}),
    (CSV, "a,b,c\n5.1,3.5,1.4\n6.2,2.9,4.3\n"),
    (CSV, "c,b,a\n1.4,3.5,5.1\n"),
    (CSV, "a,b\n1.4,3.5\n"),
    (JSON, {"dataframe_split": {"columns": ["a", "b", "x"], "data": NUMBERS}}),
    (JSON, {"dataframe_split": {"columns": ABC, "data": [[1, 2]]}}),
    (JSON, {"instances": [[1, 2]]}),
    (JSON, {"instances": 1}),
    (JSON, {"inputs": NUMBERS, "instances": NUMBERS}),
    (JSON, {}),
    (JSON, []),
    (JSON, b"{"),
    ("text/plain", "x"),
    ("application/json; charset=latin-1", {"inputs": NUMBERS}),
]
"""For the linear regression, which we serve as an estimator and MLflow as its own model.

Rows without names are not in it: we take them in the order of the model, MLflow refuses them.
"""


@pytest.fixture(scope="module")
def oracle(models_python: Path, models: Path) -> Iterator[Callable[[str], int]]:
    """MLflow's own servers; the port of each by its model."""
    ports = {name: free_port() for name in ("mlflow", "mlflow-columns", "mlflow-tensor")}
    arguments = [text for name, port in ports.items() for text in (str(models / name), str(port))]
    process = subprocess.Popen([str(models_python), "-c", ORACLE, *arguments], stderr=subprocess.DEVNULL)

    def answers(port: int) -> bool:
        assert process.poll() is None
        try:
            return ask(port, "GET", "/ping").status == 200
        except (OSError, http.client.HTTPException):
            return False

    await_truth(lambda: all(map(answers, ports.values())), "MLflow's servers answer")
    yield lambda name: ports[name]
    process.kill()
    process.wait()


def invoke(address: int | Path, kind: str | None, body: object) -> Answer:
    """One request of a table."""
    content = body if isinstance(body, bytes) or kind == CSV else json.dumps(body)
    assert isinstance(content, bytes | str)
    return ask(address, "POST", "/invocations", content, {} if kind is None else {"Content-Type": kind})


def seen(answer: Answer) -> object:
    """What is compared: the status, the media type, and the answer or the kind of the error."""
    kind = answer.headers["content-type"].partition(";")[0]
    if answer.status == 200:
        return answer.status, kind, repr(answer.json)  # NaN is not equal to itself
    return answer.status, kind, answer.json["error_code"] if kind == JSON else None


@pytest.mark.parametrize(("kind", "body"), MIXED_TABLE)
def test_mlflow_models_answer_as_mlflows_server_does(
    served: ModelWorkers, oracle: Callable[[str], int], kind: str, body: object
) -> None:
    ours = invoke(served.serve("mlflow", "mlflow-columns").socket, kind, body)
    theirs = invoke(oracle("mlflow-columns"), kind, body)
    assert seen(ours) == seen(theirs), (ours, theirs)
    if theirs.status == 400:
        # Messages that list the forms do so in the order of a set.
        assert sorted(ours.json["message"]) == sorted(theirs.json["message"][:4000])
        assert list(ours.json) == ["error_code", "message"]
        assert "Traceback" not in ours.body.decode()


@pytest.mark.parametrize(("kind", "body"), TENSOR_TABLE)
def test_models_with_tensors_answer_as_mlflows_server_does(
    served: ModelWorkers, oracle: Callable[[str], int], kind: str, body: object
) -> None:
    ours = invoke(served.serve("mlflow", "mlflow-tensor").socket, kind, body)
    theirs = invoke(oracle("mlflow-tensor"), kind, body)
    assert seen(ours) == seen(theirs), (ours, theirs)


@pytest.mark.parametrize(("kind", "body"), PLAIN_TABLE)
def test_estimators_answer_as_mlflows_server_does_for_the_same_model(
    served: ModelWorkers, oracle: Callable[[str], int], kind: str, body: object
) -> None:
    ours = invoke(served.serve("sklearn", "named").socket, kind, body)
    theirs = invoke(oracle("mlflow"), kind, body)
    assert seen(ours) == seen(theirs), (ours, theirs)


def test_missing_numbers_are_nan_as_mlflow_writes_them(served: ModelWorkers) -> None:
    answer = invoke(served.serve("mlflow", "mlflow-columns").socket, JSON, {"dataframe_records": RECORDS})
    assert (answer.status, answer.body.decode().count("NaN")) == (200, 2)


def test_a_request_without_a_content_type_is_415(served: ModelWorkers) -> None:
    """MLflow's server fails on it with 500."""
    for runtime, name in (("mlflow", "mlflow"), ("sklearn", "named")):
        assert invoke(served.serve(runtime, name).socket, None, {"inputs": NUMBERS}).status == 415


@pytest.mark.parametrize(
    ("runtime", "name", "version"), [("mlflow", "mlflow", "3.17.2"), ("sklearn", "named", "0.1.0")]
)
def test_mlflows_client_works_through_the_gateway(
    served: ModelWorkers, supervised: Supervised, models: Path, runtime: str, name: str, version: str
) -> None:
    expected = json.loads((models / "expected.json").read_bytes())
    deployment = served.deployment(runtime, name)
    supervised.start(supervised.document({"blue-1": deployment}, {"blue-1": 100}))
    supervised.await_state("blue-1", "Healthy")
    rows = [row[:3] for row in expected["rows"]]
    # MLflow's own model takes its columns by name only.
    arrays = ["arrays"] if runtime == "sklearn" else []
    told = run_in(served.python, CLIENT, str(supervised.port), json.dumps(rows), *arrays)
    for way in ("frame", *(("array", "list") if arrays else ())):
        assert told[way] == pytest.approx(expected["regression"])
    assert told["version"] == version
    assert "error code 400" in told["error"]
    for path in ("/ping", "/health"):
        assert ask(supervised.port, "GET", path).status == 200
        assert ask(supervised.port, "POST", path).status == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": [[1, 2, 3]]}, "inputs: has 3 values along axis 1; the model takes 4."),
        ({"instances": [[1, 2, 3, "x"]]}, 'instances[0][3]: must be a number; it is "x".'),
        (
            {"dataframe_split": {"columns": list("abcd"), "data": [[1, 2, 3, "x"]]}},
            "dataframe_split.data[0]['d']: must",
        ),
        ({"dataframe_split": {"columns": list("abcd"), "data": [[1, 2, 3]]}}, "dataframe_split.data[0]: has 3 values;"),
        ({"dataframe_records": [{"a": 1}]}, "dataframe_records[0]: has 1 values; the model takes 4."),
        ({"inputs": [[1, 2, 3, 4]], "params": {"a": 1}}, "params: the model takes none."),
    ],
)
def test_a_request_that_does_not_fit_names_the_field(served: ModelWorkers, body: object, message: str) -> None:
    answer = invoke(served.serve("onnx", "onnx").socket, JSON, body)
    assert answer.status == 400
    assert answer.json["error_code"] in {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}
    assert answer.json["message"].startswith(message), answer.json


SCRIPT = """
import json

def init():
    pass

def run(data):
    body = json.loads(data)
    if body.get("data") == [[0]]:
        raise ValueError("secret")
    return body
"""


def test_scripts_get_the_rows_as_score_has_them(start_worker: StartWorker) -> None:
    worker = start_worker(SCRIPT)

    def told(body: object, kind: str = JSON) -> Any:  # noqa: ANN401 - JSON
        return invoke(worker.socket, kind, body).json

    split = {"columns": ["a", "b"], "index": [0], "data": [[1, "x"]]}
    assert told({"dataframe_split": split}) == {"predictions": {"input_data": split}}
    assert told({"dataframe_records": [{"a": 1, "b": "x"}]}) == {"predictions": {"input_data": split}}
    assert told("a,b\n1,x\n", CSV) == {"predictions": {"input_data": split}}
    assert told({"inputs": [[1]], "params": {"p": 2}}) == {"predictions": {"data": [[1]], "params": {"p": 2}}}
    assert told({"instances": [[1]]}) == {"predictions": {"data": [[1]]}}
    failed = invoke(worker.socket, JSON, {"inputs": [[0]]})
    assert (failed.status, failed.json["error_code"]) == (500, "INTERNAL_ERROR")
    assert failed.headers["x-ms-run-function-failed"] == "True"
    assert "secret" not in failed.body.decode()


@pytest.mark.parametrize(
    ("csv", "rows"),
    [
        ("a\n1\n\n2\n", [[1], [2]]),
        ("a,b\n1,\n,x\n", [[1, None], [None, "x"]]),
        ("a\n1.5\n2\n", [[1.5], [2.0]]),
        ("a\nTrue\nfalse\n", [[True], [False]]),
        ("a\n1_000\n", [["1_000"]]),
        ('a\n"x,\ny"\n', [["x,\ny"]]),
        ("\ufeffa\n1", [[1]]),
    ],
)
def test_csv_is_read_as_pandas_would(start_worker: StartWorker, csv: str, rows: object) -> None:
    answer = invoke(start_worker(SCRIPT).socket, CSV, csv.encode())
    assert answer.json["predictions"]["input_data"]["data"] == rows


@pytest.mark.parametrize("csv", ["a,b\n1\n", "", 'a\n"x', 'a\n"x"y\n', "a\n" + "x" * 200_000])
def test_what_is_no_csv_is_400(start_worker: StartWorker, csv: str) -> None:
    assert invoke(start_worker(SCRIPT).socket, CSV, csv.encode()).status == 400
