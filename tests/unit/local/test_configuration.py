"""From a spec in live form to a supervisor's configuration, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops.diff import DRIFTED, diff
from mlops.drivers.local.configuration import Sources, Target, make_document, runtime
from mlops.drivers.local.driver import LocalDriver
from mlops.drivers.local.rules import LIMITS, REFUSED, RULES
from mlops.drivers.local.status import spec_of, stamp_of
from mlops.drivers.local.watching import OPEN, make_limits
from mlops.errors import TargetError
from mlops.resource import JSON, Rollout, Spec, Stamp
from mlops.rollout import from_live, make_steps, to_live
from mlops.schemas.check import check_document
from mlops.schemas.kinds import DocumentKind
from mlops_scoring.collection.settings import Collection, DataCollector
from mlops_scoring.configuration import Probe, RequestSettings, parse_configuration
from mlops_scoring.documents import InvalidDocument
from mlops_scoring.endpoint_settings import Tls
from mlops_scoring.telemetry.settings import Telemetry
from mlops_scoring.wire.limits import Limits

COLLECTED = Path("/collected/here")
STAMP = Stamp("project", "dev", "endpoint/digits@here", "0" * 64)


def declared(version: str = "1", **fields: JSON) -> dict[str, Any]:
    model: JSON = {"name": "digits", "version": version, "files": {"model.onnx": version * 64}, "flavors": {"onnx": {}}}
    deployment: dict[str, JSON] = {"model": model, "environment": {"name": "onnx", "version": "1", "lock": "a" * 64}}
    return {"auth_mode": "none", "deployments": {"blue": {**deployment, **fields}}, "traffic": {"blue": 100}}


def live(spec: Spec) -> Spec:
    return to_live(spec, RULES)


def document(
    spec: Spec,
    current: Mapping[str, JSON] | None = None,
    sources: Sources | None = None,
    tls: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    found = sources or Sources(Path("/usr/bin/env"), Path("/"), None)
    return dict(
        make_document(Target("digits", 8600, spec, STAMP, COLLECTED, tls or {}), current or {}, lambda _: found)
    )


def names(spec: Spec) -> list[str]:
    deployments = spec["deployments"]
    assert isinstance(deployments, Mapping)
    return list(deployments)


def test_the_scoring_server_reads_what_we_write() -> None:
    spec = live(declared(environment_variables={"A": "1"}, request_settings={"request_timeout_ms": 100}))
    parsed = parse_configuration(json.dumps(document(spec)))
    (deployment,) = parsed.deployments.values()
    assert deployment.runtime == "onnx"
    assert deployment.environment_variables == {"A": "1"}
    assert deployment.request_settings == RequestSettings(request_timeout_ms=100)
    assert deployment.liveness_probe == Probe()
    assert parsed.traffic == {deployment.name: 100}
    assert parsed.aliases == {"blue": deployment.name}


def test_what_was_put_is_what_is_read_back() -> None:
    spec = live(declared(instance_count=2, tags={"team": "reading"}))
    assert spec_of(document(spec)) == spec
    assert stamp_of(document(spec)) == STAMP


def test_variables_of_the_deployment_win_over_those_of_its_environment() -> None:
    environment: JSON = {"name": "onnx", "version": "1", "lock": "a" * 64, "variables": {"A": "0", "B": "0"}}
    made = document(live(declared(environment=environment, environment_variables={"A": "1"})))
    (entry,) = made["deployments"].values()
    assert entry["environment_variables"] == {"A": "1", "B": "0"}


def test_without_declared_traffic_the_only_deployment_gets_all() -> None:
    spec = {key: value for key, value in declared().items() if key != "traffic"}
    made = document(live(spec))
    assert list(made["traffic"].values()) == [100]
    assert "traffic" not in spec_of(made)


def test_every_step_of_a_canary_is_a_configuration_and_the_header_reaches_the_stable_version() -> None:
    base, target = live(declared("1")), live(declared("2"))
    steps = make_steps(base, target, Rollout("canary", (10, 50)), LocalDriver.traffic)
    current = document(base)
    reached = []
    for step in steps:
        current = document(step.spec, current)
        parsed = parse_configuration(json.dumps(current))
        reached.append(parsed.aliases["blue"])
        assert spec_of(current) == step.spec
    assert reached == [*(names(base) * (len(steps) - 1)), *names(target)]


def test_a_newer_toolkit_changes_nothing_that_runs() -> None:
    """Its virtual environments have other names; what is live keeps its own."""
    spec = live(declared())
    before = document(spec)
    after = document(spec, before, Sources(Path("/usr/bin/true"), Path("/"), None))
    assert after == before


def test_what_was_removed_from_the_disk_is_made_again() -> None:
    spec = live(declared())
    before = document(spec, sources=Sources(Path("/nowhere/python"), Path("/"), None))
    after = document(spec, before, Sources(Path("/usr/bin/true"), Path("/"), None))
    assert after != before


def test_other_content_under_the_same_name_is_not_taken_for_the_same() -> None:
    spec = live(declared("1"))
    (name,) = names(spec)
    (other,) = document(live(declared("2")))["stamp"]["spec"]["deployments"].values()
    edited = {**spec, "deployments": {name: other}}
    before = document(spec)
    after = document(edited, before, Sources(Path("/usr/bin/true"), Path("/"), None))
    assert after["deployments"] != before["deployments"]


def test_workers_change_under_the_same_name() -> None:
    one, three = live(declared()), live(declared(instance_count=3))
    assert names(one) == names(three)
    before = document(one)
    after = document(three, before)
    (entry,) = after["deployments"].values()
    assert entry["instance_count"] == 3


@pytest.mark.parametrize("change", ["traffic", "instances", "removed"])
def test_what_somebody_else_told_the_supervisor_shows(change: str) -> None:
    spec = live(declared())
    (name,) = names(spec)
    told = json.loads(json.dumps(document(spec)))
    match change:
        case "traffic":
            told["traffic"] = {name: 0}
            expected: dict[str, Any] = {**spec, "traffic": {name: 0}}
        case "instances":
            told["deployments"][name]["instance_count"] = 5
            expected = json.loads(json.dumps(spec))
            expected["deployments"][name]["instance_count"] = 5
        case _:
            told |= {"traffic": {}, "deployments": {}, "aliases": {}}
            expected = {**spec, "traffic": {}, "deployments": {}}
    assert spec_of(told) == expected


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        ({"code": {"sha256": "a", "scoring_script": "score.py"}, "model": {"flavors": {"onnx": {}}}}, "script"),
        ({"model": {"flavors": {"onnx": {}}}}, "onnx"),
        ({"model": {"files": {"model.onnx": "a"}}}, "onnx"),
        ({"model": {"files": {"model.onnx": "a", "model.onnx.data": "b"}}}, "onnx"),
        ({"model": {"flavors": {"sklearn": {}}}}, "sklearn"),
        ({"model": {"flavors": {"python_function": {}, "sklearn": {}}}}, "mlflow"),
        ({"model": {"type": "mlflow_model"}}, "mlflow"),
    ],
)
def test_runtime(deployment: Mapping[str, JSON], expected: str) -> None:
    assert runtime(deployment) == expected


def test_a_model_that_nothing_can_serve_is_refused() -> None:
    with pytest.raises(TargetError, match="needs a scoring script"):
        runtime({"model": {"name": "fraud", "files": {"weights.bin": "a"}}})


def test_every_rule_and_refusal_says_why() -> None:
    assert all(rule.reason for rule in RULES)
    assert all(len(what_to_do) > 20 for what_to_do in REFUSED.values())


TLS = {"certificate": "/etc/tls/c.pem", "key": "/etc/tls/k.pem"}


def reached(**fields: JSON) -> Spec:
    """An endpoint with a second deployment without traffic."""
    spec: dict[str, Any] = dict(declared())
    deployments = {**spec["deployments"], "green": {**spec["deployments"]["blue"], "tags": {"a": "b"}}}
    return live({**spec, "deployments": deployments, **fields})


GATEWAY: Spec = {
    "auth_mode": "key",
    "tls": {"certificate": "${env:CERTS}/c.pem", "key": "${env:CERTS}/k.pem"},
    "mirror_traffic": {"green": 10},
    "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318"},
    "limits": {"max_body_size": "10Mi", "max_connections": 100, "head_timeout": 5.0},
}


def test_what_the_gateway_is_told_is_read_back_as_it_was_declared() -> None:
    spec = reached(**GATEWAY)
    made = document(spec, tls=TLS)
    green = next(name for name in names(spec) if name.startswith("green-"))
    assert made["auth"] == {"mode": "key"}
    assert made["tls"] == TLS
    assert made["mirror_traffic"] == {green: 10}
    assert made["telemetry"] == GATEWAY["telemetry"]
    assert spec_of(made) == spec


def test_what_nobody_declared_is_drift_and_a_default_that_is_written_is_none() -> None:
    plain = declared()
    del plain["auth_mode"]
    told = {
        **document(live(plain)),
        "auth": {"mode": "key"},
        "telemetry": {"otlp_endpoint": "http://127.0.0.1:9999"},
        "limits": {"connections": 5},
        "mirror_traffic": {"blue": 50},
    }
    found = {change.path: change for change in diff(plain, plain, from_live(spec_of(told)), RULES)}
    assert found.keys() == {"auth_mode", "telemetry", "limits", "mirror_traffic"}
    assert {change.reason.partition(";")[0] for change in found.values()} == {DRIFTED}
    assert found["limits"].live == {"max_connections": 5}
    written = {
        **plain,
        "auth_mode": "none",
        "limits": LIMITS,
        "mirror_traffic": {"blue": 0},
        "deployments": {"blue": {**plain["deployments"]["blue"], "instance_count": 1}},
    }
    assert list(diff(written, plain, from_live(live(plain)), RULES)) == []
    assert list(diff(plain, written, from_live(live(written)), RULES)) == []


def test_the_defaults_that_rules_know_are_the_gateways() -> None:
    parsed = parse_configuration(json.dumps({**document(live(declared())), "limits": make_limits({"limits": LIMITS})}))
    assert parsed.limits == Limits()
    assert parsed.auth.mode == OPEN
    assert parsed.telemetry.sampling_ratio == 1


_LEAST: dict[str, Any] = {
    "instance_count": 1,
    "request_settings": {
        "request_timeout_ms": 1,
        "max_concurrent_requests_per_instance": 2,
        "max_queue_wait_ms": 0,
    },
    "liveness_probe": {
        "initial_delay": 0,
        "period": 0.1,
        "timeout": 0.01,
        "success_threshold": 1,
        "failure_threshold": 1,
    },
    "batching": {"max_batch_size": 2, "max_delay_ms": 0},
}
_MOST: dict[str, Any] = {
    "instance_count": 50,
    "request_settings": {
        "request_timeout_ms": 300_000,
        "max_concurrent_requests_per_instance": 10_000,
        "max_queue_wait_ms": 300_000,
    },
    "liveness_probe": {"success_threshold": 10_000, "failure_threshold": 10_000},
    "batching": {"max_batch_size": 4096, "max_delay_ms": 10_000},
}
_REACHED_LEAST = {"max_body_size": "1", "max_connections": 1, "head_timeout": "100ms"}
_REACHED_MOST = {"max_body_size": "64Mi", "max_connections": 100_000, "idle_timeout": "1d"}


@pytest.mark.parametrize(
    ("fields", "limits"), [(_LEAST, _REACHED_LEAST), (_MOST, _REACHED_MOST)], ids=["least", "most"]
)
def test_the_scoring_server_takes_the_least_and_the_most_that_can_be_declared(
    fields: dict[str, Any], limits: dict[str, Any]
) -> None:
    blue = {"model": "digits:1", "environment": "onnx:1", **fields}
    checked = check_document(
        DocumentKind.ENDPOINT, {"compute": "here", "limits": limits, "deployments": {"blue": blue}}
    )
    assert checked.problems == ()
    assert isinstance(checked.data, dict)
    parse_configuration(json.dumps(document(live({**declared(**fields), "limits": checked.data["limits"]}))))


@pytest.mark.parametrize(
    "beyond",
    [{"liveness_probe": {"period": 0.09}}, {"readiness_probe": {"timeout": 0.009}}, {"liveness_probe": {"period": 0}}],
)
def test_what_the_scoring_server_would_refuse_cannot_be_declared(beyond: dict[str, Any]) -> None:
    blue = {"model": "digits:1", "environment": "onnx:1", **beyond}
    assert check_document(DocumentKind.ENDPOINT, {"compute": "here", "deployments": {"blue": blue}}).problems
    with pytest.raises(InvalidDocument):
        parse_configuration(json.dumps(document(live(declared(**beyond)))))


def test_more_instances_than_the_scoring_server_takes_are_refused_by_the_compute() -> None:
    (most,) = (int(path.partition(">")[2]) for path in REFUSED if ">" in path)
    parse_configuration(json.dumps(document(live(declared(instance_count=most)))))
    with pytest.raises(InvalidDocument):
        parse_configuration(json.dumps(document(live(declared(instance_count=most + 1)))))


def test_the_scoring_server_reads_what_the_gateway_is_told() -> None:
    parsed = parse_configuration(json.dumps(document(reached(**GATEWAY), tls=TLS)))
    assert parsed.auth.mode == "key"
    assert parsed.tls == Tls(**TLS)
    assert list(parsed.mirror_traffic.values()) == [10]
    assert parsed.limits == replace(Limits(), body_bytes=10 * 2**20, connections=100, head_seconds=5.0)


def test_an_endpoint_that_declares_none_of_it_is_configured_as_before() -> None:
    made = document(live(declared()))
    assert made.keys() == {
        *("format", "endpoint", "host", "port", "stamp", "traffic", "aliases", "deployments"),
    }


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"auth": {"mode": "none"}}, {"auth_mode": "none"}),
        ({"auth": None}, {"auth_mode": "none"}),
        ({"tls": None}, {"tls": None}),
        ({"tls": {"certificate": "/x", "key": "/y"}}, {"tls": {"certificate": "/x", "key": "/y"}}),
        ({"mirror_traffic": None}, {"mirror_traffic": None}),
        ({"mirror_traffic": {"other": 5}}, {"mirror_traffic": {"other": 5}}),
        ({"telemetry": None}, {"telemetry": None}),
        ({"limits": {"connections": 1}}, {"limits": {"max_connections": 1}}),
    ],
)
def test_what_somebody_else_told_the_gateway_shows(told: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = reached(**GATEWAY)
    changed = {**document(spec, tls=TLS), **told}
    wanted = {**spec, **expected}
    assert spec_of({k: v for k, v in changed.items() if v is not None}) == {
        k: v for k, v in wanted.items() if v is not None
    }


def test_what_somebody_else_told_an_open_gateway_shows() -> None:
    spec = live(declared())
    made = document(spec)
    assert spec_of({**made, "auth": {"mode": "key"}, "tls": TLS}) == {**spec, "auth_mode": "key", "tls": TLS}


def test_a_worker_is_told_who_it_is_and_what_to_keep() -> None:
    collector: JSON = {
        "collections": {
            "model_inputs": {"deny": ["ssn"], "hash": ["card"]},
            "model_outputs": {"enabled": False, "sampling_rate": 1.0},
        },
        "sampling_rate": 0.25,
        "rolling_rate": "Day",
        "request_logging": {"capture_headers": ["X-Caller"]},
    }
    telemetry: JSON = {"otlp_endpoint": "http://127.0.0.1:4318", "sampling_ratio": 0.1}
    batching: JSON = {"max_batch_size": 8, "max_delay_ms": 5}
    made = document(
        live(declared(data_collector=collector, telemetry=telemetry, batching=batching, app_insights_enabled=True))
    )
    (deployment,) = parse_configuration(json.dumps(made)).deployments.values()
    assert (deployment.declared_name, deployment.model.name, deployment.model.version) == ("blue", "digits", "1")
    assert deployment.show_tracebacks
    assert deployment.data_collector == DataCollector(
        "/collected/here",
        {
            "model_inputs": Collection(sampling_rate=0.25, deny=("ssn",), hash=("card",)),
            "model_outputs": Collection(enabled=False, sampling_rate=1.0),
        },
        "Day",
        ("x-caller",),
    )
    assert deployment.telemetry == Telemetry("http://127.0.0.1:4318", 0.1, azure_monitor=True)
    assert (deployment.batching.max_batch_size, deployment.batching.max_delay_ms) == (8, 5)


@pytest.mark.parametrize("field", ["data_collector", "telemetry", "batching", "app_insights_enabled"])
def test_what_a_worker_is_started_with_is_content_of_its_deployment(field: str) -> None:
    """So a change is started beside the old version and takes over its traffic."""
    fields: dict[str, Any] = {field: {"a": 1}}
    assert names(live(declared(**fields))) != names(live(declared()))


@pytest.mark.parametrize("field", GATEWAY)
def test_what_the_gateway_is_told_starts_no_worker_anew(field: str) -> None:
    assert names(reached(**{field: GATEWAY[field]})) == names(reached())


def test_a_new_version_is_mirrored_to_only_once_the_old_one_is_gone() -> None:
    base, target = reached(mirror_traffic={"green": 10}), live_with_other_green()
    old, new = (next(n for n in names(spec) if n.startswith("green-")) for spec in (base, target))
    steps = make_steps(base, target, Rollout("canary", (50,)), LocalDriver.traffic)
    assert old != new
    assert [step.spec["mirror_traffic"] for step in steps] == [{old: 10}, {new: 10}]
    assert from_live(steps[0].spec)["mirror_traffic"] == {"green": 10}
    assert from_live(steps[-1].spec)["mirror_traffic"] == {"green": 10}


def live_with_other_green() -> Spec:
    spec: dict[str, Any] = dict(from_live(reached()))
    green = {**spec["deployments"]["green"], "environment_variables": {"A": "1"}}
    return live({**spec, "deployments": {**spec["deployments"], "green": green}, "mirror_traffic": {"green": 10}})
