"""From files to a repository: what is declared, and every bad input with its place."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from mlops.errors import Diagnostic, InvalidRepository, Location
from mlops.loader import load, read
from mlops.resolve import ComputeType
from mlops.schemas.problems import dotted

Write = Callable[[Mapping[str, str | bytes | None]], Path]

STAGE = "compute: laptop\ndeployments:\n  blue: {model: fraud:1}\n"


class Options(BaseModel):
    """Options of a compute of this test."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ports: str = "1-2"


TYPES = {"memory": ComputeType(lambda: Options)}


def problems(root: Path) -> tuple[Diagnostic, ...]:
    return read(root, compute_types=TYPES).problems


def the_problem(root: Path) -> Diagnostic:
    found = problems(root)
    assert len(found) == 1, found
    return found[0]


def test_a_valid_repository(write: Write) -> None:
    root = write({})
    repository = load(root, compute_types=TYPES)
    assert repository.project_id == "demo"
    assert list(repository.stages) == ["dev", "prod"]
    assert repository.computes["laptop"] == {"type": "memory"}
    assert repository.registry == {"type": "embedded"}
    assert repository.ledger == {}
    assert repository.formats == {}
    assert list(repository.models) == ["fraud:1"]
    assert list(repository.environments) == ["onnx:1"]
    endpoint = repository.endpoints["fraud"]
    assert list(endpoint.stages) == ["dev", "prod"]
    assert endpoint.stages["dev"].file == "endpoints/fraud/dev.yaml"
    assert endpoint.stages["dev"].data == {
        "deployments": {"blue": {"environment": "onnx:1", "model": "fraud:1"}},
        "compute": "laptop",
    }


def test_only_mlops_yaml_is_needed(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("project: demo\nstages: {dev: {}}\n", encoding="utf-8")
    repository = load(tmp_path)
    assert (repository.models, repository.environments, repository.endpoints) == ({}, {}, {})


def test_no_mlops_yaml(tmp_path: Path) -> None:
    assert the_problem(tmp_path).summary == "No mlops.yaml"


def project(laptop: str) -> str:
    """An mlops.yaml with these options of a compute."""
    computes = f"  laptop: {{{laptop}}}\n  tower: {{type: memory}}\n"
    return f"project: demo\ncomputes:\n{computes}stages: {{dev: {{}}, prod: {{}}}}\n"


BAD_DOCUMENTS: Mapping[str, tuple[Mapping[str, str | bytes | None], str, str]] = {
    "not UTF-8": ({"models/fraud/1.yaml": b"description: caf\xe9\n"}, "models/fraud/1.yaml:1:17", "Not plain UTF-8"),
    "UTF-16": ({"models/fraud/1.yaml": "a: b\n".encode("utf-16")}, "models/fraud/1.yaml:1:1", "Not plain UTF-8"),
    "byte order mark": ({"mlops.yaml": b"\xef\xbb\xbfproject: demo\n"}, "mlops.yaml:1:1", "Not plain UTF-8"),
    "NUL": ({"models/fraud/1.yaml": b"a: b\x00\n"}, "models/fraud/1.yaml:1:5", "Control character"),
    "tab": ({"endpoints/fraud/dev.yaml": "compute: laptop\n\tb: 1\n"}, "endpoints/fraud/dev.yaml:2:1", "Tab"),
    "duplicate key": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}compute: tower\n"},
        "endpoints/fraud/dev.yaml:4:1",
        "Duplicate key",
    ),
    "empty file": ({"endpoints/fraud/dev.yaml": ""}, "endpoints/fraud/dev.yaml:1:1", "Empty file"),
    "two documents": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}---\na: 1\n"},
        "endpoints/fraud/dev.yaml:4:1",
        "Several documents in one file",
    ),
    "tag": ({"endpoints/fraud/dev.yaml": "compute: !!str laptop\n"}, "endpoints/fraud/dev.yaml:1:10", "YAML tag"),
    "deep": ({"endpoints/fraud/dev.yaml": "a: " + "[" * 5000}, "endpoints/fraud/dev.yaml:1:67", "Nested too deeply"),
    "large": ({"models/fraud/1.yaml": b"# " + b"x" * (50 << 20)}, "models/fraud/1.yaml", "File is too large"),
    "LFS pointer as document": (
        {"models/fraud/1.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"},
        "models/fraud/1.yaml",
        "Git LFS pointer",
    ),
    "a list": ({"endpoints/fraud/dev.yaml": "- a\n"}, "endpoints/fraud/dev.yaml", "Wrong type"),
    "unknown key in the stage file": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}computr: x\n"},
        "endpoints/fraud/dev.yaml:4:1",
        "Unknown key",
    ),
    "unknown key in endpoint.yaml": (
        {"endpoints/fraud/endpoint.yaml": "typ: online\ndeployments:\n  blue: {environment: onnx:1}\n"},
        "endpoints/fraud/endpoint.yaml:1:1",
        "Unknown key",
    ),
    "wrong type in a list": (
        {"environments/onnx/1.yaml": "requirements:\n  - numpy\n  - 3\n"},
        "environments/onnx/1.yaml:3:5",
        "Wrong type",
    ),
    "missing in the merge": (
        {"endpoints/fraud/dev.yaml": "compute: laptop\ndeployments:\n  blue: {instance_count: 1}\n"},
        "endpoints/fraud/dev.yaml:3:3",
        "Missing key",
    ),
    "traffic": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}traffic: {{blue: 90}}\n"},
        "endpoints/fraud/dev.yaml:4:10",
        "Traffic adds up to neither 0 nor 100",
    ),
    "traffic to nobody": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}traffic: {{bleu: 100}}\n"},
        "endpoints/fraud/dev.yaml:4:17",
        "Unknown deployment",
    ),
    "null that removes nothing": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}descriptoin: null\n"},
        "endpoints/fraud/dev.yaml:4:1",
        "Stage file removes what is not there",
    ),
    "null in endpoint.yaml": (
        {"endpoints/fraud/endpoint.yaml": "description:\ndeployments:\n  blue: {environment: onnx:1}\n"},
        "endpoints/fraud/endpoint.yaml:1:13",
        "Empty value",
    ),
    "stage not declared": (
        {"endpoints/fraud/prd.yaml": "compute: tower\ndeployments:\n  blue: {model: fraud:1}\n"},
        "endpoints/fraud/prd.yaml",
        "Stage is not declared",
    ),
    "name disagrees": (
        {"models/fraud/1.yaml": f"name: fruad\npath: 1.onnx\nsha256: {'a' * 64}\n"},
        "models/fraud/1.yaml:1:7",
        "File name and content disagree",
    ),
    "version disagrees": (
        {"environments/onnx/1.yaml": "version: 2\nrequirements: [numpy]\n"},
        "environments/onnx/1.yaml:1:10",
        "File name and content disagree",
    ),
    "endpoint's name disagrees": (
        {"endpoints/fraud/dev.yaml": f"{STAGE}name: fraud-dev\n"},
        "endpoints/fraud/dev.yaml:4:7",
        "File name and content disagree",
    ),
    "no endpoint.yaml": (
        {"endpoints/fraud/endpoint.yaml": None, "endpoints/fraud/prod.yaml": None},
        "endpoints/fraud/dev.yaml",
        "Stage file without endpoint.yaml",
    ),
    "names differ in case": (
        {"models/Fraud/1.yaml": f"uri: file:///x\nsha256: {'a' * 64}\n"},
        "models/fraud",
        "Names differ only in case",
    ),
    "versions differ in case": (
        {
            "models/fraud/a.yaml": f"uri: file:///x\nsha256: {'a' * 64}\n",
            "models/fraud/A.yaml": f"uri: file:///x\nsha256: {'a' * 64}\n",
        },
        "models/fraud/a.yaml",
        "Names differ only in case",
    ),
    "invalid name of a folder": ({"endpoints/a_b/endpoint.yaml": "type: online\n"}, "endpoints/a_b", "Invalid name"),
    "invalid version": ({"models/fraud/nul.yaml": "sha256: x\n"}, "models/fraud/nul.yaml", "Invalid name"),
    "other suffix": ({"models/fraud/2.yml": "sha256: x\n"}, "models/fraud/2.yml", "Suffix is not .yaml"),
    "wrong folder": ({"models/fraud.yaml": "sha256: x\n"}, "models/fraud.yaml", "Document in the wrong folder"),
    "unknown option of a compute": (
        {"mlops.yaml": project("type: memory, prots: 1-2")},
        "mlops.yaml:3:26",
        "Unknown key",
    ),
    "wrong option of a compute": (
        {"mlops.yaml": project("type: memory, ports: 1")},
        "mlops.yaml:3:33",
        "Wrong type",
    ),
    "unknown type of compute": (
        {"mlops.yaml": project("type: memroy")},
        "mlops.yaml:3:18",
        "Unknown compute type",
    ),
    "another toolkit": (
        {
            "mlops.yaml": "required_version: '>=99'\nfrom_the_future: true\n",
            "models/fraud/1.yaml": "from_the_future: 1\n",
        },
        "mlops.yaml:1:19",
        "Another version of the toolkit is required",
    ),
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
def test_a_bad_document_is_one_problem_at_its_place(write: Write, case: str) -> None:
    changes, where, summary = BAD_DOCUMENTS[case]
    problem = the_problem(write(changes))
    assert (str(problem.where), problem.summary) == (where, summary)
    assert problem.detail
    assert problem.todo or problem.command


def test_no_more_than_the_limit_is_read_of_a_large_file(write: Write) -> None:
    """A sparse terabyte is refused by its size, at once and without memory."""
    root = write({})
    with (root / "models/fraud/2.yaml").open("wb") as stream:
        stream.truncate(1 << 40)
    assert the_problem(root).summary == "File is too large"


@pytest.mark.parametrize("name", ["models/fraud/2.yaml", "endpoints/fraud", "models", "mlops.yaml"])
def test_links_are_not_followed(write: Write, tmp_path: Path, name: str) -> None:
    root = write({})
    target = tmp_path / "outside"
    (root / name).rename(target) if (root / name).exists() else target.write_text("sha256: x\n")
    (root / name).symlink_to(target)
    found = problems(root)
    assert ("Symbolic link", name) in {(problem.summary, str(problem.where)) for problem in found}


def test_what_is_no_file_is_not_opened(write: Write) -> None:
    """A pipe would block for ever, a socket cannot be read."""
    root = write({})
    os.mkfifo(root / "models/fraud/2.yaml")
    (root / "models/fraud/3.yaml").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(root / "models/fraud/4.yaml"))
        found = problems(root)
    assert [(problem.summary, str(problem.where)) for problem in found] == [
        ("Not a regular file", f"models/fraud/{version}.yaml") for version in (2, 3, 4)
    ]


def test_a_name_that_is_not_text_is_shown_escaped(write: Write) -> None:
    root = write({})
    (root / "models" / os.fsdecode(b"a\xff\x1b[31m")).mkdir()
    problem = the_problem(root)
    assert problem.summary == "Invalid name"
    assert str(problem.where).isascii()
    assert str(problem.where).isprintable()


def test_every_problem_of_every_file_is_reported_at_once(write: Write) -> None:
    root = write(
        {
            "mlops.yaml": "project: X\nstages: {dev: {}, prod: {}}\n",
            "models/fraud/1.yaml": "sha256: 1\npth: x\n",
            "environments/onnx/1.yaml": "pyton: x\n",
            "endpoints/fraud/endpoint.yaml": "a: &x [*x]\n",
            "endpoints/fraud/dev.yaml": "compute: [\n",
        }
    )
    found = problems(root)
    files = [problem.where.file for problem in found if problem.where]
    assert files == sorted(files)
    assert set(files) == {
        "mlops.yaml",
        "models/fraud/1.yaml",
        "environments/onnx/1.yaml",
        "endpoints/fraud/endpoint.yaml",
        "endpoints/fraud/dev.yaml",
    }
    with pytest.raises(InvalidRepository) as error:
        load(root)
    assert error.value.diagnostics == read(root).problems


def test_an_error_of_endpoint_yaml_is_reported_once_for_all_stages(write: Write) -> None:
    root = write({"endpoints/fraud/endpoint.yaml": "deployments:\n  blue: {environment: onnx}\n"})
    problem = the_problem(root)
    assert str(problem.where) == "endpoints/fraud/endpoint.yaml:2:23"


def test_a_value_that_every_stage_replaces_is_checked_all_the_same(write: Write) -> None:
    root = write({"endpoints/fraud/endpoint.yaml": "compute: 3\ndeployments:\n  blue: {environment: onnx:1}\n"})
    assert str(the_problem(root).where) == "endpoints/fraud/endpoint.yaml:1:10"


def test_null_in_a_stage_file_removes(write: Write) -> None:
    base = "description: shared\ndeployments:\n  blue: {environment: onnx:1}\n  green: {environment: onnx:1}\n"
    stage = "compute: laptop\ndescription: null\ndeployments:\n  blue: {model: fraud:1}\n  green: null\n"
    other = "compute: tower\ndeployments: {blue: {model: fraud:1}, green: {model: fraud:1}}\ntraffic: {blue: 100}\n"
    root = write(
        {
            "endpoints/fraud/endpoint.yaml": base,
            "endpoints/fraud/dev.yaml": stage,
            "endpoints/fraud/prod.yaml": other,
        }
    )
    data = load(root).endpoints["fraud"].stages["dev"].data
    assert data == {"compute": "laptop", "deployments": {"blue": {"environment": "onnx:1", "model": "fraud:1"}}}


def test_a_stage_file_may_change_nothing(write: Write) -> None:
    base = "compute: laptop\ndeployments:\n  blue: {environment: onnx:1, model: fraud:1}\n"
    root = write(
        {"endpoints/fraud/endpoint.yaml": base, "endpoints/fraud/dev.yaml": "{}\n", "endpoints/fraud/prod.yaml": None}
    )
    assert load(root).endpoints["fraud"].stages["dev"].data["compute"] == "laptop"


def test_tombstones_are_versions_with_or_without_a_reason(write: Write) -> None:
    root = write({"models/fraud/tombstones.yaml": 'versions: ["7", 8, {version: 9, reason: leak}]\n'})
    assert load(root).tombstones == {"fraud": frozenset({"7", "8", "9"})}


def test_hidden_files_and_artifacts_are_no_documents(write: Write) -> None:
    root = write(
        {
            "models/.DS_Store": b"\xff",
            "models/fraud/.1.yaml.swp": b"\xff",
            "models/fraud/1/MLmodel.yaml": b"\xff",
            "models/README.md": "",
            "endpoints/fraud/sample.json": "[",
        }
    )
    assert problems(root) == ()


def test_the_locator_finds_values_in_the_strongest_file(write: Write) -> None:
    repository = load(write({}))
    files = ("endpoints/fraud/dev.yaml", "endpoints/fraud/endpoint.yaml")
    model = ("deployments", "blue", "model")
    assert repository.locate(files, model) == Location(files[0], 3, 17)
    assert repository.locate(files, model, at_key=True) == Location(files[0], 3, 10)
    assert repository.locate(files, ("deployments", "blue", "environment")) == Location(files[1], 3, 18)
    assert repository.locate(files, ("deployments", "blue", "nothing")) == Location(files[0], 3, 3)
    assert repository.locate(files, ("nothing",)) == Location(files[0], 1, 1)
    assert repository.locate(files, ()) == Location(files[0])
    assert repository.locate(("no/such.yaml",), ("a",)) == Location("no/such.yaml")


def test_paths_are_written_for_people() -> None:
    assert dotted(("deployments", "blue", "weights", 0, "x")) == "deployments.blue.weights[0].x"
