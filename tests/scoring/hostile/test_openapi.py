"""What `/openapi.json` says is what is answered: schemathesis asks everything that fits it, and what does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.scoring import rig
from tests.scoring.environments import SCHEMAS, make_environment

SCHEMATHESIS = ("schemathesis==4.32.5",)
SCHEMA = """
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
def init(): pass
@input_schema("data", StandardPythonParameterType([[1.0, 2.0]]))
@output_schema(StandardPythonParameterType([1.0]))
def run(data):
    return [float(len(str(data)))]
"""
TEXT = "def init(): pass\ndef run(data): return {'length': len(data)}\n"
AS_DESCRIBED = "status_code_conformance,content_type_conformance,response_schema_conformance"
NO_FAILURE = f"not_a_server_error,{AS_DESCRIBED}"
DIALECTS = {
    *("/", "/score", "/swagger.json", "/openapi.json"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{}", "/v2/models/{}/ready", "/v2/models/{}/infer"),
    *("/ping", "/health", "/version", "/invocations"),
}


@pytest.fixture(scope="module")
def schemathesis(test_cache: Path) -> Path:
    """The program."""
    return make_environment(test_cache, SCHEMATHESIS).with_name("schemathesis")


def examine(program: Path, port: int, folder: Path, checks: str, *options: str) -> None:
    """Run it; it fails where an answer is not as described or, if that is checked, a 5xx."""
    url = f"http://127.0.0.1:{port}"
    command = [str(program), "run", f"{url}/openapi.json", "--url", url, "--checks", checks, "--max-examples", "10"]
    done = subprocess.run(
        [*command, "--seed", "1", "--request-timeout", "100", "--no-color", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


@pytest.mark.parametrize(("source", "checks"), [(SCHEMA, AS_DESCRIBED), (TEXT, NO_FAILURE)])
def test_a_script_answers_as_described(
    schemathesis: Path, test_cache: Path, short_path: Path, source: str, checks: str
) -> None:
    """What schema decorators do not take is a failure of the script, as Azure ML's server has it."""
    python = make_environment(test_cache, SCHEMAS)
    deployment = rig.make_deployment(rig.make_code(short_path / "code", source), python=str(python))
    port = rig.free_port()
    worker, announced = rig.launch_worker(short_path, deployment, place=("--socket", f"127.0.0.1:{port}"))
    assert announced == {"event": "ready"}, worker.log()
    try:
        examine(schemathesis, port, short_path, checks)
    finally:
        worker.kill()


def test_a_model_behind_the_gateway_answers_as_described(
    schemathesis: Path, models_python: Path, models: Path, supervised: rig.Supervised, short_path: Path
) -> None:
    """With a key, as clients ask."""
    deployment = rig.make_deployment(python=str(models_python), runtime="onnx", model_directory=str(models / "onnx"))
    document = supervised.document({"blue-1": deployment}, {"blue-1": 100})
    supervised.start({**document, "auth": {"mode": "key"}})
    supervised.await_state("blue-1", "Healthy")
    key = rig.ask(supervised.admin, "GET", "/credentials").json["primary_key"]
    bearer = {"authorization": f"Bearer {key}"}
    described = rig.ask(supervised.port, "GET", "/openapi.json", headers=bearer).json
    assert {path.replace("blue-1", "{}") for path in described["paths"]} == DIALECTS
    assert json.dumps(described).count("#/components/schemas/ServiceInput") == 1
    examine(schemathesis, supervised.port, short_path, NO_FAILURE, "-H", f"Authorization: Bearer {key}")
