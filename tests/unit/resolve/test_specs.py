"""From a repository to what is wanted: specs as drivers and the ledger see them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

import pytest
from pydantic import BaseModel

from mlops.archive import digest_directory
from mlops.errors import Location
from mlops.lockfile import LockInput, lock_header, server_requirements
from mlops.resolve import ComputeType, Repository, Resolved, combined_digest, resolve
from mlops.resource import Address, Artifact, Checks, Kind, Resource, Rollout

Declare = Callable[[Mapping[str, str | bytes | None]], Repository]

MEMORY = ComputeType(lambda: BaseModel)
TYPES = {"memory": MEMORY}
DEV, BASE, PROD = "endpoints/fraud/dev.yaml", "endpoints/fraud/endpoint.yaml", "endpoints/fraud/prod.yaml"
SEVERAL = combined_digest({"a": "a" * 64, "b/c": "b" * 64})
MODEL, ENVIRONMENT = Address(Kind.MODEL, "fraud:1"), Address(Kind.ENVIRONMENT, "onnx:1")


def sha(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def project(stages: str) -> str:
    return f"project: demo\ncomputes: {{laptop: {{type: memory}}, tower: {{type: memory}}}}\nstages: {{{stages}}}\n"


def with_sample(expected: str) -> str:
    sample = f"sample_request: {{request: s, expected: {expected}}}"
    return f"compute: laptop\ndeployments: {{blue: {{model: fraud:1}}}}\n{sample}\n"


def dev(repository: Repository) -> Resolved:
    return resolve(repository, "dev", TYPES)


def endpoint(repository: Repository) -> Resource:
    (resource,) = dev(repository).resources
    json.dumps(resource.spec)
    return resource


def shared(repository: Repository, address: Address) -> Resource:
    return next(resource for resource in dev(repository).shared if resource.address == address)


def test_an_endpoint_holds_the_content_of_what_it_names(declare: Declare) -> None:
    repository = declare({})
    lock = (repository.root / "environments/onnx/1.lock").read_bytes()
    resource = endpoint(repository)
    assert resource == Resource(
        address=Address(Kind.ENDPOINT, "fraud@laptop"),
        driver="laptop",
        spec={
            "deployments": {
                "blue": {
                    "model": {
                        "name": "fraud",
                        "version": "1",
                        "files": {"1.onnx": sha(b"weights")},
                        "flavors": {"onnx": {}},
                    },
                    "environment": {"name": "onnx", "version": "1", "lock": sha(lock)},
                }
            },
            "traffic": {"blue": 100},
        },
        after=frozenset({MODEL, ENVIRONMENT}),
        artifacts=(Artifact(sha(lock), "environments/onnx/1.lock", len(lock)),),
        origin=Location(DEV),
    )


def test_versions_belong_to_shared_and_to_the_registry(declare: Declare) -> None:
    repository = declare({"models/other/1.yaml": f"uri: file:///data/other.onnx\nsha256: {'a' * 64}\n"})
    resolved = dev(repository)
    assert [str(r.address) for r in resolved.shared] == ["model/fraud:1", "model/other:1", "environment/onnx:1"]
    assert {r.driver for r in resolved.shared} == {"registry"}
    assert resolved.shared == resolve(repository, "prod", TYPES).shared


def test_a_model_of_one_file(declare: Declare) -> None:
    text = (
        f"path: 1.onnx\nsha256: {sha(b'weights')}\ntype: custom_model\ndescription: d\ntags: {{a: b}}\n"
        "properties: {c: d}\nmetrics: {accuracy: 1}\ntrained_by: {commit: 0123abc}\nflavors: {onnx: {}}\n"
    )
    resource = shared(declare({"models/fraud/1.yaml": text}), MODEL)
    assert resource.spec == {
        "type": "custom_model",
        "flavors": {"onnx": {}},
        "description": "d",
        "tags": {"a": "b"},
        "properties": {"c": "d"},
        "metrics": {"accuracy": 1},
        "trained_by": {"commit": "0123abc"},
        "files": {"1.onnx": sha(b"weights")},
        "sha256": sha(b"weights"),
    }
    assert resource.artifacts == (Artifact(sha(b"weights"), "models/fraud/1.onnx", 7),)
    assert resource.origin == Location("models/fraud/1.yaml")


def test_a_model_of_several_files_has_the_digest_of_their_sha256sum_lines(declare: Declare) -> None:
    files = {"b.bin": sha(b"1"), "inner/a.bin": sha(b"2")}
    lines = sorted(f"{digest}  {name}\n" for name, digest in files.items())
    assert combined_digest(files) == sha("".join(lines))
    repository = declare(
        {
            "models/fraud/1.yaml": f"path: ./1\nsha256: {combined_digest(files)}\ntype: mlflow_model\n",
            "models/fraud/1/b.bin": b"1",
            "models/fraud/1/inner/a.bin": b"2",
        }
    )
    resource = shared(repository, MODEL)
    assert resource.spec["files"] == files
    assert [artifact.source for artifact in resource.artifacts] == [
        "models/fraud/1/b.bin",
        "models/fraud/1/inner/a.bin",
    ]


@pytest.mark.parametrize(
    ("text", "files", "sources"),
    [
        (
            f"uri: file:///data/my%20model.onnx\nsha256: {'a' * 64}\n",
            {"my model.onnx": "a" * 64},
            ["file:///data/my%20model.onnx"],
        ),
        (f"files: {{m.onnx: {'a' * 64}}}\nsha256: {'a' * 64}\n", {"m.onnx": "a" * 64}, []),
        (
            f"uri: file:///data/m\nfiles: {{a: {'a' * 64}, b/c: {'b' * 64}}}\nsha256: {SEVERAL}\n",
            {"a": "a" * 64, "b/c": "b" * 64},
            ["file:///data/m/a", "file:///data/m/b/c"],
        ),
    ],
)
def test_content_outside_of_the_repository(
    declare: Declare, text: str, files: Mapping[str, str], sources: list[str]
) -> None:
    resource = shared(declare({"models/fraud/1.yaml": f"{text}flavors: {{onnx: {{}}}}\n"}), MODEL)
    assert resource.spec["files"] == files
    assert [artifact.source for artifact in resource.artifacts] == sources


def test_an_environment(declare: Declare) -> None:
    text = (
        "image: python:3.12\npython: '3.12'\nplatforms: [linux-x86_64]\nenvironment_variables: {A: b}\ntags: {a: b}\n"
    )
    repository = declare({"environments/onnx/1.yaml": text, "environments/onnx/1.lock": None})
    assert shared(repository, ENVIRONMENT).spec == {
        "image": "python:3.12",
        "python": "3.12",
        "platforms": ["linux-x86_64"],
        "environment_variables": {"A": "b"},
        "tags": {"a": "b"},
    }
    deployments = endpoint(repository).spec["deployments"]
    assert isinstance(deployments, dict)
    assert deployments["blue"]["environment"] == {
        "name": "onnx",
        "version": "1",
        "python": "3.12",
        "image": "python:3.12",
        "variables": {"A": "b"},
    }


def test_the_lock_and_the_requirements_are_content_of_an_environment(declare: Declare) -> None:
    repository = declare({})
    resource = shared(repository, ENVIRONMENT)
    lock = (repository.root / "environments/onnx/1.lock").read_bytes()
    assert resource.spec == {"lock": sha(lock), "requirements": ["numpy"]}
    assert [artifact.source for artifact in resource.artifacts] == ["environments/onnx/1.lock"]


def test_code_and_sample_request_are_content(declare: Declare) -> None:
    base = (
        "auth_mode: none\ndescription: d\ntags: {a: b}\nproperties: {c: d}\n"
        "deployments:\n  blue:\n    environment: onnx:1\n    instance_count: 2\n"
        "    code_configuration: {code: ./src/, scoring_script: score.py}\n"
        "    request_settings: {request_timeout_ms: 100}\n    liveness_probe: {period: 1}\n"
        "sample_request: {request: sample.json, expected: answer.json, tolerance: 0.1}\n"
    )
    repository = declare(
        {
            BASE: base,
            "endpoints/fraud/src/score.py": "def init(): ...\n",
            "endpoints/fraud/sample.json": "[1]",
            "endpoints/fraud/answer.json": '{"a": [1, 2.5]}',
        }
    )
    resource = endpoint(repository)
    code = digest_directory(repository.root / "endpoints/fraud/src")
    assert resource.spec["sample_request"] == {"tolerance": 0.1, "request": sha("[1]"), "expected": {"a": [1, 2.5]}}
    deployments = resource.spec["deployments"]
    assert isinstance(deployments, dict)
    blue = deployments["blue"]
    assert blue["code"] == {"sha256": code, "scoring_script": "score.py"}
    assert (blue["instance_count"], blue["request_settings"], blue["liveness_probe"]) == (
        2,
        {"request_timeout_ms": 100},
        {"period": 1},
    )
    assert {key: resource.spec[key] for key in ("auth_mode", "description", "tags", "properties")} == {
        "auth_mode": "none",
        "description": "d",
        "tags": {"a": "b"},
        "properties": {"c": "d"},
    }
    assert {(artifact.source, artifact.sha256) for artifact in resource.artifacts[1:]} == {
        ("endpoints/fraud/src/", code),
        ("endpoints/fraud/sample.json", sha("[1]")),
    }


@pytest.mark.parametrize(("text", "value"), [("[1, 2]", [1, 2]), ("{a: x}", {"a": "x"}), ("3", 3), ("true", True)])
def test_an_expected_answer_may_stand_in_the_document(declare: Declare, text: str, value: object) -> None:
    sample = endpoint(declare({DEV: with_sample(text), "endpoints/fraud/s": "x"})).spec["sample_request"]
    assert sample == {"request": sha("x"), "expected": value}


def test_rollout_and_timeout_are_no_part_of_the_spec_and_protection_is(declare: Declare) -> None:
    stage = (
        "compute: laptop\ndeployments: {blue: {model: fraud:1}}\ntimeout: 2m\nprotect: true\n"
        "rollout: {strategy: canary, weights: [10, 50], soak: 30s, "
        "checks: {max_error_rate: 1%, min_requests: 20, deadline: 1m}}\n"
    )
    plain, rich = endpoint(declare({})), endpoint(declare({DEV: stage}))
    assert rich.spec == {**plain.spec, "protect": True}  # what is live has to say so once its declaration is gone
    assert (plain.timeout, plain.protect, plain.rollout) == (None, False, Rollout())
    assert (rich.timeout, rich.protect) == (120, True)
    assert rich.rollout == Rollout("canary", (10, 50), 30, Checks(True, 0.01, 20, 60))


def test_a_stage_protects_its_endpoints_unless_they_say_otherwise(declare: Declare) -> None:
    text = project("dev: {protect: true}, prod: {}")
    assert endpoint(declare({"mlops.yaml": text})).protect
    stage = "compute: laptop\ndeployments: {blue: {model: fraud:1}}\nprotect: false\n"
    assert not endpoint(declare({"mlops.yaml": text, DEV: stage})).protect


def test_an_undeclared_version_is_waited_for(declare: Declare) -> None:
    stage = "compute: laptop\ndeployments: {blue: {model: fraud:5, environment: onnx:9}}\n"
    resource = endpoint(declare({DEV: stage}))
    assert resource.waits == ("environment/onnx:9", "model/fraud:5")
    assert resource.after == frozenset()
    assert resource.spec["deployments"] == {
        "blue": {"model": {"name": "fraud", "version": "5"}, "environment": {"name": "onnx", "version": "9"}}
    }


def test_defaults_are_never_filled_in(declare: Declare) -> None:
    """Or an upgrade of the toolkit would look like an edit everywhere."""
    assert endpoint(declare({})).spec.keys() == {"deployments", "traffic"}


def test_the_only_deployment_gets_all_traffic_and_so_it_is_the_same_written_out(declare: Declare) -> None:
    stage = "compute: laptop\ndeployments: {blue: {model: fraud:1}}\ntraffic: {blue: 100}\n"
    written = endpoint(declare({DEV: stage}))
    assert written.spec["traffic"] == {"blue": 100}
    assert endpoint(declare({})).goal == written.goal


def test_pickles_come_with_the_policy_that_allows_them(declare: Declare) -> None:
    text = (
        project("dev: {}, prod: {}") + "models: {formats: {joblib: {classes: [b.C, a.B]}, pickle: {classes: [z.Z]}}}\n"
    )
    model = f"path: 1.joblib\nsha256: {sha(b'weights')}\nflavors: {{sklearn: {{}}}}\n"
    repository = declare({"mlops.yaml": text, "models/fraud/1.yaml": model, "models/fraud/1.joblib": b"weights"})
    deployments = endpoint(repository).spec["deployments"]
    assert isinstance(deployments, dict)
    assert deployments["blue"]["pickles"] == {"formats": ["joblib"], "classes": ["a.B", "b.C"]}
    assert "pickles" not in shared(repository, MODEL).spec


def test_skops_needs_no_policy(declare: Declare) -> None:
    model = f"path: 1.skops\nsha256: {sha(b'weights')}\nflavors: {{sklearn: {{}}}}\n"
    resource = endpoint(declare({"models/fraud/1.yaml": model, "models/fraud/1.skops": b"weights"}))
    assert "pickles" not in json.dumps(resource.spec)


def test_the_same_declaration_gives_the_same_goal_wherever_it_is_written(declare: Declare) -> None:
    moved = declare(
        {
            BASE: "compute: laptop\ndeployments: {blue: {model: fraud:1, environment: onnx:1}}\n",
            DEV: "{}\n",
        }
    )
    here = endpoint(moved).goal
    assert endpoint(declare({})).goal == here


_MONITORING = ("azure-monitor-opentelemetry-exporter>=1.0.0b40", "numpy")
MONITORED = {
    "environments/onnx/1.yaml": f"requirements: {json.dumps(_MONITORING)}\n",
    "environments/onnx/1.lock": lock_header("onnx:1", LockInput(_MONITORING, None, (), server_requirements())),
}
"""The small repository with an environment that can send to Azure Monitor."""


def test_what_says_how_an_endpoint_is_reached_and_watched_is_as_written(declare: Declare) -> None:
    """Telemetry is the endpoint's and in no deployment, so that another collector is no other version of a model."""
    stage = (
        "compute: laptop\nauth_mode: key\ntls: {certificate: /tls/c.pem, key: ~/k.pem}\n"
        "telemetry: {otlp_endpoint: 'http://127.0.0.1:4318', sampling_ratio: 10%, access_log: 1%}\n"
        "deployments:\n  blue:\n    model: fraud:1\n    app_insights_enabled: true\n"
        "    data_collector: {collections: {model_inputs: {enabled: 'True', deny: [ssn]}}}\n"
    )
    plain, rich = endpoint(declare(MONITORED)).spec, endpoint(declare({**MONITORED, DEV: stage})).spec
    assert isinstance(plain["deployments"], dict)
    assert rich == {
        **plain,
        "auth_mode": "key",
        "tls": {"certificate": "/tls/c.pem", "key": "~/k.pem"},
        "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318", "sampling_ratio": 0.1, "access_log": 0.01},
        "deployments": {
            "blue": {
                **plain["deployments"]["blue"],
                "app_insights_enabled": True,
                "data_collector": {"collections": {"model_inputs": {"enabled": True, "deny": ["ssn"]}}},
            }
        },
    }
