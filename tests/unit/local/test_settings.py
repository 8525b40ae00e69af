"""What a gateway and workers are told beside what they serve, and the least and the most of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.documents import declared, document, live, names

from mlops.diff import DRIFTED, diff
from mlops.drivers.local.configuration import Sources
from mlops.drivers.local.driver import LocalDriver
from mlops.drivers.local.rules import LIMITS, REFUSED, RULES
from mlops.drivers.local.status import spec_of
from mlops.drivers.local.watching import DRAIN_DELAY, OPEN, TOKEN_SECONDS, make_limits
from mlops.resource import JSON, FieldEffect, Rollout, Spec
from mlops.rollout import from_live, make_steps
from mlops.schemas.check import check_document
from mlops.schemas.kinds import DocumentKind
from mlops_scoring.collection.settings import Collection, DataCollector
from mlops_scoring.configuration import parse_configuration
from mlops_scoring.documents import Fields, InvalidDocument
from mlops_scoring.endpoint_settings import Tls
from mlops_scoring.telemetry.settings import Telemetry, parse_telemetry
from mlops_scoring.wire.limits import Limits

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
BY_HAND: Spec = {"token_seconds": 60, "drain_delay": 2.5, "limits": {"headers": 5, "max_connections": 100}}
"""What cannot be declared, and is live where somebody else told the supervisor so."""


def test_what_the_gateway_is_told_is_read_back_as_it_was_declared() -> None:
    spec = reached(**GATEWAY)
    made = document(spec, tls=TLS)
    green = next(name for name in names(spec) if name.startswith("green-"))
    assert made["auth"] == {"mode": "key"}
    assert made["tls"] == TLS
    assert made["mirror_traffic"] == {green: 10}
    assert made["telemetry"] == GATEWAY["telemetry"]
    assert spec_of(made) == spec


def test_what_somebody_else_told_the_gateway_can_be_put_back_as_it_was() -> None:
    """A rollout that fails returns to what was live, all of it."""
    spec = {**live(declared()), **BY_HAND}
    made = document(spec)
    assert (made["auth"], made["drain_delay"]) == ({"token_seconds": 60}, 2.5)
    assert made["limits"] == {"headers": 5, "connections": 100}
    assert spec_of(made) == spec
    parsed = parse_configuration(json.dumps(made))
    assert (parsed.auth.token_seconds, parsed.drain_delay, parsed.limits.headers) == (60, 2.5, 5)


def test_what_cannot_be_declared_holds_no_longer_than_the_first_step_of_a_rollout() -> None:
    steps = make_steps(
        {**live(declared()), **BY_HAND}, live(declared("2")), Rollout("canary", (10,)), LocalDriver.traffic
    )
    assert len(steps) == 4
    assert not [name for step in steps for name in BY_HAND if name in step.spec]


def test_what_nobody_declared_is_drift_and_a_default_that_is_written_is_none() -> None:
    plain = declared()
    del plain["auth_mode"]
    told = {
        **document(live(plain)),
        "auth": {"mode": "key", "token_seconds": 86_400},
        "drain_delay": 30,
        "telemetry": {"otlp_endpoint": "http://127.0.0.1:9999"},
        "limits": {"connections": 5},
        "mirror_traffic": {"blue": 50},
    }
    found = {change.path: change for change in diff(plain, plain, from_live(spec_of(told)), RULES)}
    assert found.keys() == {
        *("auth_mode", "token_seconds", "drain_delay"),
        *("telemetry", "limits", "mirror_traffic"),
    }
    assert {change.reason.partition(";")[0] for change in found.values()} == {DRIFTED}
    assert found["limits"].live == {"max_connections": 5}
    written = {
        **plain,
        "auth_mode": "none",
        "limits": LIMITS,
        "telemetry": {"sampling_ratio": 1, "access_log": 0},
        "mirror_traffic": {"blue": 0},
        "deployments": {"blue": {**plain["deployments"]["blue"], "instance_count": 1}},
    }
    assert list(diff(written, plain, from_live(live(plain)), RULES)) == []
    assert list(diff(plain, written, from_live(live(written)), RULES)) == []


def test_scale_settings_that_leave_the_number_to_instance_count_change_nothing() -> None:
    """It is all that Azure ML's managed endpoints take, and means what local processes do anyway."""
    plain, written = declared(), declared(scale_settings={"type": "default"})
    assert list(diff(written, plain, from_live(live(plain)), RULES)) == []
    assert names(live(written)) == names(live(plain))
    assert not any("scale_settings" in path and not path.endswith("=target_utilization") for path in REFUSED)


def test_the_defaults_that_rules_know_are_the_gateways() -> None:
    parsed = parse_configuration(json.dumps({**document(live(declared())), "limits": make_limits({"limits": LIMITS})}))
    assert parsed.limits == Limits()
    assert (parsed.auth.mode, parsed.auth.token_seconds, parsed.drain_delay) == (OPEN, TOKEN_SECONDS, DRAIN_DELAY)
    assert (parsed.telemetry.sampling_ratio, parsed.telemetry.access_log) == (1, 0)


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
        ({"auth": {"mode": "key", "token_seconds": 5}}, {"token_seconds": 5}),
        ({"auth": {"mode": "key", "token_seconds": 3600}, "drain_delay": 0.0}, {}),
        ({"drain_delay": 600}, {"drain_delay": 600}),
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
    telemetry: JSON = {"otlp_endpoint": "http://127.0.0.1:4318", "sampling_ratio": 0.1, "access_log": 0.5}
    batching: JSON = {"max_batch_size": 8, "max_delay_ms": 5}
    spec = live(declared(data_collector=collector, batching=batching, app_insights_enabled=True))
    made = document({**spec, "telemetry": telemetry})
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


@pytest.mark.parametrize("field", ["data_collector", "batching", "app_insights_enabled"])
def test_what_a_worker_is_started_with_is_content_of_its_deployment(field: str) -> None:
    """So a change is started beside the old version and takes over its traffic."""
    fields: dict[str, Any] = {field: {"a": 1}}
    assert names(live(declared(**fields))) != names(live(declared()))


def test_other_telemetry_changes_nothing_else_of_what_runs() -> None:
    """Also where the toolkit is another by now, whose virtual environments would be others."""
    before, after = live(declared()), {**live(declared()), "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318"}}
    told = document(before)
    made = document(after, told, Sources(Path("/usr/bin/false"), None, None))
    ((name, entry),) = made["deployments"].items()
    assert entry == {**told["deployments"][name], "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318"}}
    assert document(before, made)["deployments"] == told["deployments"]


@pytest.mark.parametrize("told", [None, {}, {"otlp_endpoint": "http://127.0.0.1:9"}, {"azure_monitor": True}])
def test_what_somebody_else_told_workers_is_drift_and_can_be_put_back_as_it_was(told: JSON) -> None:
    spec = {**declared(app_insights_enabled=True), "telemetry": {"otlp_endpoint": "http://127.0.0.1:4318"}}
    made = document(live(spec))
    assert spec_of(made) == live(spec)
    (name,) = made["deployments"]
    made["deployments"][name]["telemetry"] = told
    (change,) = diff(spec, spec, from_live(spec_of(made)), RULES)
    assert (change.path, change.effect) == ("deployments.blue.telemetry", FieldEffect.IN_PLACE)
    assert change.reason.startswith(DRIFTED)
    again = parse_configuration(json.dumps(document(spec_of(made)))).deployments[name].telemetry
    assert again == parse_telemetry(Fields(told or {}, "", []))


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
