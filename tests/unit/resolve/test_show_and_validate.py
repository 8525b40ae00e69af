"""The verbs `show` and `validate` on real repositories with real Git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlops.errors import InvalidRepository, MlopsError, NotFound
from mlops.loader import load, read
from mlops.lockfile import LockInput, lock_header, server_requirements
from mlops.pipeline.show import show
from mlops.pipeline.validate import validate
from mlops.pipeline.workspace import ComputeTypes
from mlops.resolve import Repository, survey
from mlops.resource import Address, Kind

Declare = Callable[[Mapping[str, str | bytes | None]], Repository]
MakeRepository = Callable[[Mapping[str, str | bytes]], Path]

DEV, BASE = "endpoints/fraud/dev.yaml", "endpoints/fraud/endpoint.yaml"


def test_every_value_with_its_line(declare: Declare) -> None:
    base = "$schema: x\ndescription: shared\ndeployments:\n  blue:\n    environment: onnx:1\n    instance_count: 1\n"
    stage = (
        "compute: laptop\ndescription: null\ndeployments:\n  blue: {model: fraud:1, instance_count: 2}\ntimeout: 2m\n"
    )
    shown = show(declare({BASE: base, DEV: stage}), "fraud", "dev")
    assert (shown.address, shown.stage, shown.files) == (Address(Kind.ENDPOINT, "fraud@laptop"), "dev", (DEV, BASE))
    assert [(value.path, value.value, str(value.where)) for value in shown.values] == [
        ("deployments.blue.environment", "onnx:1", f"{BASE}:5:18"),
        ("deployments.blue.instance_count", 2, f"{DEV}:4:42"),
        ("deployments.blue.model", "fraud:1", f"{DEV}:4:17"),
        ("compute", "laptop", f"{DEV}:1:10"),
        ("timeout", "2m", f"{DEV}:5:10"),
    ]
    assert json.dumps(shown.to_json())


@pytest.mark.parametrize(
    ("name", "stage", "found", "file"),
    [
        ("fraud@laptop", None, "endpoint/fraud@laptop", DEV),
        ("endpoint/fraud@tower", "prod", "endpoint/fraud@tower", "endpoints/fraud/prod.yaml"),
        ("endpoint/fraud", "dev", "endpoint/fraud@laptop", DEV),
        ("model/fraud:1", None, "model/fraud:1", "models/fraud/1.yaml"),
        ("environment/onnx:1", "dev", "environment/onnx:1", "environments/onnx/1.yaml"),
    ],
)
def test_objects_are_named_as_users_name_them(
    declare: Declare, name: str, stage: str | None, found: str, file: str
) -> None:
    shown = show(declare({}), name, stage)
    assert (str(shown.address), shown.files[0]) == (found, file)
    assert shown.values


@pytest.mark.parametrize(
    ("name", "stage", "words"),
    [
        ("fruad", "dev", 'Did you mean "fraud"?'),
        ("fraud", "prd", 'Did you mean "prod"?'),
        ("fraud", None, "dev, prod"),
        ("fraud@laptpo", "dev", "fraud is on laptop"),
        ("fraud@nowhere", None, "dev, prod"),
        ("model/fraud:2", None, 'Did you mean "fraud:1"?'),
        ("modle/fraud", None, "Not an address"),
    ],
)
def test_what_is_not_declared(declare: Declare, name: str, stage: str | None, words: str) -> None:
    with pytest.raises(MlopsError) as error:
        show(declare({}), name, stage)
    assert words in str(error.value)


def test_a_file_that_broke_since_it_was_loaded(declare: Declare) -> None:
    repository = declare({})
    (repository.root / DEV).write_text("a: [", encoding="utf-8")
    with pytest.raises(InvalidRepository, match="Not YAML"):
        show(repository, "fraud", "dev")


def test_an_endpoint_of_one_stage_needs_no_stage(declare: Declare) -> None:
    assert show(declare({"endpoints/fraud/prod.yaml": None}), "fraud").stage == "dev"


FILES: Mapping[str, str] = {
    ".gitignore": ".mlops/\n",
    "mlops.yaml": "project: demo\ncomputes: {laptop: {type: local}}\nstages: {dev: {}, prod: {}}\n",
    "models/fraud/1.yaml": f"files: {{m.onnx: {'a' * 64}}}\nsha256: {'a' * 64}\nflavors: {{onnx: {{}}}}\n",
    "environments/base/1.yaml": "requirements: [numpy]\n",
    "environments/base/1.lock": lock_header("base:1", LockInput(("numpy",), None, (), server_requirements())),
}


def test_a_repository_without_problems(make_repository: MakeRepository) -> None:
    root = make_repository(FILES)
    found = validate(root / "models")
    assert (found.root, found.problems, found.stages) == (root, (), ("dev", "prod"))
    assert (found.models, found.environments, found.endpoints) == (1, 1, 0)


def test_the_problems_of_files_and_of_all_stages_come_together(make_repository: MakeRepository) -> None:
    deployments = "deployments: {blue: {model: fraud:1, environment: base:1}}\n"
    scaling = "{type: target_utilization}"
    root = make_repository(
        {
            **FILES,
            "models/fraud/2.yaml": "sha256: x\n",
            "endpoints/fraud/endpoint.yaml": deployments,
            "endpoints/fraud/dev.yaml": "compute: lapotp\n",
            "endpoints/fraud/prod.yaml": f"compute: laptop\ndeployments: {{blue: {{scale_settings: {scaling}}}}}\n",
        }
    )
    found = validate(root)
    assert [(str(p.where), p.summary) for p in found.problems] == [
        ("endpoints/fraud/dev.yaml:1:10", "Unknown compute"),
        ("endpoints/fraud/prod.yaml:2:39", "Not enforced by the compute"),
        ("models/fraud/2.yaml:1:9", "Invalid value"),
    ]
    assert validate(root, cache=False).problems == validate(root).problems == found.problems


def test_what_names_a_broken_version_is_not_blamed_for_it(make_repository: MakeRepository) -> None:
    root = make_repository(
        {
            **FILES,
            "models/fraud/1.yaml": "sha256: x\n",
            "endpoints/fraud/endpoint.yaml": "deployments: {blue: {model: fraud:1, environment: base:1}}\n",
            "endpoints/fraud/dev.yaml": "compute: laptop\n",
        }
    )
    assert {str(p.where).split(":")[0] for p in validate(root).problems} == {"models/fraud/1.yaml"}
    resolved, _ = survey(read(root).repository, ComputeTypes())
    assert [resource.waits for resource in resolved["dev"].resources] == [()]


def test_tracked_files_under_mlops_are_refused_before_anything_is_read(make_repository: MakeRepository) -> None:
    root = make_repository({**FILES, ".mlops/cache/loader.sqlite": b"poison"})
    subprocess.run(["git", "add", "-f", ".mlops"], cwd=root, check=True)
    with pytest.raises(InvalidRepository, match=r"Files under \.mlops/ are tracked"):
        validate(root)
    assert (root / ".mlops/cache/loader.sqlite").read_bytes() == b"poison"


def test_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(InvalidRepository, match=r"No mlops\.yaml"):
        validate(tmp_path)


def test_this_repository_is_valid() -> None:
    root = Path(__file__).parents[3]
    assert validate(root, cache=False).problems == ()
    repository = load(root, cache=False)
    shown = show(repository, "digits", "dev")
    assert all(value.where.line for value in shown.values)


def test_a_stage_must_be_named_where_there_are_several(declare: Declare) -> None:
    with pytest.raises(NotFound, match="Which stage"):
        show(declare({}), "fraud")
