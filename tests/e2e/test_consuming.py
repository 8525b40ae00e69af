"""What `mlops show` gives to those who call a live endpoint: run, validated, or read as its reader does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV31SpecValidator
from tests.e2e.laptop import Laptop

BODY = """{
  "who": "Ada \\"the first\\" O'Hara",
  "text": "${HOME} `id` $(id) \\\\ {0} @x é 漢 %s"
}
"""
"""A request with what shells, Python and C# each take for something else."""

ECHO = "def init():\n    pass\n\n\ndef run(data):\n    return {'heard': data}\n"

SCHEMA = '''"""Described by documents of its own."""


def init():
    """Nothing to load."""


def run(data):
    """Say that it was heard."""
    return {"heard": data}
'''

_VERBATIM = re.compile(r'@"((?:[^"]|"")*)"')
_STRING = re.compile(r'"[^"\n]*"')


@pytest.fixture
def echo(laptop: Laptop) -> Laptop:
    """An endpoint that answers with what it was sent."""
    laptop.declare(sample_request={"request": "sample.json", "expected": {"heard": BODY}})
    laptop.write("endpoints/hello/code/score.py", ECHO)
    laptop.write("endpoints/hello/sample.json", BODY)
    laptop.apply()
    return laptop


def shown(laptop: Laptop, *arguments: str) -> str:
    done = laptop.run("show", "endpoint/hello@here", "--stage", "dev", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def heard(answer: str) -> object:
    said: dict[str, str] = json.loads(answer)
    return json.loads(said["heard"])


def test_the_curl_command_sends_the_sample_request(echo: Laptop, tmp_path: Path) -> None:
    script = tmp_path / "call.sh"
    script.write_text(shown(echo, "--client", "curl"), encoding="utf-8")
    done = subprocess.run(["sh", "-eu", script], capture_output=True, text=True, check=True)
    assert heard(done.stdout) == json.loads(BODY)


def test_the_python_program_sends_the_sample_request(echo: Laptop, tmp_path: Path) -> None:
    program = tmp_path / "call.py"
    program.write_text(shown(echo, "--client", "python"), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", "-W", "error", program], capture_output=True, text=True, check=True)
    assert heard(done.stdout) == json.loads(BODY)


def test_the_csharp_program_holds_the_sample_request(echo: Laptop) -> None:
    """No compiler of C# is needed: its tokens are read as the language's specification says."""
    program = shown(echo, "--client", "csharp")
    body, address = (found.replace('""', '"') for found in _VERBATIM.findall(program))
    assert json.loads(body) == json.loads(BODY)
    assert address == f"http://127.0.0.1:{echo.port()}/score"
    check_csharp(program)


def check_csharp(program: str) -> None:
    """Every using first, every bracket closed, every statement ended, and nothing quoted that is not closed."""
    bare = _STRING.sub("@", _VERBATIM.sub("@", program))
    assert '"' not in bare
    lines = [line for line in bare.splitlines() if line.strip()]
    usings = [line for line in lines if re.fullmatch(r"using [A-Z][\w.]*;", line)]
    assert lines[: len(usings)] == usings
    goes_on = [following.startswith("    ??") for following in [*lines[1:], ""]]
    assert all(line.endswith(";") != more for line, more in zip(lines, goes_on, strict=True))
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)


def test_the_openapi_document_is_valid_and_leads_to_the_endpoint(echo: Laptop) -> None:
    document: dict[str, Any] = json.loads(shown(echo, "--openapi"))
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": f"http://127.0.0.1:{echo.port()}"}]
    assert document["info"]["title"] == "hello"
    body = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == json.loads(BODY)
    assert "securitySchemes" not in document["components"]
    assert "security" not in json.dumps(document)


def test_power_bi_reads_swagger_2_with_named_input_and_output(echo: Laptop) -> None:
    """It looks for the definitions of what goes in and out, as Azure ML's documentation of schema generation says."""
    done = echo.run("show", "hello", "--stage", "dev", "--client", "powerbi")
    assert done.returncode == 0
    assert "Request is not described" in done.stderr  # by nothing that the script says
    document: dict[str, Any] = json.loads(done.stdout)
    OpenAPIV2SpecValidator(document).validate()
    assert document["swagger"] == "2.0"
    assert (document["schemes"], document["host"]) == (["http"], f"127.0.0.1:{echo.port()}")
    assert document["definitions"]["ServiceInput"]["example"] == json.loads(BODY)
    assert "ServiceOutput" in document["definitions"]


def test_power_bi_finds_the_fields_that_a_request_is_said_to_have(laptop: Laptop) -> None:
    """As inference-schema's decorators, a model of ONNX or, here, a document beside the script says them."""
    row = {"type": "object", "properties": {"who": {"type": "string"}}}
    body = {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/ServiceInput"}}
    own = {
        "swagger": "2.0",
        "info": {"title": "Greetings", "version": "7"},
        "paths": {"/score": {"post": {"parameters": [body], "responses": {"200": {"description": "A greeting."}}}}},
        "definitions": {"ServiceInput": row},
    }
    laptop.declare()
    laptop.write("endpoints/hello/code/swagger2.json", own)
    laptop.apply()
    document: dict[str, Any] = json.loads(shown(laptop, "--client", "powerbi"))
    OpenAPIV2SpecValidator(document).validate()
    assert document["definitions"]["ServiceInput"]["properties"] == row["properties"]


def test_a_document_of_the_users_own_is_kept(laptop: Laptop) -> None:
    """Only where the endpoint is, and who may call it, are told anew."""
    own = {
        "openapi": "3.1.0",
        "info": {"title": "Greetings", "version": "7"},
        "paths": {"/score": {"post": {"security": [{"x": []}], "responses": {"200": {"description": "A greeting."}}}}},
        "components": [],
    }
    laptop.declare()
    laptop.write("endpoints/hello/code/swagger3.1.json", own)
    laptop.apply()
    document: dict[str, Any] = json.loads(shown(laptop, "--openapi"))
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"] == {"title": "Greetings", "version": "7"}
    assert document["paths"]["/score"]["post"] == {"responses": {"200": {"description": "A greeting."}}}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--openapi"], 1, "declared and not live"),
        (["--client", "python"], 1, "mlops apply --stage dev"),
        (["--openapi", "--client", "curl"], 64, "ask for one"),
        (["--client", "cobol"], 64, "powerbi"),
    ],
)
def test_what_cannot_be_shown_says_why(laptop: Laptop, arguments: list[str], code: int, words: str) -> None:
    done = laptop.run("show", "hello", "--stage", "dev", *arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert words in done.stderr


def test_a_sample_request_that_is_no_text_is_refused(laptop: Laptop) -> None:
    laptop.declare(
        rollout=None, sample_request={"request": "sample.json", "expected": {"heard": 1}, "deployment": "main"}
    )
    laptop.write("endpoints/hello/code/score.py", "def init(): pass\n\ndef run(data):\n    return {'heard': 1}\n")
    (laptop.root / "endpoints/hello/sample.json").write_bytes(b"\x1b[2J")
    laptop.apply()
    done = laptop.run("show", "hello", "--client", "curl")
    assert (done.returncode, done.stdout) == (5, "")
    assert "Sample request is not text" in done.stderr
