"""How a script is found, and what becomes of one that cannot be started: Azure ML's server and ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.scoring.conformance.replies import Aspects, Request, compare, send
from tests.scoring.conformance.servers import Setup, start_reference
from tests.scoring.rig import PATIENCE, ask, await_truth, free_port

INIT = "def init(): pass\n"
BROKEN = {
    "syntax": "def init(: pass\n",
    "no run": INIT,
    "init raises": "def init(): raise ValueError('no weights')\ndef run(data): return data\n",
    "init exits": "def init(): raise SystemExit(0)\ndef run(data): return data\n",
    "any arguments": INIT + "def run(*data): return data\n",
    "any keywords": INIT + "def run(**data): return data\n",
    "positional only": INIT + "def run(data, /): return data\n",
}
WHO = "import os, sys, {0}\ndef init(): pass\ndef run(data): return [{0}.NAME, os.path.basename(os.getcwd())]\n"
FOUND: Mapping[str, tuple[dict[str, str], dict[str, str]]] = {
    "by its path below the root": ({"score.py": WHO.format("beside")}, {"AZUREML_ENTRY_SCRIPT": "score.py"}),
    "main where nothing is said": ({"main.py": WHO.format("beside")}, {}),
    "in a folder": ({"inner/score.py": WHO.format("beside")}, {"AZUREML_ENTRY_SCRIPT": "inner/score.py"}),
    "with a source directory": (
        {"score.py": WHO.format("deep"), "inner/deep.py": "NAME = 'deep'\n"},
        {"AZUREML_ENTRY_SCRIPT": "score.py", "AZUREML_SOURCE_DIRECTORY": "inner"},
    ),
    "a missing one": ({}, {"AZUREML_ENTRY_SCRIPT": "nowhere.py"}),
}


def _ours(folder: Path, environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Our server, started by variables as an image would."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "TZ"}}
    line = [sys.executable, "-P", "-m", "mlops_scoring.server", "--workers", "1"]
    line += ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}"]
    with (folder.parent / "ours.txt").open("wb") as log:
        process = subprocess.Popen(
            line,
            cwd=folder,
            env=kept | {"HOME": str(folder.parent), "MLOPS_ALLOW_ROOT": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return process, port


def _outcome(process: subprocess.Popen[bytes], port: int) -> object:
    """The exit code of a server that ends by itself, or what it answers."""
    deadline = time.monotonic() + PATIENCE
    answer: list[object] = []

    def over() -> bool:
        try:
            reply = ask(port, body="x")
        except OSError:
            return process.poll() is not None or time.monotonic() > deadline
        answer.append(reply.json)
        return True

    try:
        await_truth(over, "it answers or ends")
        return answer[0] if answer else process.wait(PATIENCE)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _served(process: subprocess.Popen[bytes], port: int, request: Request, gate: Path) -> Aspects:
    """What a server answers once it is there; its script may end afterwards."""

    def healthy() -> bool:
        assert process.poll() is None
        try:
            return ask(port, "GET", "/").status == 200
        except OSError:
            return False

    try:
        await_truth(healthy, "it answers")
        return send(port, request)
    finally:
        gate.touch()
        process.terminate()
        process.wait(PATIENCE)


def _both(reference_python: Path, folder: Path, setup: Setup, *arguments: str) -> tuple[object, object]:
    """Outcomes of the reference and of ours."""
    code = setup.write(folder / "code")
    root = {"AML_APP_ROOT": str(code), **setup.environment}
    named = Setup(setup.source, root, setup.files, setup.script)
    reference = start_reference(reference_python, code, named, *arguments)
    with ThreadPoolExecutor(2) as pool:
        theirs = pool.submit(_outcome, reference.process, reference.port)
        ours = pool.submit(_outcome, *_ours(code, root))
        return theirs.result(), ours.result()


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN.keys())
def test_a_script_that_cannot_start_ends_both_with_3(reference_python: Path, tmp_path: Path, source: str) -> None:
    setup = Setup(source, {"AZUREML_ENTRY_SCRIPT": "score.py"})
    assert _both(reference_python, tmp_path, setup) == (3, 3)


@pytest.mark.parametrize(("files", "environment"), FOUND.values(), ids=FOUND.keys())
def test_a_script_is_found_where_azure_ml_finds_it(
    reference_python: Path, tmp_path: Path, files: dict[str, str], environment: dict[str, str]
) -> None:
    beside = "NAME = 'beside'\n"
    setup = Setup(beside, environment, files, "beside.py")
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    theirs, ours = _both(reference_python, tmp_path, setup, "--config_file", str(tmp_path / "empty.json"))
    assert ours == theirs
    assert theirs in (3, ["beside", "code"], ["deep", "code"])


def test_the_time_limit_of_the_variables_is_azure_mls(reference_python: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"def run(data):\n    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    setup = Setup(
        "import os, time\n" + INIT + waits,
        {"AZUREML_ENTRY_SCRIPT": "score.py", "AML_APP_ROOT": str(tmp_path / "code"), "SCORING_TIMEOUT_MS": "300"},
    )
    code = setup.write(tmp_path / "code")
    late = Request("late", "late", body=b"x")
    reference = start_reference(reference_python, code, setup)
    theirs = _served(reference.process, reference.port, late, gate)
    gate.unlink()
    ours = _served(*_ours(code, setup.environment), late, gate)
    assert (theirs["status"], theirs["header x-ms-run-function-failed"]) == (500, "True")
    assert compare(theirs, ours) == {}
