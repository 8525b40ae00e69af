"""How an endpoint is reached, watched, mirrored and batched: what is refused, in which words, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.schemas.check import check_document
from mlops.schemas.kinds import DocumentKind
from mlops.schemas.problems import DocumentPath, Problem
from mlops_scoring.collection.privacy import NEVER_CAPTURED

SCRIPT = {"code": "code", "scoring_script": "score.py"}
BLUE: dict[str, Any] = {"model": "fraud:4", "environment": "onnx:1"}
TWO: dict[str, Any] = {
    "compute": "local-dev",
    "deployments": {"blue": BLUE, "green": BLUE},
    "traffic": {"blue": 100, "green": 0},
}


def endpoint(**fields: object) -> dict[str, Any]:
    return {**TWO, **fields}


def blue(**fields: object) -> dict[str, Any]:
    return {"compute": "local-dev", "deployments": {"blue": {**BLUE, **fields}}}


def problems(data: dict[str, Any]) -> tuple[Problem, ...]:
    return check_document(DocumentKind.ENDPOINT, data).problems


def clean(data: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    checked = check_document(DocumentKind.ENDPOINT, data)
    assert not checked.problems
    return checked.data


@pytest.mark.parametrize(
    ("fields", "path", "summary", "words"),
    [
        ({"mirror_traffic": {"green": 51}}, ("mirror_traffic", "green"), "Invalid value", "at most 50"),
        ({"mirror_traffic": {"gren": 10}}, ("mirror_traffic", "gren"), "Unknown deployment", 'Did you mean "green"?'),
        ({"mirror_traffic": {"blue": 10}}, ("mirror_traffic", "blue"), "Mirrored to a deployment with traffic", "100"),
        (
            {"deployments": {"blue": BLUE}, "traffic": {"blue": 0}, "mirror_traffic": {"blue": 10}},
            ("mirror_traffic",),
            "Key without effect",
            "nothing to copy",
        ),
        ({"mirror_traffic": {"green": True}}, ("mirror_traffic", "green"), "Wrong type", "a whole number"),
        ({"tls": {"certificate": "/c.pem"}}, ("tls",), "Missing key", "private key"),
        ({"tls": {"certificate": "/c.pem", "key": "k.pem"}}, ("tls", "key"), "Invalid value", "in the repository"),
        ({"tls": {"certificate": "../c", "key": "/k"}}, ("tls", "certificate"), "Invalid value", "absolute path"),
        ({"tls": {"certificate": "/c", "key": "${secret:K}"}}, ("tls", "key"), "Invalid value", "${env:NAME}"),
        (
            {"tls": {"certificate": "/a.pem", "key": "/a.pem"}},
            ("tls", "key"),
            "Certificate and key are one file",
            "own",
        ),
        ({"tls": {"cert": "/c", "certificate": "/c", "key": "/k"}}, ("tls", "cert"), "Unknown key", "certificate"),
        ({"telemetry": {"otlp_endpoint": "localhost:4317"}}, ("telemetry", "otlp_endpoint"), "Invalid value", "http"),
        (
            {"telemetry": {"otlp_endpoint": "http://ada:secret@collector"}},
            ("telemetry", "otlp_endpoint"),
            "Invalid value",
            "plain",
        ),
        (
            {"telemetry": {"otlp_endpoint": "http://collector:4318", "sampling_ratio": 2}},
            ("telemetry", "sampling_ratio"),
            "Invalid value",
            "between 0% and 100%",
        ),
        (
            {"telemetry": {"access_log": "101%"}},
            ("telemetry", "access_log"),
            "Invalid value",
            "between 0% and 100%",
        ),
        ({"limits": {"max_body_size": "65Mi"}}, ("limits", "max_body_size"), "Invalid value", "64Mi or less"),
        ({"limits": {"max_body_size": "1 MB"}}, ("limits", "max_body_size"), "Invalid value", "no amount of memory"),
        ({"limits": {"head_timeout": "1ms"}}, ("limits", "head_timeout"), "Invalid value", "from 100ms to 1d"),
        ({"limits": {"idle_timeout": 10}}, ("limits", "idle_timeout"), "Invalid value", "10s"),
        ({"data_collector": {}}, ("data_collector",), "Unknown key", "by a deployment"),
    ],
)
def test_fields_of_an_endpoint(fields: dict[str, Any], path: DocumentPath, summary: str, words: str) -> None:
    (problem,) = problems(endpoint(**fields))
    assert (problem.path, problem.summary) == (path, summary)
    assert words in f"{problem.detail} {problem.todo}"


def test_a_single_deployment_has_all_traffic_and_so_is_no_mirror() -> None:
    (problem,) = problems({**blue(), "mirror_traffic": {"blue": 10}})
    assert problem.summary == "Mirrored to a deployment with traffic"


def test_only_one_deployment_is_mirrored_to_as_in_azure_ml() -> None:
    deployments = {"blue": BLUE, "green": BLUE, "red": BLUE}
    found = problems(endpoint(deployments=deployments, mirror_traffic={"green": 10, "red": 10}))
    assert [(problem.path, problem.summary) for problem in found] == [
        (("mirror_traffic",), "Mirrored to several deployments")
    ]


COLLECTOR = ("data_collector",)
COLLECTIONS = (*COLLECTOR, "collections")


@pytest.mark.parametrize(
    ("fields", "path", "summary", "words"),
    [
        ({"data_collector": {"collections": {}}}, COLLECTIONS, "Invalid value", "at least 1"),
        (
            {"data_collector": {"collections": {"model_input": {}}}},
            (*COLLECTIONS, "model_input"),
            "Collection that nothing fills",
            'Did you mean "model_inputs"?',
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {}, "Inputs": {}}}, "code_configuration": SCRIPT},
            (*COLLECTIONS, "Inputs"),
            "Collections kept in one place",
            "would be kept in one place, inputs",
        ),
        (
            {"data_collector": {"collections": {"../x": {}}}},
            (*COLLECTIONS, "../x"),
            "Invalid value",
            "match",
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {"enabled": "yes"}}}},
            (*COLLECTIONS, "model_inputs", "enabled"),
            "Wrong type",
            "true or false",
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {"sampling_rate": "150%"}}}},
            (*COLLECTIONS, "model_inputs", "sampling_rate"),
            "Invalid value",
            "between 0% and 100%",
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {"deny": ["a", "b"], "hash": ["b"]}}}},
            (*COLLECTIONS, "model_inputs", "hash"),
            "Keys exclude each other",
            "b can be left out or hashed",
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {}}, "rolling_rate": "hourly"}},
            (*COLLECTOR, "rolling_rate"),
            "Unknown value",
            "Hour",
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {}}, "request_logging": {"capture_headers": ["a b"]}}},
            (*COLLECTOR, "request_logging", "capture_headers", 0),
            "Invalid value",
            "match",
        ),
        (
            {"data_collector": {"collections": {"model_inputs": {}}, "capture_headers": ["a"]}},
            (*COLLECTOR, "capture_headers"),
            "Unknown key",
            "within request_logging",
        ),
        (
            {"data_collector": {"collections": {"response": {}}, "request_logging": {"capture_headers": ["a"]}}},
            (*COLLECTOR, "request_logging", "capture_headers"),
            "Key without effect",
            "model_inputs and request",
        ),
        (
            {
                "data_collector": {
                    "collections": {"request": {"enabled": "False"}},
                    "request_logging": {"capture_headers": ["a"]},
                }
            },
            (*COLLECTOR, "request_logging", "capture_headers"),
            "Key without effect",
            "neither is collected",
        ),
        *(
            (
                {
                    "data_collector": {
                        "collections": {"Request": {}},
                        "request_logging": {"capture_headers": ["a", name]},
                    }
                },
                (*COLLECTOR, "request_logging", "capture_headers", 1),
                "Header is never kept",
                name,
            )
            for name in ("Authorization", "proxy-authorization", "COOKIE", "Set-Cookie")
        ),
        ({"batching": {"max_batch_size": 8}}, ("batching",), "Missing key", "max_delay_ms"),
        ({"batching": {"max_batch_size": 1, "max_delay_ms": 5}}, ("batching", "max_batch_size"), "Invalid value", "2"),
        (
            {"batching": {"max_batch_size": 8, "max_delay_ms": 5}},
            ("batching",),
            "Key without effect",
            "max_concurrent_requests_per_instance: 8",
        ),
        (
            {"batching": {"max_batch_size": 8, "max_delay_ms": 5}, "code_configuration": SCRIPT},
            ("batching",),
            "Key without effect",
            "one by one",
        ),
    ],
)
def test_fields_of_a_deployment(fields: dict[str, Any], path: DocumentPath, summary: str, words: str) -> None:
    (problem,) = problems(blue(**fields))
    assert (problem.path, problem.summary) == (("deployments", "blue", *path), summary)
    assert words in f"{problem.detail} {problem.todo}"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = problems(
        {
            **blue(
                batching={"max_batch_size": 8, "max_delay_ms": 5},
                data_collector={"collections": {"labels": {"deny": ["a"], "hash": ["a"]}}},
            ),
            "mirror_traffic": {"red": 10},
            "tls": {"certificate": "/a", "key": "/a"},
        }
    )
    assert {problem.path[-1] for problem in found} == {"batching", "labels", "hash", "red", "key"}


def test_azure_mls_own_spellings_are_read_as_what_they_mean() -> None:
    """Its YAML writes switches as text, and its reference the rolling rate in two ways."""
    collections = {"model_inputs": {"enabled": "True"}, "model_outputs": {"enabled": "false"}}
    data = clean(blue(data_collector={"collections": collections, "rolling_rate": "day", "sampling_rate": 0.5}))
    assert data["deployments"]["blue"]["data_collector"] == {
        "collections": {"model_inputs": {"enabled": True}, "model_outputs": {"enabled": False}},
        "rolling_rate": "Day",
        "sampling_rate": 0.5,
    }


def test_the_rules_know_the_headers_that_the_scoring_server_never_writes() -> None:
    for header in sorted(NEVER_CAPTURED):
        collector = {"collections": {"request": {}}, "request_logging": {"capture_headers": [header]}}
        assert [problem.summary for problem in problems(blue(data_collector=collector))] == ["Header is never kept"]


def test_azure_mls_own_forms_of_where_data_goes_are_read() -> None:
    """Computes refuse them or not; what they are told must not be hidden behind the form."""
    asset = {"name": "inputs", "path": "azureml://datastores/d/paths/p", "version": 1, "data_id": "x"}
    collections = {"model_inputs": {"data": asset}, "model_outputs": {"data": "azureml:outputs:1"}}
    data = clean(blue(data_collector={"collections": collections, "request_logging": {}}))
    collector = data["deployments"]["blue"]["data_collector"]
    assert collector["collections"]["model_inputs"]["data"] == {**asset, "version": "1"}
    assert collector["collections"]["model_outputs"]["data"] == "azureml:outputs:1"


def test_what_is_written_is_kept_and_nothing_is_added() -> None:
    fields: dict[str, Any] = {
        "auth_mode": "key",
        "tls": {"certificate": "${env:CERTS}/c.pem", "key": "~/k.pem"},
        "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318", "sampling_ratio": 0.1},
        "mirror_traffic": {"green": 50},
    }
    assert clean(endpoint(**fields)) == {**TWO, **fields}
    batching = {
        "batching": {"max_batch_size": 8, "max_delay_ms": 5},
        "request_settings": {"max_concurrent_requests_per_instance": 8},
        "app_insights_enabled": False,
    }
    assert clean(blue(**batching)) == blue(**batching)
