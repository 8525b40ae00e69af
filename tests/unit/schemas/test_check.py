"""Documents against their models and rules: what is refused, where, in which words, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.resource import JSON
from mlops.schemas import endpoint, environment, model, project
from mlops.schemas.check import check_document
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.problems import DocumentPath, Problem
from mlops.schemas.unsupported import KEYS

SHA = "0" * 64
BLUE: dict[str, Any] = {"model": "fraud:4", "environment": "onnx:1"}
ENDPOINT: dict[str, Any] = {"compute": "local-dev", "deployments": {"blue": BLUE}}
MODEL: dict[str, Any] = {"path": "model.onnx", "sha256": SHA}
ENVIRONMENT: dict[str, Any] = {"requirements": ["numpy"]}
PROJECT: dict[str, Any] = {"project": "demo", "stages": {"dev": {}}}
TOMBSTONES: dict[str, Any] = {"versions": ["3"]}

MINIMAL = {
    DocumentKind.PROJECT: PROJECT,
    DocumentKind.MODEL: MODEL,
    DocumentKind.TOMBSTONES: TOMBSTONES,
    DocumentKind.ENVIRONMENT: ENVIRONMENT,
    DocumentKind.ENDPOINT: ENDPOINT,
}


def problems(kind: DocumentKind, data: JSON) -> tuple[Problem, ...]:
    checked = check_document(kind, data)
    assert (checked.data is None) == bool(checked.problems)
    return checked.problems


def the_problem(kind: DocumentKind, data: JSON) -> Problem:
    found = problems(kind, data)
    assert len(found) == 1, found
    return found[0]


def clean(kind: DocumentKind, data: JSON) -> Any:  # noqa: ANN401 - JSON
    checked = check_document(kind, data)
    assert not checked.problems
    return checked.data


def blue(**fields: object) -> dict[str, Any]:
    return {**ENDPOINT, "deployments": {"blue": {**BLUE, **fields}}}


@pytest.mark.parametrize("kind", MINIMAL)
def test_a_minimal_document_is_kept_as_it_is_written(kind: DocumentKind) -> None:
    assert clean(kind, MINIMAL[kind]) == MINIMAL[kind]


@pytest.mark.parametrize("kind", MINIMAL)
def test_the_schema_key_is_accepted_and_not_kept(kind: DocumentKind) -> None:
    assert clean(kind, {"$schema": "x.schema.json", **MINIMAL[kind]}) == MINIMAL[kind]


@pytest.mark.parametrize("kind", MINIMAL)
@pytest.mark.parametrize("data", [None, [], "text", 3, True])
def test_a_document_is_a_mapping(kind: DocumentKind, data: JSON) -> None:
    problem = the_problem(kind, data)
    assert (problem.path, problem.summary) == ((), "Wrong type")


@pytest.mark.parametrize("kind", MINIMAL)
def test_every_required_key_is_missed(kind: DocumentKind) -> None:
    found = problems(kind, {})
    assert {p.summary for p in found} == {"Missing key"}
    assert all(p.todo for p in found)


@pytest.mark.parametrize("kind", MINIMAL)
def test_a_key_may_be_left_out_but_not_left_empty(kind: DocumentKind) -> None:
    key = "description" if kind in (DocumentKind.MODEL, DocumentKind.ENDPOINT, DocumentKind.ENVIRONMENT) else "$schema"
    problem = the_problem(kind, {**MINIMAL[kind], key: None})
    assert (problem.path, problem.summary) == ((key,), "Empty value")


def test_clean_data_has_versions_as_text_and_durations_as_seconds() -> None:
    data = {**ENDPOINT, "timeout": "2m", "rollout": {"strategy": "blue_green", "soak": "PT30S"}}
    assert clean(DocumentKind.ENDPOINT, data)["timeout"] == 120
    assert clean(DocumentKind.ENDPOINT, data)["rollout"] == {"strategy": "blue_green", "soak": 30}
    assert clean(DocumentKind.MODEL, {**MODEL, "version": 3})["version"] == "3"
    assert clean(DocumentKind.TOMBSTONES, {"versions": [3, {"version": 4, "reason": "x"}]})["versions"] == [
        "3",
        {"version": "4", "reason": "x"},
    ]


def test_references_of_azure_are_kept_in_our_form() -> None:
    data = blue(model="azureml:fraud:4", environment="azureml:onnx:1")
    assert clean(DocumentKind.ENDPOINT, data)["deployments"]["blue"] == BLUE


@pytest.mark.parametrize(
    ("fields", "path", "summary", "words"),
    [
        ({"instance_count": "2"}, ("instance_count",), "Wrong type", "without quotes"),
        ({"instance_count": 2.0}, ("instance_count",), "Wrong type", "a whole number"),
        ({"instance_count": True}, ("instance_count",), "Wrong type", "true"),
        ({"instance_count": 0}, ("instance_count",), "Invalid value", "at least 1"),
        ({"model": 4}, ("model",), "Wrong type", 'Put it in quotes: "4"'),
        ({"model": "fraud@latest"}, ("model",), "Invalid value", "Write fraud:VERSION"),
        ({"model": {"path": "x"}}, ("model",), "Invalid value", "models/NAME/VERSION.yaml"),
        ({"environment": {"image": "x"}}, ("environment",), "Invalid value", "environments/NAME/VERSION.yaml"),
        ({"environment_variables": {"A": 1}}, ("environment_variables", "A"), "Wrong type", 'Put it in quotes: "1"'),
        ({"environment_variables": {"A": "${secret:X}"}}, ("environment_variables", "A"), "Invalid value", "secrets"),
        ({"environment_variables": {"A-B": "x"}}, ("environment_variables", "A-B"), "Invalid value", "match"),
        ({"tags": ["a"]}, ("tags",), "Wrong type", "a mapping"),
        (
            {"request_settings": {"request_timeout_ms": 0}},
            ("request_settings", "request_timeout_ms"),
            "Invalid value",
            "1",
        ),
        ({"liveness_probe": {"period": 0}}, ("liveness_probe", "period"), "Invalid value", "at least 0.1"),
        (
            {"resources": {"limits": {"cpu": "many"}}},
            ("resources", "limits", "cpu"),
            "Invalid value",
            "Write for example",
        ),
        ({"resources": {"limits": {"memory": 1.5}}}, ("resources", "limits", "memory"), "Wrong type", "text"),
        ({"code_configuration": {"code": "src"}}, ("code_configuration",), "Missing key", "scoring_script"),
        (
            {"code_configuration": {"code": "/src", "scoring_script": "a.py"}},
            ("code_configuration", "code"),
            "Invalid value",
            "relative",
        ),
        (
            {"code_configuration": {"code": "a\\b", "scoring_script": "a.py"}},
            ("code_configuration", "code"),
            "Invalid value",
            "Separate",
        ),
        (
            {"code_configuration": {"code": "..", "scoring_script": "a.py"}},
            ("code_configuration", "code"),
            "Invalid value",
            "names nothing",
        ),
        (
            {"enviroment_variables": {}},
            ("enviroment_variables",),
            "Unknown key",
            'Did you mean "environment_variables"?',
        ),
        ({"zzz": 1}, ("zzz",), "Unknown key", "Known keys: model, environment"),
        ({"data_collector": {}}, ("data_collector",), "Missing key", "collections"),
        ({"startup_probe": {}}, ("startup_probe",), "Unknown key", "not supported yet"),
        ({"telemetry": {}}, ("telemetry",), "Unknown key", "belongs to the endpoint"),
        ({"endpoint_name": "x"}, ("endpoint_name",), "Unknown key", "folder"),
    ],
)
def test_fields_of_a_deployment(fields: dict[str, Any], path: DocumentPath, summary: str, words: str) -> None:
    problem = the_problem(DocumentKind.ENDPOINT, blue(**fields))
    assert problem.path == ("deployments", "blue", *path)
    assert problem.summary == summary
    assert words in f"{problem.detail} {problem.todo}"


@pytest.mark.parametrize(
    ("fields", "path", "summary", "words"),
    [
        ({"type": "batch"}, ("type",), "Not supported yet", "Batch"),
        ({"type": "onlin"}, ("type",), "Unknown value", 'Did you mean "online"?'),
        ({"auth_mode": "aad_token"}, ("auth_mode",), "Not supported yet", "write key or aml_token"),
        ({"auth_mode": "keys"}, ("auth_mode",), "Unknown value", 'Did you mean "key"?'),
        ({"timeout": 30}, ("timeout",), "Invalid value", "Write for example 30s"),
        ({"timeout": "soon"}, ("timeout",), "Invalid value", "Write for example"),
        ({"deployments": {}}, ("deployments",), "Invalid value", "at least 1"),
        ({"deployments": {"b": BLUE}}, ("deployments", "b"), "Invalid name", "3 to 32"),
        ({"traffic": {"blue": 90}}, ("traffic",), "Traffic adds up to neither 0 nor 100", "90"),
        ({"traffic": {"blue": 101}}, ("traffic", "blue"), "Invalid value", "at most 100"),
        ({"traffic": {"bleu": 100}}, ("traffic", "bleu"), "Unknown deployment", 'Did you mean "blue"?'),
        (
            {"deployments": {"blue": BLUE, "green": BLUE}},
            ("deployments",),
            "Traffic is not split",
            "traffic: {blue: 100}",
        ),
        ({"sample_request": {"request": "a.json"}}, ("sample_request",), "Missing key", "expected"),
        (
            {"sample_request": {"request": "a", "expected": 1, "deployment": "gren"}},
            ("sample_request", "deployment"),
            "Unknown deployment",
            "blue",
        ),
        ({"rollout": {"strategy": "canary"}}, ("rollout",), "Missing key", "weights"),
        (
            {"rollout": {"strategy": "canry", "weights": [1]}},
            ("rollout", "strategy"),
            "Unknown value",
            'Did you mean "canary"?',
        ),
        ({"rollout": {"strategy": "canary", "weights": [50, 10]}}, ("rollout", "weights"), "Invalid value", "rising"),
        ({"rollout": {"strategy": "canary", "weights": [10, 10]}}, ("rollout", "weights"), "Invalid value", "rising"),
        (
            {"rollout": {"strategy": "canary", "weights": [100]}},
            ("rollout", "weights", 0),
            "Invalid value",
            "at most 99",
        ),
        (
            {"rollout": {"strategy": "blue_green", "weights": [10]}},
            ("rollout", "weights"),
            "Key without effect",
            "canary",
        ),
        ({"rollout": {"strategy": "all_at_once", "soak": "1s"}}, ("rollout", "soak"), "Key without effect", "canary"),
        (
            {"rollout": {"strategy": "blue_green", "checks": {"sample_request": True}}},
            ("rollout", "checks", "sample_request"),
            "Check that cannot be made",
            "Declare",
        ),
        (
            {"rollout": {"strategy": "blue_green", "checks": {"min_requests": 3}}},
            ("rollout", "checks", "min_requests"),
            "Key without effect",
            "max_error_rate",
        ),
        (
            {"rollout": {"strategy": "blue_green", "checks": {"max_error_rate": "2"}}},
            ("rollout", "checks", "max_error_rate"),
            "Invalid value",
            "1%",
        ),
    ],
)
def test_fields_of_an_endpoint(fields: dict[str, Any], path: DocumentPath, summary: str, words: str) -> None:
    problem = the_problem(DocumentKind.ENDPOINT, {**ENDPOINT, **fields})
    assert (problem.path, problem.summary) == (path, summary)
    assert words in f"{problem.detail} {problem.todo}"


@pytest.mark.parametrize(
    ("settings", "count", "path", "summary"),
    [
        ({"type": "default", "max_instances": 3}, None, ("scale_settings", "max_instances"), "Key without effect"),
        ({"type": "target_utilization", "min_instances": 3}, None, ("scale_settings",), "Invalid value"),
        ({"type": "target_utilization", "max_instances": 3}, 2, ("instance_count",), "Keys exclude each other"),
    ],
)
def test_scaling_that_contradicts_itself(settings: object, count: int | None, path: DocumentPath, summary: str) -> None:
    fields = {"scale_settings": settings} | ({"instance_count": count} if count else {})
    problem = the_problem(DocumentKind.ENDPOINT, blue(**fields))
    assert (problem.path[2:], problem.summary) == (path, summary)


def test_a_limit_below_its_request() -> None:
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "2Gi"}}
    problem = the_problem(DocumentKind.ENDPOINT, blue(resources=resources))
    assert problem.path == ("deployments", "blue", "resources", "limits", "cpu")


@pytest.mark.parametrize("name", ["../a", "a/../../b", "./a", "a//b", "a/."])
def test_a_file_of_a_model_lies_below_its_folder(name: str) -> None:
    problem = the_problem(DocumentKind.MODEL, {"sha256": SHA, "files": {name: SHA}})
    assert (problem.path, problem.summary) == (("files", name), "Invalid name")


@pytest.mark.parametrize(
    ("fields", "path", "summary", "words"),
    [
        ({"sha256": "abc"}, ("sha256",), "Invalid value", "^[0-9a-f]{64}$"),
        ({"path": None}, ("path",), "Empty value", "remove the key"),
        ({"uri": "file:///x"}, ("uri",), "Keys exclude each other", "path"),
        ({"files": {"a": SHA}}, ("files",), "Keys exclude each other", "path"),
        ({"type": "custom"}, ("type",), "Unknown value", "custom_model"),
        ({"version": 1.1}, ("version",), "Invalid value", "Put the version in quotes"),
        ({"metrics": {"accuracy": "high"}}, ("metrics", "accuracy"), "Wrong type", "a number"),
        ({"metrics": {"accuracy": True}}, ("metrics", "accuracy"), "Wrong type", "true"),
        ({"flavors": {"onnx": None}}, ("flavors", "onnx"), "Wrong type", "Write {}"),
        ({"trained_by": {"comit": "abc"}}, ("trained_by", "comit"), "Unknown key", 'Did you mean "commit"?'),
        ({"trained_by": {"commit": "HEAD"}}, ("trained_by", "commit"), "Invalid value", "match"),
        ({"stage": "prod"}, ("stage",), "Unknown key", "a model version belongs to none"),
    ],
)
def test_fields_of_a_model(fields: dict[str, Any], path: DocumentPath, summary: str, words: str) -> None:
    problem = the_problem(DocumentKind.MODEL, {**MODEL, **fields})
    assert (problem.path, problem.summary) == (path, summary)
    assert words in f"{problem.detail} {problem.todo}"


def test_a_model_says_where_its_content_is() -> None:
    problem = the_problem(DocumentKind.MODEL, {"sha256": SHA})
    assert (problem.path, problem.summary) == ((), "Missing key")
    assert clean(DocumentKind.MODEL, {"sha256": SHA, "files": {"a.onnx": SHA}})
    assert clean(DocumentKind.MODEL, {"sha256": SHA, "uri": "file:///data/a.onnx"})


@pytest.mark.parametrize(
    ("data", "path", "summary"),
    [
        ({"python": "3.11"}, (), "Missing key"),
        ({**ENVIRONMENT, "python": 3.11}, ("python",), "Wrong type"),
        ({**ENVIRONMENT, "python": "2.7"}, ("python",), "Invalid value"),
        ({**ENVIRONMENT, "conda_file": "conda.yaml"}, ("requirements",), "Keys exclude each other"),
        ({**ENVIRONMENT, "platforms": ["linux"]}, ("platforms", 0), "Unknown value"),
        ({**ENVIRONMENT, "build": {"path": "."}}, ("build",), "Unknown key"),
        ({"requirements": 3}, ("requirements",), "Wrong type"),
        ({"requirements": ["numpy", 3]}, ("requirements", 1), "Wrong type"),
        ({"conda_file": "/etc/conda.yaml"}, ("conda_file",), "Invalid value"),
    ],
)
def test_fields_of_an_environment(data: JSON, path: DocumentPath, summary: str) -> None:
    problem = the_problem(DocumentKind.ENVIRONMENT, data)
    assert (problem.path, problem.summary) == (path, summary)


@pytest.mark.parametrize(
    ("fields", "path", "summary"),
    [
        ({"project": "Demo"}, ("project",), "Invalid value"),
        ({"stages": {}}, ("stages",), "Invalid value"),
        ({"stages": {"dev": None}}, ("stages", "dev"), "Wrong type"),
        ({"stages": {"shared": {}}}, ("stages", "shared"), "Invalid name"),
        ({"stages": {"dev": {"gates": []}}}, ("stages", "dev", "gates"), "Unknown key"),
        ({"stages": {"dev": {"branch": "a b"}}}, ("stages", "dev", "branch"), "Invalid value"),
        ({"computes": {"Aks": {"type": "x"}, "aks": {"type": "x"}}}, ("computes", "aks"), "Names differ only in case"),
        ({"computes": {"local": {}}}, ("computes", "local"), "Missing key"),
        ({"registry": {"type": "mlflow"}}, ("registry", "type"), "Not supported yet"),
        ({"registry": {"type": "embedded", "path": "a/../../b"}}, ("registry", "path"), "Path leaves the repository"),
        ({"registry": {"type": "embedded", "path": "models"}}, ("registry", "path"), "Registry in the wrong place"),
        ({"registry": {"type": "embedded", "path": ".mlops"}}, ("registry", "path"), "Registry in the wrong place"),
        (
            {"registry": {"type": "embedded", "path": ".mlops/../x"}},
            ("registry", "path"),
            "Registry in the wrong place",
        ),
        ({"ledger": {"remote": "--upload-pack=x"}}, ("ledger", "remote"), "Invalid value"),
        (
            {"models": {"formats": {"joblib": {"classes": ["os"]}}}},
            ("models", "formats", "joblib", "classes", 0),
            "Invalid value",
        ),
        ({"models": {"formats": {"dill": {"classes": []}}}}, ("models", "formats", "dill"), "Unknown key"),
        ({"required_version": "soon"}, ("required_version",), "Invalid value"),
    ],
)
def test_fields_of_a_project(fields: dict[str, Any], path: DocumentPath, summary: str) -> None:
    problem = the_problem(DocumentKind.PROJECT, {**PROJECT, **fields})
    assert (problem.path, problem.summary) == (path, summary)


def test_a_value_that_goes_on_and_on_is_cut_short() -> None:
    problem = the_problem(DocumentKind.PROJECT, {**PROJECT, "project": "x" * 100_000})
    assert len(problem.detail) < 400
    assert "write 3 to 24" in problem.detail.lower() + problem.todo.lower()


def test_another_toolkit_is_the_only_thing_that_is_said() -> None:
    problem = the_problem(DocumentKind.PROJECT, {"required_version": ">=99", "from_the_future": True})
    assert problem.summary == "Another version of the toolkit is required"
    assert problem.command == "pip install 'mlops-gitops>=99'"


def test_all_problems_are_found_at_once() -> None:
    data: JSON = {"compute": 3, "deployments": {"blue": {"modl": "x:1"}}, "traffic": {"blue": "all"}, "typ": "online"}
    summaries = sorted(problem.summary for problem in problems(DocumentKind.ENDPOINT, data))
    assert summaries == ["Missing key", "Missing key", "Unknown key", "Unknown key", "Wrong type", "Wrong type"]


def test_an_endpoint_yaml_may_leave_to_the_stages_what_it_will() -> None:
    partial: JSON = {"deployments": {"blue": {"environment": "onnx:1"}}}
    assert check_document(DocumentKind.BASE, partial).problems == ()
    found = check_document(DocumentKind.BASE, {"deployments": {"blue": {"environmnt": "onnx:1"}}}).problems
    assert [problem.summary for problem in found] == ["Unknown key"]


def test_every_unsupported_key_is_unknown_to_its_model() -> None:
    for name, keys in KEYS.items():
        owner = next(getattr(m, name) for m in (endpoint, environment, model, project) if name in vars(m))
        assert not keys.keys() & owner.model_fields.keys()
