"""From a spec in live form to a supervisor's configuration, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.local.documents import STAMP, declared, document, live, names

from mlops.drivers.local.configuration import Sources, runtime
from mlops.drivers.local.driver import LocalDriver
from mlops.drivers.local.rules import REFUSED, RULES
from mlops.drivers.local.status import spec_of, stamp_of
from mlops.errors import TargetError
from mlops.resource import JSON, Rollout
from mlops.rollout import make_steps
from mlops_scoring.configuration import Probe, RequestSettings, parse_configuration


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
