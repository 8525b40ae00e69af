"""What environments install, and whether their locks were made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlops.loader import load, read
from mlops.loader.locks import lock_input
from mlops.lockfile import LockInput, lock_header, server_requirements
from mlops.resolve import survey

Write = Callable[[Mapping[str, str | bytes | None]], Path]

YAML, LOCK = "environments/onnx/1.yaml", "environments/onnx/1.lock"
HASH = f"--hash=sha256:{'0' * 64}"
LOCKED = f"numpy==2.0 \\\n    {HASH} \\\n    {HASH}\n"


def lock(*requirements: str, python: str | None = None, platforms: tuple[str, ...] = ()) -> str:
    return lock_header("onnx:1", LockInput(requirements, python, platforms, server_requirements())) + LOCKED


@pytest.mark.parametrize(
    "edit",
    [
        "--index-url https://packages.example\n",
        "-r other.txt\n",
        "evil==1.0\n",
        f"evil {HASH}x\n",
        "evil==1.0 --hash=md5:00\n",
        f"./evil.whl {HASH}\n",
    ],
)
def test_a_lock_that_was_edited_is_refused(write: Write, edit: str) -> None:
    repository = load(write({YAML: "requirements: [numpy]\n", LOCK: lock("numpy") + edit}))
    (problem,) = repository.packages["onnx:1"].problems
    assert problem.summary == "Lock was edited"
    assert problem.detail.startswith(f"{LOCK}:7: ")
    assert problem.command == "mlops environment lock onnx:1"


@pytest.mark.parametrize(
    "line", [f"a @ https://packages.example/a.whl {HASH}", f"a[b]==1.0 ; python_version < '3.12' {HASH}", "# a comment"]
)
def test_every_line_that_uv_writes_belongs_to_a_lock(write: Write, line: str) -> None:
    repository = load(write({YAML: "requirements: [numpy]\n", LOCK: f"{lock('numpy')}{line}\n"}))
    assert repository.packages["onnx:1"].problems == ()


@pytest.mark.parametrize(
    ("files", "requirements"),
    [
        ({YAML: "requirements: [NumPy >= 1.0, 'numpy>=1.0']\n", LOCK: lock("numpy>=1.0")}, ("numpy>=1.0",)),
        ({YAML: "requirements: r.txt\n", "environments/onnx/r.txt": "# c\nnumpy\n", LOCK: lock("numpy")}, ("numpy",)),
        (
            {YAML: "conda_file: {dependencies: [python=3.12, {pip: [numpy]}]}\n", LOCK: lock("numpy", python="3.12")},
            ("numpy",),
        ),
        (
            {
                YAML: "conda_file: c.yaml\n",
                "environments/onnx/c.yaml": "dependencies: [{pip: [numpy]}]\n",
                LOCK: lock("numpy"),
            },
            ("numpy",),
        ),
        (
            {
                YAML: "requirements: [numpy]\npython: '3.12'\nplatforms: [linux-x86_64]\n",
                LOCK: lock("numpy", python="3.12", platforms=("linux-x86_64",)),
            },
            ("numpy",),
        ),
    ],
)
def test_requirements_in_each_form(write: Write, files: Mapping[str, str], requirements: tuple[str, ...]) -> None:
    root = write(files)
    cold = load(root)
    assert cold.packages["onnx:1"].requirements == requirements
    assert survey(cold, {})[1] == () or all(p.summary == "Unknown compute type" for p in survey(cold, {})[1])
    assert load(root).packages == cold.packages
    assert lock_input(root, cold.environments["onnx:1"]).requirements == requirements


@pytest.mark.parametrize(
    ("files", "where", "summary"),
    [
        ({LOCK: None}, YAML, "Environment has no lock"),
        ({YAML: "requirements: [numpy, scipy]\n"}, YAML, "Lock is out of date"),
        ({YAML: "requirements: [numpy]\npython: '3.12'\n"}, YAML, "Lock is out of date"),
        ({LOCK: "numpy==2.0\n"}, YAML, "Lock is out of date"),
        ({LOCK: b"\xff"}, YAML, "Not plain UTF-8"),
        ({YAML: "requirements:\n  - numpy\n  - -r other.txt\n"}, f"{YAML}:3:5", "Not a requirement"),
        (
            {YAML: "requirements: r.txt\n", "environments/onnx/r.txt": "numpy\n-e .\n"},
            "environments/onnx/r.txt:2",
            "Not a requirement",
        ),
        (
            {YAML: "requirements: r.txt\n", "environments/onnx/r.txt": "-r r.txt\n"},
            "environments/onnx/r.txt:1",
            "Not a requirement",
        ),
        ({YAML: "requirements: r.txt\n"}, f"{YAML}:1:15", "File not found"),
        ({YAML: "requirements: ../../../r.txt\n"}, f"{YAML}:1:15", "Path leaves the repository"),
        (
            {YAML: "conda_file: c.yaml\n", "environments/onnx/c.yaml": "a: [\n"},
            "environments/onnx/c.yaml:2:1",
            "Not YAML",
        ),
        (
            {YAML: "conda_file: c.yaml\n", "environments/onnx/c.yaml": "- numpy\n"},
            "environments/onnx/c.yaml",
            "Not a Conda environment file",
        ),
        ({YAML: "conda_file: .\n"}, f"{YAML}:1:13", "Invalid value"),
    ],
)
def test_what_cannot_be_installed(
    write: Write, files: Mapping[str, str | bytes | None], where: str, summary: str
) -> None:
    loaded = read(write(files))
    found = [*loaded.problems, *(p for p in survey(loaded.repository, {})[1] if p.summary != "Unknown compute type")]
    assert [(str(problem.where), problem.summary) for problem in found] == [(where, summary)]
    assert found[0].todo or found[0].command


def test_an_image_needs_no_lock(write: Write) -> None:
    repository = load(write({YAML: "image: python:3.12\n", LOCK: None}))
    assert repository.packages["onnx:1"].problems == ()
