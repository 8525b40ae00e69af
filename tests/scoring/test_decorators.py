"""inference-schema's decorators, and scripts that run where Azure ML's own server is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.conftest import StartWorker
from tests.scoring.environments import FLASK, SCHEMAS, make_environment
from tests.scoring.rig import Worker, launch_worker, make_code, make_deployment

SCRIPT = """
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
@input_schema("frame", PandasParameterType(pd.DataFrame({"a": [1]})))
@input_schema("scale", StandardPythonParameterType(1))
@output_schema(StandardPythonParameterType([1.0]))
def run(data, frame, scale=2, request_headers=None):
    assert isinstance(data, np.ndarray) and isinstance(frame, pd.DataFrame)
    return {"sum": float(data.sum() * scale + frame["a"].sum()), "agent": request_headers.get("X-Agent")}
"""
GOOD: dict[str, Any] = {"data": [[1, 2]], "frame": [{"a": 10}], "scale": 3}
JSON = {"Content-Type": "application/json", "X-Agent": "me"}


@pytest.fixture(scope="session")
def schemas_python(test_cache: Path) -> Path:
    return make_environment(test_cache, SCHEMAS)


@pytest.fixture
def decorated(start_worker: StartWorker, schemas_python: Path) -> Worker:
    return start_worker(SCRIPT, python=str(schemas_python))


def test_decorated_scripts_get_values_of_their_types(decorated: Worker) -> None:
    assert decorated.ask(json.dumps(GOOD), headers=JSON).json == {"sum": 19.0, "agent": "me"}
    rest = {name: value for name, value in GOOD.items() if name != "scale"}
    assert decorated.ask(json.dumps(rest), headers=JSON).json["sum"] == 16.0
    query = decorated.ask(None, "GET", '/score?data=[[1,2]]&frame=[{"a":10}]&scale=3', headers=JSON)
    assert query.json["sum"] == 19.0


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (json.dumps(GOOD), {"Content-Type": "text/plain"}, 415, "Expects Content-Type to be application/json"),
        ("", JSON, 400, "POST body is empty. Expecting a JSON dictionary."),
        ("[1]", JSON, 400, "POST body should be a JSON dictionary."),
        ("{", JSON, 400, "POST body could not be decoded as JSON: "),
        ('{"data": [[1, 2]]}', JSON, 400, "A value is not provided for the 'frame' parameter."),
        ('{"data": "x", "frame": [{"a": 1}]}', JSON, 500, "An unexpected error occurred in scoring script."),
    ],
)
def test_what_does_not_fit_the_decorators(
    decorated: Worker, body: str, headers: dict[str, str], status: int, message: str
) -> None:
    answer = decorated.ask(body, headers=headers)
    assert answer.status == status
    assert answer.json["message"].startswith(message)


def test_swagger_has_the_decorators_schemas(decorated: Worker) -> None:
    two = decorated.ask(None, "GET", "/swagger.json").json["definitions"]
    assert set(two["ServiceInput"]["properties"]) == {"data", "frame", "scale", "request_headers"}
    assert two["ServiceInput"]["example"]["data"] == [[1.0, 2.0]]
    assert two["ServiceOutput"] == {"type": "array", "items": {"type": "number", "format": "double"}, "example": [1.0]}


def test_raw_and_schema_together_are_refused(schemas_python: Path, short_path: Path) -> None:
    source = "from azureml_inference_server_http.api.aml_request import rawhttp\n" + SCRIPT
    source = source.replace('@input_schema("data"', '@rawhttp\n@input_schema("data"')
    deployment = make_deployment(make_code(short_path / "code", source), python=str(schemas_python))
    worker, announced = launch_worker(short_path, deployment)
    assert worker.process.wait(60) == 3
    assert "cannot be decorated with both @rawhttp and @input_schema" in announced["reason"]


REAL = """
import flask
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    assert issubclass(AMLRequest, flask.Request)

@rawhttp
def run(request):
    assert isinstance(request, flask.Request)
    if request.args.get("plain"):
        return flask.Response("teapot", 418, {"X-Mine": "1"})
    found = {"data": request.get_data(as_text=True), "n": request.json["n"]}
    return AMLResponse(found, 201, {"X-A": "b"}, json_str=True)
"""


def test_where_azure_mls_server_is_installed_its_own_classes_are_used(
    start_worker: StartWorker, test_cache: Path
) -> None:
    worker = start_worker(REAL, python=str(make_environment(test_cache, FLASK)))
    answer = worker.ask('{"n": 7}', headers=JSON)
    assert (answer.status, answer.json, answer.headers["x-a"]) == (201, {"data": '{"n": 7}', "n": 7}, "b")
    assert answer.headers["x-ms-run-function-failed"] == "False"
    plain = worker.ask("", path="/score?plain=1")
    assert (plain.status, plain.body, plain.headers["x-mine"]) == (418, b"teapot", "1")
